/** What a hostile host puts into every text: escapes that act in terminals, marks that reorder text, and HTML that would run. */
export const HOSTILE_TEXT = [
  "\u001b[2J\u001b]0;owned\u0007\u001b]8;;http://198.51.100.1/\u0007link\u001b]8;;\u0007",
  "\u009b31m\r\nhost web-1 is fine\b\b\u0000",
  "\u202etxt.exe\u2066\u200b\ufeff",
  "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
  "wide ".repeat(300),
].join("");

/** Control characters other than newlines and tabs, and those that reorder or hide text. */
export const ACTING_CHARACTERS = /(?![\n\t])[\p{Cc}\p{Cf}]/u;
