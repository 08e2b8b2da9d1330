/** What the monitor finds: one thing that is wrong, as one host sees it. */
import type { DialledPeer, MeshFault, MeshProvider } from "./model.ts";

export type SymptomKind =
  | "daemon"
  | "peer-down"
  | "peer-poor"
  | "probe-lost"
  | "probe-poor"
  | "host-silent"
  | "store-member"
  | "partition"
  | "gateway"
  | "versions"
  | "redundancy";

export interface Symptom {
  /** Unique among the symptoms of one look, the same from look to look. */
  readonly key: string;
  readonly kind: SymptomKind;
  /** What it would be if nothing else explained it. */
  readonly fault: MeshFault;
  /** What it would be about. */
  readonly target: string;
  readonly provider: MeshProvider;
  /** Who sees it, or whom it is about. */
  readonly host: string;
  /** The other end; empty = none, or not one of ours. */
  readonly otherHost: string;
  readonly otherKey: string;
  /** What was seen, a sentence. */
  readonly sentence: string;
  readonly sinceMs: number;
  /** Only of `peer-down` and `peer-poor`. */
  readonly peer: DialledPeer | null;
  /** Of `partition` and `versions` the hosts of each part, the largest first; of `redundancy` one part: whom it lost. */
  readonly parts: readonly (readonly string[])[];
  /** Only of `probe-poor`: 0 to 1, `null` = not measured. */
  readonly loss: number | null;
  /** Only of `probe-poor`: its loss was tested for, and is no bad luck. */
  readonly isProven: boolean;
}

export type FoundSymptom = Omit<Symptom, "sinceMs">;

const NONE = { otherHost: "", otherKey: "", peer: null, parts: [], loss: null, isProven: false } as const;

export function symptom(
  found: Pick<FoundSymptom, "key" | "kind" | "fault" | "target" | "provider" | "host" | "sentence"> &
    Partial<FoundSymptom>,
): FoundSymptom {
  return { ...NONE, ...found };
}

/** Whether this host is an end of it, or among those that were lost. */
export function concerns({ kind, host, otherHost, parts }: FoundSymptom, name: string): boolean {
  return host === name || otherHost === name || (kind === "redundancy" && (parts[0]?.includes(name) ?? false));
}
