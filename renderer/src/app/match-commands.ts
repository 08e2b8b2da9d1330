import { COMMAND_GROUPS, type Command } from "../data/command-registry.ts";

/** A command with everything that it is found by, in small letters: made once, looked at with each letter typed. */
export interface FindableCommand {
  readonly command: Command;
  readonly title: string;
  readonly rest: string;
  readonly group: number;
}

const GROUP_ORDER: ReadonlyMap<string, number> = new Map(COMMAND_GROUPS.map((group, index) => [group, index]));

export function makeFindable(commands: readonly Command[]): readonly FindableCommand[] {
  return commands.map((command) => ({
    command,
    title: command.title.toLowerCase(),
    rest: `${command.detail ?? ""} ${command.words ?? ""} ${command.group}`.toLowerCase(),
    group: GROUP_ORDER.get(command.group) ?? COMMAND_GROUPS.length,
  }));
}

interface Ranked extends FindableCommand {
  readonly rank: number;
  readonly order: number;
}

/**
 * Those that hold every typed word, best first: what was used of late, then titles that are, begin with or have a word that
 * begins with the first word. At most `limit`, grouped: a group stands where its best one does.
 */
export function matchCommands(
  commands: readonly FindableCommand[],
  text: string,
  { recent = [], limit = 60 }: { readonly recent?: readonly string[]; readonly limit?: number } = {},
): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const recency = new Map(recent.map((id, index) => [id, index]));
  const best: Ranked[] = [];
  commands.forEach((findable, order) => {
    const rank = rankOf(findable, words, recency.get(findable.command.id));
    if (rank === null) return;
    const ranked = { ...findable, rank, order };
    // The list is short, so that finding the place in it costs less than sorting all that match.
    if (best.length === limit && compare(ranked, best[limit - 1] as Ranked) >= 0) return;
    let place = best.length;
    while (place > 0 && compare(ranked, best[place - 1] as Ranked) < 0) place -= 1;
    best.splice(place, 0, ranked);
    if (best.length > limit) best.pop();
  });
  return grouped(best).map(({ command }) => command);
}

/** Lower is better; `null` = not found. */
function rankOf(
  { command, title, rest, group }: FindableCommand,
  words: readonly string[],
  recency: number | undefined,
): number | null {
  const bonus = recency === undefined ? 0 : 200 - recency;
  const [first] = words;
  if (first === undefined) return recency === undefined ? 1_000 + group * 10 : recency;
  let rank = 0;
  for (const word of words) {
    const place = title.indexOf(word);
    if (place < 0) {
      if (!rest.includes(word)) return null;
      rank += 600;
    } else if (place > 0)
      rank += /[\s/._-]/.test(title[place - 1] ?? "") ? 150 + Math.min(place, 50) : 350 + Math.min(place, 50);
  }
  if (title !== first) rank += Math.min(title.length, 60);
  return rank + group * 4 + (command.disabledReason ? 40 : 0) - bonus;
}

function compare(one: Ranked, other: Ranked): number {
  return one.rank - other.rank || one.order - other.order;
}

function grouped(best: readonly Ranked[]): readonly Ranked[] {
  const byGroup = new Map<string, Ranked[]>();
  for (const ranked of best) {
    const list = byGroup.get(ranked.command.group);
    if (list) list.push(ranked);
    else byGroup.set(ranked.command.group, [ranked]);
  }
  return [...byGroup.values()].flat();
}
