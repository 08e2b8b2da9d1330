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

/** Hashed at once, so that a large program is never one text. */
const BATCH_LENGTH = 65_536;

/**
 * SHA-256 over a program's tables, 64 hex digits. Where its rules stand in their files is left out: a comment added above
 * a rule changes nothing that is enforced.
 */
export function programDigest(
  program: Omit<HostProgram, "digest">,
  createSha256: CreateSha256 = () => sha256.create(),
): string {
  const hash = createSha256();
  const update = <Value>(values: readonly Value[], toLine: (value: Value) => string): void => {
    let batch = "";
    for (const value of values) {
      batch += `${toLine(value)}\n`;
      if (batch.length < BATCH_LENGTH) continue;
      hash.update(utf8ToBytes(batch));
      batch = "";
    }
    hash.update(utf8ToBytes(`${batch}\n`));
  };
  // Lines of numbers and of words without quotes are JSON as they are; they are most of the text.
  update([program], ({ formatVersion, hostName }) => JSON.stringify([formatVersion, hostName]));
  update(program.sets, ({ id, endpointKey, match }) => JSON.stringify([id, endpointKey, match]));
  for (const addresses of [program.addresses4, program.addresses6]) {
    update(addresses, ({ prefix, prefixLength, atom }) => `["${bytesToHex(prefix)}",${prefixLength},${atom}]`);
  }
  update(program.classes, ({ set, direction, atom, classId }) => `[${set},"${direction}",${atom},${classId}]`);
  update(
    program.ports,
    ({ classId, protocol, port, portBits, decision }) => `[${classId},${protocol},${port},${portBits},${decision}]`,
  );
  update(program.decisions, ({ id, verdict, observeOnly, reason, tier, policyKeys, rule }) => {
    const before = JSON.stringify([id, verdict, observeOnly, reason, tier]).slice(0, -1);
    return `${before},${keysText(policyKeys)},${JSON.stringify(rule)}]`;
  });
  return bytesToHex(hash.digest());
}

/** All policies that isolate can be thousands, and the next program mostly has the same. */
const MANY_KEYS = 100;
const textsOfManyKeys = new WeakMap<readonly string[], string>();

function keysText(policyKeys: readonly string[]): string {
  const known = textsOfManyKeys.get(policyKeys);
  if (known !== undefined) return known;
  const text = JSON.stringify(policyKeys);
  if (policyKeys.length >= MANY_KEYS) textsOfManyKeys.set(policyKeys, text);
  return text;
}

/** SHA-256 over a desired state, 64 hex digits. The order of the files does not count; their paths and bytes do. */
export function stateDigest(
  files: readonly { readonly path: string; readonly text: string }[],
  createSha256: CreateSha256 = () => sha256.create(),
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
