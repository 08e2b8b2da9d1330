import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { HostProgram } from "./program.ts";

/**
 * SHA-256 over a program's tables, 64 hex digits. Where its rules stand in their files is left out: a comment added above
 * a rule changes nothing that is enforced.
 */
export function programDigest(program: Omit<HostProgram, "digest">): string {
  const hash = sha256.create();
  const lines = (values: Iterable<readonly unknown[]>): void => {
    let batch = "";
    for (const value of values) {
      batch += `${JSON.stringify(value)}\n`;
      if (batch.length < 65_536) continue;
      hash.update(utf8ToBytes(batch));
      batch = "";
    }
    hash.update(utf8ToBytes(`${batch}\n`));
  };
  lines([[program.formatVersion, program.hostName]]);
  lines(map(program.sets, ({ id, endpointKey, match }) => [id, endpointKey, match]));
  for (const addresses of [program.addresses4, program.addresses6]) {
    lines(map(addresses, ({ prefix, prefixLength, atom }) => [bytesToHex(prefix), prefixLength, atom]));
  }
  lines(map(program.classes, ({ set, direction, atom, classId }) => [set, direction, atom, classId]));
  lines(
    map(program.ports, ({ classId, protocol, port, portBits, decision }) => [
      classId,
      protocol,
      port,
      portBits,
      decision,
    ]),
  );
  lines(
    map(program.decisions, ({ id, verdict, observeOnly, reason, tier, policyKeys, rule }) => [
      id,
      verdict,
      observeOnly,
      reason,
      tier,
      policyKeys,
      rule,
    ]),
  );
  return bytesToHex(hash.digest());
}

function* map<Value>(values: readonly Value[], toLine: (value: Value) => readonly unknown[]) {
  for (const value of values) yield toLine(value);
}

/** SHA-256 over a desired state, 64 hex digits. The order of the files does not count; their paths and bytes do. */
export function stateDigest(files: readonly { readonly path: string; readonly text: string }[]): string {
  const hash = sha256.create();
  for (const { path, text } of files.toSorted((left, right) => (left.path < right.path ? -1 : 1))) {
    for (const part of [utf8ToBytes(path), utf8ToBytes(text)]) {
      hash.update(utf8ToBytes(`${part.length}:`));
      hash.update(part);
    }
  }
  return bytesToHex(hash.digest());
}
