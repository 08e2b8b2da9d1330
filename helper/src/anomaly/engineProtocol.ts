/** What is said between the agent and the thread of its detectors. Everything survives a structured clone. */
import type { MessagePort } from "node:worker_threads";
import type {
  AnomalySettings,
  Finding,
  GroupBaseline,
  HostSummary,
  ModelStatus,
  SavedModel,
} from "@wardline/domain/anomaly";
import type { FlowRecord } from "@wardline/domain/flows";
import type { EngineSlot } from "./engineCore.ts";

export interface OpenOptions {
  readonly host: string;
  readonly seed: number;
  readonly settings: AnomalySettings;
  readonly model: SavedModel | null;
}

export interface Observed {
  readonly findings: readonly Finding[];
  readonly status: ModelStatus;
}

/** Records come over piece by piece, so that a large window blocks neither side for long. */
export interface RecordPull {
  readonly port: MessagePort;
  /** One `Int32Array` element that counts the answers. */
  readonly answers: SharedArrayBuffer;
}

export type PulledRecords = { readonly records: readonly FlowRecord[] } | { readonly problem: string } | null;

/** The calls, by name. Each is made on one engine: the live one, or one that looks for something again. */
export interface EngineCalls {
  /** Makes the engine anew. Fails when the model is damaged. */
  open(options: OpenOptions): ModelStatus;
  close(): void;
  /** Kept until the next `observe`. */
  give(records: readonly FlowRecord[]): void;
  /** Everything that was given is of one window. */
  observe(nowMs: number): Observed;
  advance(nowMs: number): Observed;
  train(pull: RecordPull, options: { readonly leaveOutFindings: boolean }): ModelStatus;
  feedback(finding: Finding, kind: "normal" | "confirmed" | "undo"): ModelStatus;
  setGroup(baseline: GroupBaseline | null): ModelStatus;
  configure(settings: AnomalySettings): ModelStatus;
  summary(): HostSummary;
  save(): SavedModel;
}

export type CallName = keyof EngineCalls;

export interface CallMessage {
  readonly id: number;
  readonly slot: EngineSlot;
  readonly name: CallName;
  readonly given: readonly unknown[];
}

export interface AnswerMessage {
  readonly id: number;
  readonly result?: unknown;
  /** A sentence; present when the call failed. */
  readonly problem?: string;
  /** Processor time of the thread so far. */
  readonly cpuUs: number;
}
