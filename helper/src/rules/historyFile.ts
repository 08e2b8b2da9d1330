/** The history of counters on disk: `counters.json` in the state directory, replaced as a whole. */
import { readFile, stat } from "node:fs/promises";
import { isErrno, replaceFile } from "../files/atomicFile.ts";
import { type Counted, type CountedSlot, EMPTY_HISTORY, type HistoryImage, type RuleTotal } from "./counterHistory.ts";

const FORMAT = 1;
/** Both slots and the history full, with room to spare. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

class DamagedError extends Error {}

export function encodeHistory({ totals, slots, dropped }: HistoryImage): string {
  return JSON.stringify({
    format: FORMAT,
    dropped,
    totals: [...totals].map(([id, total]) => [id, String(total.packets), String(total.bytes), total.lastSeenMs]),
    slots: slots.map(({ counted, ...slot }) => ({
      ...slot,
      counted: [...counted].map(([decision, { packets, bytes }]) => [decision, String(packets), String(bytes)]),
    })),
  });
}

function fail(what: string): never {
  throw new DamagedError(what);
}

function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(`${what} is not a list`);
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(`${what} is not an object`);
  return value as Readonly<Record<string, unknown>>;
}

function text(value: unknown, what: string): string {
  return typeof value === "string" ? value : fail(`${what} is not a text`);
}

function count(value: unknown, what: string): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : fail(`${what} is not a count`);
}

function large(value: unknown, what: string): bigint {
  return typeof value === "string" && /^\d{1,20}$/.test(value) ? BigInt(value) : fail(`${what} is not a count`);
}

function decodeTotal(value: unknown): [string, RuleTotal] {
  const [id, packets, bytes, lastSeenMs] = list(value, "a total");
  const total = { packets: large(packets, "packets"), bytes: large(bytes, "bytes") };
  return [text(id, "an id"), { ...total, lastSeenMs: count(lastSeenMs, "a time") }];
}

function decodeCounted(value: unknown): [number, Counted] {
  const [decision, packets, bytes] = list(value, "a counter");
  return [count(decision, "a decision"), { packets: large(packets, "packets"), bytes: large(bytes, "bytes") }];
}

function decodeSlot(value: unknown): CountedSlot {
  const { storage, generation, programDigest, ids, counted } = record(value, "a slot");
  return {
    storage: text(storage, "a storage"),
    generation: count(generation, "a generation"),
    programDigest: text(programDigest, "a digest"),
    ids: list(ids, "the ids").map((id) => text(id, "an id")),
    counted: new Map(list(counted, "the counters").map(decodeCounted)),
  };
}

/** Throws an `Error` that says what is wrong. */
export function decodeHistory(json: string): HistoryImage {
  const { format, dropped, totals, slots } = record(JSON.parse(json), "the file");
  if (format !== FORMAT) fail(`its format is ${String(format)} and not ${FORMAT}`);
  return {
    dropped: count(dropped, "the number of dropped ids"),
    totals: new Map(list(totals, "the totals").map(decodeTotal)),
    slots: list(slots, "the slots").map(decodeSlot),
  };
}

export interface HistoryRead {
  readonly image: HistoryImage;
  /** Why there is no history although there is a file. */
  readonly problem: string | null;
}

export async function readHistory(path: string): Promise<HistoryRead> {
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) throw new DamagedError("it is larger than any history");
    return { image: decodeHistory(await readFile(path, "utf8")), problem: null };
  } catch (error) {
    if (isErrno(error, "ENOENT")) return { image: EMPTY_HISTORY, problem: null };
    return { image: EMPTY_HISTORY, problem: error instanceof Error ? error.message : String(error) };
  }
}

export function writeHistory(path: string, image: HistoryImage): Promise<void> {
  return replaceFile(path, encodeHistory(image));
}
