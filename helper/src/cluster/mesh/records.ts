/**
 * Orders, receipts, decisions, runs, settings and knowledge as they lie in the store: JSON with a version. Everything read is
 * judged and bounded: another member may have written it.
 */
import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { HealingAction, HealingOutcome, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import {
  checkHealingSettings,
  encodeKeptRun,
  type HealingSettings,
  type KeptRun,
  type KnowledgeEntry,
  parseHealingSettings,
  parseKeptRun,
  parseKnowledge,
} from "@wardline/domain/mesh/healing";
import type { HealingDecisionRequest, HealingOrder, HealingReceipt } from "../../mesh/ports.ts";

/** Of one key. */
export const MAX_BYTES = 64 * 1024;
const MAX_EVIDENCE = 20;
const MAX_KNOWLEDGE = 256;
const MAX_SENTENCE_LENGTH = 500;
const MAX_URI_LENGTH = 512;
const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const ORDER_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\/\d{1,9}$/;
const TARGET = /^[\x21-\x7e]{1,300}$/;
const VERSION = 1;
/** Of what stands around a run. */
const RUN_FRAME_BYTES = 64;

export function isRunId(id: string): boolean {
  return RUN_ID.test(id);
}

/** An order as it lies in the store. */
export interface StoredOrder {
  readonly order: HealingOrder;
  /** Create revision of the leader key of who gave it: the order counts as long as that very key is there. */
  readonly leadRevision: bigint;
}

export function encodeOrder({ order, leadRevision }: StoredOrder): Uint8Array {
  const expiresAtMs = Math.floor(order.expiresAtMs);
  return encode({ ...order, expiresAtMs, term: `${order.term}`, leadRevision: `${leadRevision}` });
}

/** `null` = it is none of ours, and nobody carries it out. */
export function decodeOrder(value: Uint8Array): StoredOrder | null {
  const content = decode(value);
  if (content === null) return null;
  const { id, runId, action, target, provider, peerUri, dryRun, expiresAtMs, approvedBy } = content;
  const term = readNumber(content.term);
  const leadRevision = readNumber(content.leadRevision);
  if (term === null || leadRevision === null) return null;
  if (!isText(id, ORDER_ID) || !isText(runId, RUN_ID) || !isText(target, TARGET)) return null;
  if (!isOf(HealingAction, action) || !isOf(MeshProvider, provider)) return null;
  if (typeof dryRun !== "boolean" || !isMoment(expiresAtMs)) return null;
  if (!isShort(peerUri, MAX_URI_LENGTH) || !isShort(approvedBy, MAX_SENTENCE_LENGTH)) return null;
  const what = { action, target, provider, peerUri };
  return { order: { id, runId, ...what, term, dryRun, expiresAtMs, approvedBy }, leadRevision };
}

/** An order that its host has taken is carried out at most once; `receipt` is there when it is done with it. */
export interface StoredReceipt {
  readonly orderId: string;
  readonly takenAtMs: number;
  /** Random per start: who finds another's word here that was not kept knows that it was interrupted. */
  readonly holder: string;
  readonly receipt: HealingReceipt | null;
}

export function encodeReceipt({ orderId, takenAtMs, holder, receipt }: StoredReceipt): Uint8Array {
  const short = receipt && {
    ...{ outcome: receipt.outcome, atMs: Math.floor(receipt.atMs) },
    sentence: receipt.sentence.slice(0, MAX_SENTENCE_LENGTH),
    evidence: receipt.evidence.slice(0, MAX_EVIDENCE).map((each) => each.slice(0, MAX_SENTENCE_LENGTH)),
  };
  return encode({ orderId, takenAtMs: Math.floor(takenAtMs), holder, receipt: short });
}

export function decodeReceipt(value: Uint8Array): StoredReceipt | null {
  const { orderId, takenAtMs, holder, receipt } = decode(value) ?? {};
  if (!isText(orderId, ORDER_ID) || !isMoment(takenAtMs) || !isShort(holder, 64)) return null;
  if (receipt === null) return { orderId, takenAtMs, holder, receipt: null };
  const { outcome, sentence, evidence, atMs } = (receipt ?? {}) as Record<string, unknown>;
  if (!isOf(HealingOutcome, outcome) || !isMoment(atMs) || !isShort(sentence, MAX_SENTENCE_LENGTH)) return null;
  if (!Array.isArray(evidence)) return null;
  const shown = evidence.filter((each): each is string => isShort(each, MAX_SENTENCE_LENGTH)).slice(0, MAX_EVIDENCE);
  return { orderId, takenAtMs, holder, receipt: { orderId, outcome, sentence, evidence: shown, atMs } };
}

/** What a person decided, on some member. */
export type StoredDecision =
  | {
      readonly kind: "decide";
      readonly runId: string;
      readonly decision: HealingDecisionRequest["decision"];
      readonly candidate: number | null;
      readonly reason: string;
      readonly actor: string;
      readonly atMs: number;
    }
  | { readonly kind: "forget"; readonly actor: string; readonly atMs: number };

export function decisionOf(request: HealingDecisionRequest, actor: string, atMs: number): StoredDecision {
  const { runId, decision, candidate } = request;
  const reason = request.reason.slice(0, MAX_SENTENCE_LENGTH);
  return { kind: "decide", runId, decision, candidate, reason, actor: actor.slice(0, MAX_SENTENCE_LENGTH), atMs };
}

export function encodeDecision(decision: StoredDecision): Uint8Array {
  return encode({ ...decision, atMs: Math.floor(decision.atMs) });
}

export function decodeDecision(value: Uint8Array): StoredDecision | null {
  const { kind, runId, decision, candidate, reason, actor, atMs } = decode(value) ?? {};
  if (!isShort(actor, MAX_SENTENCE_LENGTH) || !isMoment(atMs)) return null;
  if (kind === "forget") return { kind, actor, atMs };
  if (kind !== "decide" || !isText(runId, RUN_ID) || !isDecision(decision)) return null;
  if (!isShort(reason, MAX_SENTENCE_LENGTH)) return null;
  if (candidate !== null && !(isMoment(candidate) && candidate < 1_000)) return null;
  return { kind, runId, decision, candidate, reason, actor, atMs };
}

/** As much of a long run as a key may have: what is needed to go on with it stays. */
export function encodeRun(run: KeptRun): Uint8Array {
  return Buffer.from(`{"version":${VERSION},"run":${encodeKeptRun(run, MAX_BYTES - RUN_FRAME_BYTES)}}`);
}

export function decodeRun(value: Uint8Array): KeptRun | null {
  const run = parseKeptRun(decode(value)?.run);
  return run !== null && isRunId(run.id) ? run : null;
}

export function encodeSettings(settings: HealingSettings): Uint8Array {
  return encode({ settings });
}

/** What is out of bounds is as if nobody had set anything: to suggest is the most that nobody wanted. */
export function decodeSettings(value: Uint8Array): HealingSettings | null {
  const settings = parseHealingSettings(decode(value)?.settings);
  try {
    return settings && checkHealingSettings(settings);
  } catch {
    return null;
  }
}

export function encodeKnowledge(knowledge: readonly KnowledgeEntry[]): Uint8Array {
  return encode({ knowledge: knowledge.slice(0, MAX_KNOWLEDGE) });
}

export function decodeKnowledge(value: Uint8Array): readonly KnowledgeEntry[] {
  return parseKnowledge(decode(value)?.knowledge).slice(0, MAX_KNOWLEDGE);
}

/** Addresses in Yggdrasil by member: as many as a key may have. */
export function encodeAddresses(addresses: ReadonlyMap<string, string>): Uint8Array {
  const kept = [...addresses].sort(([one], [other]) => (one < other ? -1 : 1));
  for (;;) {
    const value = bytesOf({ yggdrasil: Object.fromEntries(kept) });
    if (value.length <= MAX_BYTES) return value;
    kept.length = Math.floor(kept.length / 2);
  }
}

export function decodeAddresses(value: Uint8Array): ReadonlyMap<string, string> {
  const said = decode(value)?.yggdrasil;
  if (typeof said !== "object" || said === null) return new Map();
  return new Map(Object.entries(said).filter((entry): entry is [string, string] => isShort(entry[1], 64)));
}

function bytesOf(content: object): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, ...content }));
}

function encode(content: object): Uint8Array {
  const bytes = bytesOf(content);
  if (bytes.length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
  return bytes;
}

function decode(value: Uint8Array): Record<string, unknown> | null {
  if (value.length > MAX_BYTES) return null;
  try {
    const content: unknown = JSON.parse(textOf(value));
    if (typeof content !== "object" || content === null) return null;
    return (content as Record<string, unknown>).version === VERSION ? (content as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function textOf(value: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(value);
}

function isDecision(value: unknown): value is HealingDecisionRequest["decision"] {
  return value === HealingDecision.APPROVE || value === HealingDecision.STOP;
}

function readNumber(value: unknown): bigint | null {
  return typeof value === "string" && /^\d{1,19}$/.test(value) ? BigInt(value) : null;
}

function isText(value: unknown, shape: RegExp): value is string {
  return typeof value === "string" && shape.test(value);
}

function isShort(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.length <= maxLength;
}

function isMoment(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isOf<T extends number>(values: Record<string, T | string>, value: unknown): value is T {
  return typeof value === "number" && value !== 0 && typeof values[value] === "string";
}
