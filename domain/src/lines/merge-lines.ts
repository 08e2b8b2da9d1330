/** Two people changed one text: what both meant, and where they disagree, line by line. */
import { diffLines, type LineChange } from "./line-diff.ts";
import { splitLines } from "./split-lines.ts";

/** A run of lines of the result, with the line breaks. */
export type MergeRegion =
  | { readonly kind: "agreed"; readonly text: string; readonly from: "base" | "ours" | "theirs" | "both" }
  | { readonly kind: "conflict"; readonly base: string; readonly ours: string; readonly theirs: string };

interface SideChanges {
  readonly lines: readonly string[];
  readonly changes: readonly LineChange[];
  next: number;
  /** How far this side is beyond the base at the present place. */
  shift: number;
}

/**
 * Regions of the three texts in the order of the result. Changes of different places come together and the same change of
 * both sides counts once. Changes that touch are a conflict: which of them comes first nobody has said. The answer with
 * the sides exchanged is the same with the sides exchanged.
 */
export function mergeLines(base: string, ours: string, theirs: string): MergeRegion[] {
  const baseLines = splitLines(base);
  const [mine, other] = [ours, theirs].map((text): SideChanges => {
    const lines = splitLines(text);
    return { lines, changes: diffLines(baseLines, lines), next: 0, shift: 0 };
  }) as [SideChanges, SideChanges];
  const regions: MergeRegion[] = [];
  let at = 0;
  for (;;) {
    const start = Math.min(nextStart(mine), nextStart(other));
    const baseEnd = Math.min(start, baseLines.length);
    if (baseEnd > at) regions.push({ kind: "agreed", from: "base", text: baseLines.slice(at, baseEnd).join("") });
    if (start === Number.POSITIVE_INFINITY) return joined(regions);
    const shifts = [mine.shift, other.shift] as const;
    const [end, touched] = takeTouching(mine, other, start);
    const baseText = baseLines.slice(start, end).join("");
    const ourText = mine.lines.slice(start + shifts[0], end + mine.shift).join("");
    const theirText = other.lines.slice(start + shifts[1], end + other.shift).join("");
    if (ourText === theirText) regions.push({ kind: "agreed", from: "both", text: ourText });
    else if (!touched[1]) regions.push({ kind: "agreed", from: "ours", text: ourText });
    else if (!touched[0]) regions.push({ kind: "agreed", from: "theirs", text: theirText });
    else regions.push(...narrowed(baseText, ourText, theirText));
    at = end;
  }
}

function nextStart({ changes, next }: SideChanges): number {
  return changes[next]?.oldStart ?? Number.POSITIVE_INFINITY;
}

/** All changes that overlap or touch one that begins at `start`; where they end, and which sides have some. */
function takeTouching(
  mine: SideChanges,
  other: SideChanges,
  start: number,
): readonly [end: number, touched: readonly [boolean, boolean]] {
  let end = start;
  const touched: [boolean, boolean] = [false, false];
  for (let grew = true; grew; ) {
    grew = false;
    for (const [index, side] of [mine, other].entries()) {
      const change = side.changes[side.next];
      if (!change || change.oldStart > end) continue;
      end = Math.max(end, change.oldEnd);
      side.next += 1;
      side.shift = change.newEnd - change.oldEnd;
      touched[index] = true;
      grew = true;
    }
  }
  return [end, touched];
}

/** A conflict without the lines that both sides wrote alike at its ends. */
function narrowed(base: string, ours: string, theirs: string): MergeRegion[] {
  const [baseLines, ourLines, theirLines] = [base, ours, theirs].map(splitLines) as [string[], string[], string[]];
  const most = Math.min(ourLines.length, theirLines.length);
  let head = 0;
  while (head < most && ourLines[head] === theirLines[head]) head++;
  let tail = 0;
  while (tail < most - head && ourLines.at(-1 - tail) === theirLines.at(-1 - tail)) tail++;
  // What one side only added to is no longer a conflict by these lines alone: the base says what each of them meant.
  const cut = (lines: readonly string[]) => lines.slice(head, lines.length - tail).join("");
  const agreed = (lines: readonly string[]): MergeRegion[] =>
    lines.length > 0 ? [{ kind: "agreed", from: "both", text: lines.join("") }] : [];
  return [
    ...agreed(ourLines.slice(0, head)),
    { kind: "conflict", base: baseLines.join(""), ours: cut(ourLines), theirs: cut(theirLines) },
    ...agreed(tail > 0 ? ourLines.slice(-tail) : []),
  ];
}

/** Neighbouring regions of one kind are one. */
function joined(regions: readonly MergeRegion[]): MergeRegion[] {
  const all: MergeRegion[] = [];
  for (const region of regions) {
    const last = all.at(-1);
    if (last?.kind === "agreed" && region.kind === "agreed" && last.from === region.from) {
      all[all.length - 1] = { ...last, text: last.text + region.text };
    } else all.push(region);
  }
  return all;
}

/** What a person says of a conflict. `text` is what they wrote themselves. */
export type MergeChoice = "ours" | "theirs" | "base" | "both" | { readonly text: string };

/** The text once every conflict is decided; `null` while one is not. Choices in the order of the conflicts. */
export function resolveRegions(
  regions: readonly MergeRegion[],
  choices: readonly (MergeChoice | undefined)[],
): string | null {
  let text = "";
  let next = 0;
  for (const region of regions) {
    if (region.kind === "agreed") {
      text = withText(text, region.text);
      continue;
    }
    const choice = choices[next++];
    if (choice === undefined) return null;
    text = withText(text, chosenText(region, choice));
  }
  return text;
}

export function chosenText(region: Extract<MergeRegion, { kind: "conflict" }>, choice: MergeChoice): string {
  if (typeof choice === "object") return choice.text;
  return choice === "both" ? withText(region.ours, region.theirs) : region[choice];
}

/** What follows a text begins in a line of its own. */
function withText(before: string, after: string): string {
  return before === "" || after === "" || before.endsWith("\n") ? before + after : `${before}\n${after}`;
}
