/** Where an answer's test goes: the text of a file with the test at its end, under a name that the file does not have yet. */

export function nameFor(question: string): string {
  const words = question
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return words.slice(0, 60).replace(/-+$/, "") || "kept-answer";
}

/** The document with another name. */
export function withName(document: string, name: string): string {
  return document.replace(/^( {2}name: ).*$/m, `$1${name}`);
}

export function freeName(name: string, text: string): string {
  const isTaken = (each: string): boolean => new RegExp(`^ {2}name: ["']?${each}["']?\\s*$`, "m").test(text);
  if (!isTaken(name)) return name;
  for (let number = 2; ; number++) if (!isTaken(`${name}-${number}`)) return `${name}-${number}`;
}

/** `document` behind everything that the file has. */
export function appendDocument(text: string, document: string): string {
  if (text.trim() === "") return document;
  return `${text.endsWith("\n") ? text : `${text}\n`}---\n${document}`;
}
