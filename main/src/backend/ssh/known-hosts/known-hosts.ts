/** What the files of known hosts say about one machine, and what follows for the key that it shows. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { errorCode } from "../config/config-files.ts";
import type { PublicKey } from "../keys/public-key.ts";
import { type KnownHostLine, knownHostName, parseKnownHosts } from "./known-hosts-file.ts";

const LARGEST_FILE_BYTES = 16 * 1024 * 1024;

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
  const files = await readFiles([...place.userKnownHostsFiles, ...place.globalKnownHostsFiles]);
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

function select(files: readonly { path: string; lines: readonly KnownHostLine[] }[], name: string): KnownMachine {
  const found = { key: [] as KnownKey[], authority: [] as KnownKey[], revoked: [] as KnownKey[] };
  for (const { path, lines } of files) {
    for (const { marker, hosts, key, line } of lines) {
      if (hosts.matches(name)) found[marker].push({ marker, key, line, path });
    }
  }
  return { keys: found.key, authorities: found.authority, revoked: found.revoked };
}

async function readFiles(paths: readonly string[]): Promise<{ path: string; lines: KnownHostLine[] }[]> {
  return Promise.all(paths.map(async (path) => ({ path, lines: parseKnownHosts(await readKnownHosts(path)) })));
}

/** Empty when there is no such file. */
async function readKnownHosts(path: string): Promise<string> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error))) return "";
    throw unreadable(path, errorCode(error));
  }
  try {
    const status = await handle.stat();
    // `UserKnownHostsFile /dev/null` is usual for "none".
    if (status.isCharacterDevice()) return "";
    if (!status.isFile()) throw unreadable(path, "it is not a file");
    if (status.size > LARGEST_FILE_BYTES) throw unreadable(path, "it has more than 16 MiB");
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function unreadable(path: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${path} could not be read (${why}), so it is not known which keys it revokes.`,
    hint: "Make the file readable, or take it out of UserKnownHostsFile.",
  });
}
