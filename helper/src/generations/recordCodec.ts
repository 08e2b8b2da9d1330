/** Text form of the records: JSON with a checksum, every field checked on the way in. */
import { createHash } from "node:crypto";
import type { SourceFile } from "@wardline/domain/policy";
import type { Circumstances } from "../agent/policyEngine.ts";
import type { PendingRecord, StateIndex, StoredGeneration } from "./records.ts";

const FORMAT_VERSION = 1;

/** A file of the state directory that cannot be trusted. The message says which and why. */
export class CorruptStateError extends Error {}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CorruptStateError(`${what} is not an object`);
  }
  return value as Fields;
}

function text(from: Fields, name: string): string {
  const value = from[name];
  if (typeof value !== "string") throw new CorruptStateError(`"${name}" is not text`);
  return value;
}

function count(from: Fields, name: string): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new CorruptStateError(`"${name}" is not a whole number`);
  }
  return value;
}

function checksum(payload: unknown): string {
  return createHash("sha256").update(JSON.stringify(payload)).digest("hex");
}

function encode(kind: string, payload: object): string {
  const content = { formatVersion: FORMAT_VERSION, kind, payload };
  return `${JSON.stringify({ ...content, checksum: checksum(content) })}\n`;
}

function decode(kind: string, encoded: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(encoded);
  } catch {
    throw new CorruptStateError("it is not JSON (cut short or overwritten)");
  }
  const { checksum: expected, ...content } = fields(parsed, "the file");
  if (expected !== checksum(content)) throw new CorruptStateError("its checksum does not fit its content");
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

/** Throws {@link CorruptStateError}. */
export function decodeIndex(encoded: string): StateIndex {
  const from = decode("index", encoded);
  return {
    nextGeneration: count(from, "nextGeneration"),
    confirmed: count(from, "confirmed"),
    previous: from.previous === null ? null : count(from, "previous"),
    pending: pending(from.pending),
  };
}

export function encodeGeneration(stored: StoredGeneration): string {
  const { circumstances, ...rest } = stored;
  const { atUnixMs, domainAddresses } = circumstances;
  return encode("generation", { ...rest, circumstances: { atUnixMs, domainAddresses: [...domainAddresses] } });
}

/** Records from before policies could expire have none: they were compiled as they stood. */
function circumstances(value: unknown, appliedAtMs: number): Circumstances {
  if (value === undefined) return { atUnixMs: appliedAtMs, domainAddresses: new Map() };
  const from = fields(value, "the circumstances");
  if (!Array.isArray(from.domainAddresses)) throw new CorruptStateError(`"domainAddresses" is not a list`);
  return { atUnixMs: count(from, "atUnixMs"), domainAddresses: new Map(from.domainAddresses.map(namedAddresses)) };
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
