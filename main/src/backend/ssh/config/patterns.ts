/** Patterns as ssh_config(5) and sshd(8) have them: `*`, `?`, lists, and `!` in front of what must not match. */

/** Whether the whole text matches. Takes time linear in `pattern × text` at worst, whatever the pattern. */
export function matchesPattern(pattern: string, text: string): boolean {
  let patternAt = 0;
  let textAt = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (textAt < text.length) {
    const wanted = pattern[patternAt];
    if (wanted === "*") {
      starAt = patternAt++;
      resumeAt = textAt;
    } else if (wanted !== undefined && (wanted === "?" || wanted === text[textAt])) {
      patternAt++;
      textAt++;
    } else if (starAt !== -1) {
      patternAt = starAt + 1;
      textAt = ++resumeAt;
    } else {
      return false;
    }
  }
  while (pattern[patternAt] === "*") patternAt++;
  return patternAt === pattern.length;
}

/** A list matches when one of its patterns does and none of the negated ones. */
export function matchesPatternList(patterns: readonly string[], text: string): boolean {
  let isMatched = false;
  for (const pattern of patterns) {
    if (pattern.startsWith("!")) {
      if (matchesPattern(pattern.slice(1), text)) return false;
    } else if (matchesPattern(pattern, text)) {
      isMatched = true;
    }
  }
  return isMatched;
}
