/** Commands whose title holds every typed word, in order of where the first one is found; ties keep their order. */
export function matchCommands<Command extends { readonly title: string; readonly group: string }>(
  commands: readonly Command[],
  text: string,
): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...commands];
  return commands
    .map((command, order) => {
      const title = command.title.toLowerCase();
      const haystack = `${title} ${command.group.toLowerCase()}`;
      const places = words.map((word) => haystack.indexOf(word));
      const first = title.indexOf(words[0] ?? "");
      return { command, order, isMatch: places.every((place) => place >= 0), rank: first < 0 ? 1_000 : first };
    })
    .filter((entry) => entry.isMatch)
    .sort((a, b) => a.rank - b.rank || a.order - b.order)
    .map((entry) => entry.command);
}
