/** Asks an engine every question of every case and compares what it answers with what the sources state. */
import type { Verdict } from "../model.ts";
import type { EndQuestion, VectorCase, VectorProbe, VectorReading } from "./vector.ts";

export interface EndAnswer {
  /** What happens to the packet: observed denials allow. */
  readonly verdict: Verdict;
  /** Which rule decided, for people. */
  readonly decidedBy: string;
}

/** The questions of one case. */
export interface QuestionBatch {
  readonly world: VectorCase["world"];
  readonly questions: readonly EndQuestion[];
}

/** Answers each question of each batch, in their order. */
export type VectorEngine = (
  batches: readonly QuestionBatch[],
) => readonly (readonly EndAnswer[])[] | Promise<readonly (readonly EndAnswer[])[]>;

/** One way in which a probe was asked and did not give what its source states. */
export interface WrongReading {
  /** The address family, or the side and tier. */
  readonly reading: string;
  readonly fromAddress: string;
  readonly toAddress: string;
  /** One sentence for each side that was asked. */
  readonly decidedBy: readonly string[];
}

/** A probe with at least one wrong reading. */
export interface VectorMismatch {
  readonly file: string;
  readonly case: string;
  /** Position of the probe in its case, from 0. */
  readonly probe: number;
  readonly from: string;
  readonly to: string;
  readonly protocol: string | number;
  readonly port: number | null;
  readonly icmp: { readonly type: number; readonly code: number } | null;
  readonly expected: Verdict;
  readonly got: Verdict;
  readonly readings: readonly WrongReading[];
}

export interface VectorResult {
  readonly cases: number;
  /** Probes of the files; a probe that is asked in several readings counts once. */
  readonly probes: number;
  readonly mismatches: readonly VectorMismatch[];
}

export async function judgeVectors(cases: readonly VectorCase[], engine: VectorEngine): Promise<VectorResult> {
  const batches = cases.map(({ world, probes }) => ({
    world,
    questions: probes.flatMap(({ readings }) => readings.flatMap(({ questions }) => questions)),
  }));
  const answers = await engine(batches);
  const mismatches = cases.flatMap((one, position) => {
    const queue = (answers[position] ?? []).values();
    return one.probes.flatMap((probe) => judgeProbe(one, probe, queue));
  });
  const probes = cases.reduce((sum, one) => sum + one.probes.length, 0);
  return { cases: cases.length, probes, mismatches };
}

function judgeProbe(one: VectorCase, probe: VectorProbe, queue: Iterator<EndAnswer>): readonly VectorMismatch[] {
  const { from, to, protocol, port, icmp, expect } = probe;
  const readings = probe.readings.flatMap((reading) => {
    const answers = takeAnswers(queue, reading);
    const got = answers.every(({ verdict }) => verdict === "allow") ? "allow" : "deny";
    return got === expect ? [] : [wrongReading(reading, answers)];
  });
  if (readings.length === 0) return [];
  const got = expect === "allow" ? "deny" : "allow";
  const place = { file: one.file, case: one.name, probe: probe.index };
  return [{ ...place, from, to, protocol, port, icmp, expected: expect, got, readings }];
}

function takeAnswers(queue: Iterator<EndAnswer>, { questions }: VectorReading): readonly EndAnswer[] {
  return questions.map(() => {
    const next = queue.next();
    if (next.done) throw new Error("the engine gave fewer answers than there were questions");
    return next.value;
  });
}

function wrongReading({ label, source, destination }: VectorReading, answers: readonly EndAnswer[]): WrongReading {
  const decidedBy = answers.map((answer) => answer.decidedBy);
  return { reading: label, fromAddress: source, toAddress: destination, decidedBy };
}
