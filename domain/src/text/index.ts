/**
 * Text that comes from files, hosts and people, and what may hide in it. One definition for everything that shows such
 * text (window, terminal) or refuses it (names of files), so that none of them is the weak one.
 */

// By general category: control and format characters (zero-width, bidirectional overrides and isolates, tags), lone
// surrogates, line and paragraph separators; then the letters that are drawn as nothing.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]|\u034f/gu;

/** Writes each character that cannot be seen, or that would reorder or break up the text around it, as `write` says. */
export function replaceInvisible(text: string, write: (codePoint: number) => string): string {
  return text.replace(INVISIBLE, (character) => write(character.codePointAt(0) ?? 0));
}

export function hasInvisible(text: string): boolean {
  return text.search(INVISIBLE) !== -1;
}
export { csvLine } from "./csv.ts";
