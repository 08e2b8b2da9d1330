/** Texts line by line: what changed, who brought which line, and what two changes of one text come to. */
export { type BlameRun, LineBlame } from "./blame.ts";
export { diffLines, type LineChange, MAX_DIFF_STEPS } from "./line-diff.ts";
export { chosenText, type MergeChoice, type MergeRegion, mergeLines, resolveRegions } from "./merge-lines.ts";
export { splitLines } from "./split-lines.ts";
