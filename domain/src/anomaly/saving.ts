/** The saved model: JSON with a version and a checksum over the rest, at most 4 MiB. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { ErrorCode, Failure } from "../errors/index.ts";
import type { SavedModel } from "./model.ts";
import { type EngineState, freshState } from "./state.ts";
import { fromJson, hasShapeOf, toJson } from "./support/codec.ts";
import type { TieredMap } from "./support/tiered-map.ts";

const VERSION = 1;
export const MAX_MODEL_BYTES = 4 * 1024 * 1024;
const SAVED_EVIDENCE = 4;

export function saveState(state: EngineState): SavedModel {
  for (const evidenceKept of [SAVED_EVIDENCE, 0]) {
    const text = wrap(toJson(withLessEvidence(state, evidenceKept)));
    if (text.length <= MAX_MODEL_BYTES && byteLength(text) <= MAX_MODEL_BYTES) return text;
  }
  // What floods leave behind goes first, then what is only in the middle of being counted: habits stay.
  const lean = withLessEvidence(state, 0);
  const live = { ...lean.live, ...emptied(lean.live) };
  const text = wrap(toJson({ ...lean, live }));
  if (byteLength(text) <= MAX_MODEL_BYTES) return text;
  return wrap(
    toJson({ ...lean, live: { ...freshState(0).live, stepMs: live.stepMs, watchingSinceMs: live.watchingSinceMs } }),
  );
}

/** @throws Failure when it is damaged, too large, or of a newer version. */
export function loadState(model: SavedModel): EngineState {
  if (model.length > MAX_MODEL_BYTES) throw damaged("it is larger than a model can be");
  const match = /^\{"version":(\d{1,9}),"checksum":"([0-9a-f]{64})","state":/.exec(model);
  if (match === null || !model.endsWith("}")) throw damaged("it does not begin and end like one");
  const [head, version, checksum] = match;
  if (Number(version) > VERSION) {
    throw new Failure({
      code: ErrorCode.VERSION_MISMATCH,
      message: `The saved model is of version ${version}, and this agent reads up to version ${VERSION}.`,
      hint: "Upgrade the agent, or train the model again.",
    });
  }
  const body = model.slice(head.length, -1);
  if (checksumOf(body) !== checksum) throw damaged("its checksum is wrong");
  try {
    const state = fromJson(body);
    if (hasShapeOf(freshState(0), state)) return state as EngineState;
  } catch (error) {
    throw damaged(error instanceof Error ? error.message.slice(0, 80) : "it cannot be read");
  }
  throw damaged("parts of it are missing");
}

function wrap(body: string): string {
  return `{"version":${VERSION},"checksum":"${checksumOf(body)}","state":${body}}`;
}

const checksumOf = (body: string): string => bytesToHex(sha256(utf8ToBytes(body)));

function byteLength(text: string): number {
  return utf8ToBytes(text).length;
}

function withLessEvidence(state: EngineState, evidenceKept: number): EngineState {
  const entries = new Map(
    [...state.ledger.entries].map(([key, entry]) => [
      key,
      { ...entry, evidence: entry.evidence.slice(0, evidenceKept) },
    ]),
  );
  return { ...state, ledger: { ...state.ledger, entries } };
}

/** The same with the front rooms of all tiered maps empty. */
function emptied(part: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => {
      if (typeof value !== "object" || value === null || value instanceof Map || Array.isArray(value))
        return [key, value];
      if (isTiered(value)) return [key, { ...value, young: new Map() }];
      return [key, ArrayBuffer.isView(value) ? value : emptied(value)];
    }),
  );
}

function isTiered(value: object): value is TieredMap<unknown> {
  return "young" in value && "kept" in value;
}

function damaged(why: string): Failure {
  return new Failure({
    code: ErrorCode.HISTORY_DAMAGED,
    message: `The saved model cannot be used: ${why}.`,
    hint: "Start untrained, and train again from the journal.",
  });
}
