/** What the files of known hosts say about one machine, and what follows for the key that it shows. */
import type { PublicKey } from "../keys/public-key.ts";
import { type KnownHostLine, knownHostName } from "./known-hosts-file.ts";
import { type KnownHostsFile, readKnownHosts } from "./read-known-hosts.ts";

/** Where a machine is looked up. */
export interface KnownHostsPlace {
  readonly hostName: string;
  readonly port: number;
  readonly hostKeyAlias: string;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
}

export interface KnownKey extends Pick<KnownHostLine, "marker" | "key" | "line"> {
  readonly path: string;
}

export interface KnownMachine {
  /** Plain keys of the machine. */
  readonly keys: readonly KnownKey[];
  /** Keys that may sign host certificates for it. */
  readonly authorities: readonly KnownKey[];
  readonly revoked: readonly KnownKey[];
}

export type KeyVerdict =
  | { readonly kind: "trusted"; readonly by: KnownKey }
  | { readonly kind: "unknown" }
  | { readonly kind: "revoked"; readonly by: KnownKey }
  /** Another key is known, of the same type or not. */
  | { readonly kind: "changed"; readonly known: readonly KnownKey[] };

/** Names to look a machine up under: an alias alone; else with the port, then without it, as ssh does. */
export function namesOf(place: Pick<KnownHostsPlace, "hostName" | "port" | "hostKeyAlias">): string[] {
  if (place.hostKeyAlias !== "") return [place.hostKeyAlias.toLowerCase()];
  const name = knownHostName(place.hostName, place.port);
  return name === place.hostName ? [name] : [name, place.hostName.toLowerCase()];
}

/**
 * A name without the port counts only where nothing is known with it; a revoked key is one under either.
 *
 * @throws Failure INVALID_ARGUMENT when a file is there and cannot be read: a key that it revokes would be overlooked
 */
export async function lookUp(place: KnownHostsPlace): Promise<KnownMachine> {
  const files = await Promise.all([...place.userKnownHostsFiles, ...place.globalKnownHostsFiles].map(readKnownHosts));
  let machine: KnownMachine = { keys: [], authorities: [], revoked: [] };
  for (const name of namesOf(place)) {
    const found = select(files, name);
    const revoked = [...machine.revoked, ...found.revoked];
    const isKnown = machine.keys.length > 0 || machine.authorities.length > 0;
    machine = isKnown ? { ...machine, revoked } : { ...found, revoked };
  }
  return machine;
}

export function judge(machine: KnownMachine, shown: PublicKey): KeyVerdict {
  const isShown = ({ key }: KnownKey) => key.blob.equals(shown.blob);
  const revoked = machine.revoked.find(isShown);
  if (revoked) return { kind: "revoked", by: revoked };
  const trusted = machine.keys.find(isShown);
  if (trusted) return { kind: "trusted", by: trusted };
  return machine.keys.length > 0 ? { kind: "changed", known: machine.keys } : { kind: "unknown" };
}

/** For people: fingerprint, then file and line. */
export function describeKnown({ key, path, line }: KnownKey): string {
  return `${key.fingerprint} (${key.type}, ${path}:${line})`;
}

function select(files: readonly KnownHostsFile[], name: string): KnownMachine {
  const found = { key: [] as KnownKey[], authority: [] as KnownKey[], revoked: [] as KnownKey[] };
  for (const file of files) {
    for (const { marker, key, line } of file.linesOf(name)) found[marker].push({ marker, key, line, path: file.path });
  }
  return { keys: found.key, authorities: found.authority, revoked: found.revoked };
}
