/** The reference and the compiled tables as engines for vectors, and what an engine in the kernel needs. */
import { compile } from "../compile/index.ts";
import { type DecisionContent, describeDecision, enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import { createLookup } from "../lookup.ts";
import type { HostProgram, ProgramPacket } from "../program.ts";
import type { EndAnswer, QuestionBatch, VectorEngine } from "./judge.ts";
import type { EndQuestion } from "./vector.ts";

function answerOf(question: EndQuestion, decision: DecisionContent): EndAnswer {
  const what = describeDecision(decision, question.direction);
  return {
    verdict: enforcedVerdict(decision),
    decidedBy: `${question.direction} of ${question.subjectKey} (${question.local}): ${what}`,
  };
}

/** Asks `evaluate`. The other end is given by its address alone: its own policies are a question of their own. */
export const referenceEngine: VectorEngine = (batches) =>
  batches.map(({ world, questions }) =>
    questions.map((question) => {
      const { direction, protocol, port } = question;
      const subject = { endpointKey: question.subjectKey, address: question.local };
      const other = { endpointKey: null, address: question.remote };
      const [from, to] = direction === "egress" ? [subject, other] : [other, subject];
      const [egress, ingress] = evaluate(world, { from, to, protocol, port }).directions;
      return answerOf(question, (direction === "egress" ? egress : ingress).decision);
    }),
  );

/** The questions of a batch that one host's program decides. */
export interface ProgramQuestions {
  readonly program: HostProgram;
  /** `port` is what policy is asked about, `packetPort` what the packet carries. */
  readonly packets: readonly (ProgramPacket & { readonly packetPort: number })[];
}

/** Index of the decision in the program, for each packet. */
type ProgramAnswers = readonly number[];

function programsOf({ world, questions }: QuestionBatch): ReadonlyMap<string, ProgramQuestions> {
  const byHost = Map.groupBy(questions, ({ hostName }) => hostName);
  return new Map(
    [...byHost].map(([hostName, asked]) => {
      const program = compile(world, hostName);
      const sets = new Map(program.sets.map(({ endpointKey, id }) => [endpointKey, id]));
      const packets = asked.map(({ subjectKey, hostName: _, ...packet }) => {
        const set = sets.get(subjectKey);
        if (set === undefined) throw new Error(`the program of ${hostName} has no set for ${subjectKey}`);
        return { set, ...packet };
      });
      return [hostName, { program, packets }];
    }),
  );
}

/** An engine on compiled programs: `ask` answers all packets of all programs at once. */
export function programEngine(
  ask: (programs: readonly ProgramQuestions[]) => readonly ProgramAnswers[] | Promise<readonly ProgramAnswers[]>,
): VectorEngine {
  return async (batches) => {
    const programs = batches.map(programsOf);
    const flat = programs.flatMap((byHost) => [...byHost.values()]);
    const answers = await ask(flat);
    const decisions = new Map(flat.map((questions, position) => [questions, (answers[position] ?? []).values()]));
    return batches.map(({ questions }, position) =>
      questions.map((question) => {
        const asked = programs[position]?.get(question.hostName);
        const index = asked && decisions.get(asked)?.next().value;
        const decision = index === undefined ? undefined : asked?.program.decisions[index];
        if (decision === undefined) throw new Error("the engine left a question without an answer");
        return answerOf(question, decision);
      }),
    );
  };
}

/** Walks the compiled tables. */
export const compiledEngine: VectorEngine = programEngine((programs) =>
  programs.map(({ program, packets }) => {
    const answer = createLookup(program);
    return packets.map((packet) => answer(packet).index);
  }),
);
