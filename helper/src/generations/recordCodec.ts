/** Text form of the records: JSON with a checksum, every field checked on the way in. */
import { createHash } from "node:crypto";
import type { SourceFile } from "@wardline/domain/policy";
import type { Circumstances } from "../agent/policyEngine.ts";
import { decodeDiscovered, encodeDiscovered } from "./discoveredCodec.ts";
import { decodeQuarantines } from "./quarantineCodec.ts";
import { CorruptStateError, count, type Fields, fields, text } from "./recordFields.ts";
import type { EmergencyRecord, PendingRecord, StateIndex, StoredGeneration } from "./records.ts";

export { CorruptStateError } from "./recordFields.ts";

const FORMAT_VERSION = 1;

/** Of the content as JSON. */
function checksum(json: string): string {
  return createHash("sha256").update(json).digest("hex");
}

/** The content as one object, with its checksum as the last field. A generation may be large: it is made into text once. */
function encode(kind: string, payload: object): string {
  const json = JSON.stringify({ formatVersion: FORMAT_VERSION, kind, payload });
  return `${json.slice(0, -1)},"checksum":"${checksum(json)}"}\n`;
}

function decode(kind: string, encoded: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(encoded);
  } catch {
    throw new CorruptStateError("it is not JSON (cut short or overwritten)");
  }
  const { checksum: expected, ...content } = fields(parsed, "the file");
  if (expected !== checksum(JSON.stringify(content)))
    throw new CorruptStateError("its checksum does not fit its content");
  if (content.formatVersion !== FORMAT_VERSION) {
    throw new CorruptStateError(`its format is version ${String(content.formatVersion)}, not ${FORMAT_VERSION}`);
  }
  if (content.kind !== kind) throw new CorruptStateError(`it holds "${String(content.kind)}", not "${kind}"`);
  return fields(content.payload, "the payload");
}

export function encodeIndex(index: StateIndex): string {
  return encode("index", index);
}

function pending(value: unknown): PendingRecord | null {
  if (value === null) return null;
  const from = fields(value, "the pending record");
  return {
    generation: count(from, "generation"),
    bootId: text(from, "bootId"),
    deadlineBootMs: count(from, "deadlineBootMs"),
  };
}

/** Records from before there was a brake have none. */
function emergency(value: unknown): EmergencyRecord | null {
  if (value === null || value === undefined) return null;
  const from = fields(value, "the emergency");
  const state = text(from, "state");
  if (state !== "open" && state !== "closed") throw new CorruptStateError(`the emergency is "${state}"`);
  return { state, sinceMs: count(from, "sinceMs"), actor: text(from, "actor"), reason: text(from, "reason") };
}

/** Throws {@link CorruptStateError}. */
export function decodeIndex(encoded: string): StateIndex {
  const from = decode("index", encoded);
  return {
    nextGeneration: count(from, "nextGeneration"),
    confirmed: count(from, "confirmed"),
    previous: from.previous === null ? null : count(from, "previous"),
    pending: pending(from.pending),
    emergency: emergency(from.emergency),
  };
}

export function encodeGeneration(stored: StoredGeneration): string {
  const { circumstances, ...rest } = stored;
  const domainAddresses = [...circumstances.domainAddresses];
  const discovered = encodeDiscovered(circumstances.discovered);
  return encode("generation", { ...rest, circumstances: { ...circumstances, domainAddresses, discovered } });
}

/** Records from before policies could expire have none: they were compiled as they stood. */
function circumstances(value: unknown, appliedAtMs: number): Circumstances {
  const usual = { discovered: [], quarantines: [], observesPolicies: false };
  if (value === undefined) return { atUnixMs: appliedAtMs, domainAddresses: new Map(), ...usual };
  const from = fields(value, "the circumstances");
  if (!Array.isArray(from.domainAddresses)) throw new CorruptStateError(`"domainAddresses" is not a list`);
  return {
    atUnixMs: count(from, "atUnixMs"),
    domainAddresses: new Map(from.domainAddresses.map(namedAddresses)),
    discovered: decodeDiscovered(from.discovered ?? []),
    quarantines: decodeQuarantines(from.quarantines ?? []),
    observesPolicies: from.observesPolicies === true,
  };
}

function namedAddresses(value: unknown): readonly [string, readonly string[]] {
  const [name, addresses] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const isWhole = typeof name === "string" && Array.isArray(addresses);
  if (!isWhole || !addresses.every((address) => typeof address === "string")) {
    throw new CorruptStateError("a domain name has no list of addresses");
  }
  return [name, addresses];
}

function file(value: unknown): SourceFile {
  const from = fields(value, "a file");
  return { path: text(from, "path"), text: text(from, "text") };
}

/** Throws {@link CorruptStateError}. */
export function decodeGeneration(encoded: string): StoredGeneration {
  const from = decode("generation", encoded);
  if (!Array.isArray(from.files)) throw new CorruptStateError(`"files" is not a list`);
  const mode = text(from, "mode");
  if (mode !== "observe" && mode !== "enforce") throw new CorruptStateError(`"mode" is "${mode}"`);
  const appliedAtMs = count(from, "appliedAtMs");
  return {
    number: count(from, "number"),
    programDigest: text(from, "programDigest"),
    stateDigest: text(from, "stateDigest"),
    mode,
    appliedAtMs,
    appliedBy: text(from, "appliedBy"),
    reason: text(from, "reason"),
    policyCount: count(from, "policyCount"),
    ruleCount: count(from, "ruleCount"),
    files: from.files.map(file),
    circumstances: circumstances(from.circumstances, appliedAtMs),
  };
}
