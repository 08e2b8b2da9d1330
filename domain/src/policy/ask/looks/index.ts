/** Whether a text begins as questions do: cheap and without the language, so that a window can tell with its first code. */
export function looksLikeQuestion(text: string): boolean {
  const first = /^\s*([\p{L}']+)\s+\S/u.exec(text.slice(0, 100))?.[1]?.toLowerCase();
  return (first !== undefined && BEGINNINGS.has(first)) || /^\s*\S+\s*(->|→|=>)\s*\S/.test(text.slice(0, 200));
}

const BEGINNINGS = new Set(
  "can may could does do is are will who what which where whom from why explain everyone anyone policies unused".split(
    " ",
  ),
);
