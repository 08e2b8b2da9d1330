/** What goes between the services that go through recorded flows and the threads that judge them. */
import type { RecordedFlow, SimulationCounts } from "@wardline/domain/policy/simulate";

export interface PolicyText {
  readonly path: string;
  readonly text: string;
}

/** Files with changes on top. A thread keeps the files that it was given last, so that only changes go over again. */
export interface PolicyTexts {
  readonly digest: string;
  /** `null` = as the thread knows them. */
  readonly files: readonly PolicyText[] | null;
  readonly changed: readonly PolicyText[];
}

interface OpenRequest {
  readonly texts: PolicyTexts;
}

export interface SimulateRequest extends OpenRequest {
  /** What a host enforces; `null` = not compared with it. */
  readonly enforced: readonly PolicyText[] | null;
  /** Policies that have expired by then are left out. */
  readonly nowMs: number;
  readonly sampleEvery: number;
  readonly maxGroups: number;
}

export interface SuggestRequest extends OpenRequest {
  readonly generalize: number;
  /** `null` = as usual. */
  readonly minFlows: number | null;
  readonly format: "k8s" | "wardline";
}

/** Policies for some endpoints alone, as the picture asks for them. */
export interface DraftRequest extends OpenRequest {
  /** Keys of the endpoints. */
  readonly subjects: readonly string[];
  /** Keys of the labels that make a group; `null` = as usual. */
  readonly groupBy: readonly string[] | null;
}

export type OpenAnswer = "open" | "missing";

export interface AddRequest {
  readonly flows: readonly RecordedFlow[];
  /** How many flows each of them stands for; absent = one each. */
  readonly counts?: readonly number[];
}

export interface ResultRequest {
  /** Matching flows, or records of the history, that were there when this began. */
  readonly total: number;
}

/** Messages of the stream, or the one answer, in their order: what was asked for decides of which kind. */
export type ResultAnswer = readonly Uint8Array<ArrayBuffer>[];

export type CountsAnswer = SimulationCounts;
