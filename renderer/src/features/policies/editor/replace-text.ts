/** Text from outside, as the smallest single change, so that cursor, folds and marks stay where they can. */
export interface TextChange {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

export function changeBetween(before: string, after: string): TextChange {
  const shortest = Math.min(before.length, after.length);
  let from = 0;
  while (from < shortest && before.charCodeAt(from) === after.charCodeAt(from)) from += 1;
  let tail = 0;
  while (
    tail < shortest - from &&
    before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)
  )
    tail += 1;
  return { from, to: before.length - tail, insert: after.slice(from, after.length - tail) };
}
