import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { HostProgram } from "./program.ts";

/** A SHA-256 at work; the ones of `@noble/hashes` and of `node:crypto` are. */
export interface Sha256 {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** Starts a hash. One that the platform brings along is several times faster than the default, which runs anywhere. */
export type CreateSha256 = () => Sha256;

/** Changes with what a digest is made of while the tables of programs stay what they are. */
const DIGEST_VERSION = 2;

/**
 * SHA-256 over a program, 64 hex digits: its host, its sets and `tablesDigest`, which `compile/digest-tables.ts` makes.
 * Where its rules stand in their files is left out: a comment added above a rule changes nothing that is enforced.
 */
export function programDigest(
  { formatVersion, hostName, sets }: Pick<HostProgram, "formatVersion" | "hostName" | "sets">,
  tablesDigest: Uint8Array,
  createSha256: CreateSha256,
): string {
  const hash = createSha256();
  hash.update(utf8ToBytes(`${JSON.stringify([DIGEST_VERSION, formatVersion, hostName])}\n`));
  for (const { id, endpointKey, match } of sets) {
    hash.update(utf8ToBytes(`${JSON.stringify([id, endpointKey, match])}\n`));
  }
  hash.update(tablesDigest);
  return bytesToHex(hash.digest());
}

export function createPortableSha256(): Sha256 {
  return sha256.create();
}

/** SHA-256 over a desired state, 64 hex digits. The order of the files does not count; their paths and bytes do. */
export function stateDigest(
  files: readonly { readonly path: string; readonly text: string }[],
  createSha256: CreateSha256 = createPortableSha256,
): string {
  const hash = createSha256();
  for (const { path, text } of files.toSorted((left, right) => (left.path < right.path ? -1 : 1))) {
    for (const part of [utf8ToBytes(path), utf8ToBytes(text)]) {
      hash.update(utf8ToBytes(`${part.length}:`));
      hash.update(part);
    }
  }
  return bytesToHex(hash.digest());
}
