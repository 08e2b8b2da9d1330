/** Which domain names members want, and which of them the leader looks up. */
import { formatAddress, parseAddress } from "@wardline/domain/policy";

export const MAX_NAMES_PER_MEMBER = 1_024;
export const MAX_NAMES = 4_096;

const MAX_NAME_LENGTH = 253;
const LABEL = "[a-z0-9]([-a-z0-9_]{0,61}[a-z0-9])?";
/** Whole names in lower case with two labels at least, and names of services (`_x._tcp.y`). */
const NAME = new RegExp(`^(_[a-z0-9-]{1,62}\\._(tcp|udp|sctp)\\.)?(${LABEL}\\.)+[a-z]([-a-z0-9_]{0,61}[a-z0-9])?$`);

/**
 * Ends of names that mean something else from place to place: `.local` (RFC 6762), `.home.arpa` (RFC 8375), `.internal`
 * (set aside by ICANN for private use), and what networks have long used for themselves.
 */
const PRIVATE_ENDS = [".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp", ".private"];

export function isDomainName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && NAME.test(name);
}

/** Whether each host has to ask for the name by itself, because another host's answer would be another thing. */
export function isPrivateName(name: string): boolean {
  return PRIVATE_ENDS.some((end) => name.endsWith(end));
}

/**
 * At most {@link MAX_NAMES} of all, one of each member in turn, so that no member can push out what the others want.
 *
 * @param wanted by member, in any order
 */
export function chooseNames(wanted: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const lists = [...wanted]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, names]) =>
      [...new Set(names)].filter((name) => isDomainName(name) && !isPrivateName(name)).slice(0, MAX_NAMES_PER_MEMBER),
    );
  const chosen = new Set<string>();
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  for (let place = 0; place < longest; place++) {
    for (const list of lists) {
      if (chosen.size >= MAX_NAMES) return [...chosen];
      const name = list[place];
      if (name !== undefined) chosen.add(name);
    }
  }
  return [...chosen];
}

/** Canonical, each once, sorted; whatever is no address is left out. */
export function canonicalAddresses(texts: readonly string[]): readonly string[] {
  const found = texts.flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed.ok ? [formatAddress(parsed.bytes)] : [];
  });
  return [...new Set(found)].sort();
}
