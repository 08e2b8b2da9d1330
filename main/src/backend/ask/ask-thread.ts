/** The thread that reads and answers questions: a hard one over a large policy keeps nobody else waiting. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnswerBasisSchema, AskResponseSchema } from "@wardline/api/wardline/console/v1/ask";
import { answerQuestion, parseQuestion } from "@wardline/domain/policy/ask";
import { toWireAnswer, toWireParsed } from "@wardline/domain/policy/ask/wire";
import { type Checkpoint, serveCalls } from "../async/thread-calls.ts";
import type {
  AnswerAnswer,
  AnswerRequest,
  MissingWorlds,
  ReadAnswer,
  ReadRequest,
  WorldRequest,
} from "./ask-protocol.ts";
import { ThreadWorlds } from "./thread-worlds.ts";

const worlds = new ThreadWorlds();

function missing(requests: readonly WorldRequest[]): MissingWorlds | null {
  const digests = worlds.missing(requests);
  return digests.length === 0 ? null : { kind: "missing", digests };
}

function read({ text, names }: ReadRequest): ReadAnswer {
  const lacking = missing([names]);
  if (lacking) return lacking;
  const parsed = parseQuestion(text, worlds.vocabulary(names));
  if (parsed.kind !== "question") {
    return { kind: "response", bytes: toBinary(AskResponseSchema, toWireParsed(parsed)) };
  }
  const { question } = parsed;
  switch (question.kind) {
    case "changed":
      return { kind: "question", needs: { kind: question.kind, span: question.span } };
    case "why-flow":
      return { kind: "question", needs: { kind: question.kind, flowId: question.flowId } };
    default:
      return { kind: "question", needs: { kind: question.kind } };
  }
}

function answer(request: AnswerRequest, checkpoint: Checkpoint): AnswerAnswer {
  const { text, names, before, limit, counters, flow } = request;
  const lacking = missing([names, request.world, ...(before?.world ? [before.world] : [])]);
  if (lacking) return lacking;
  const parsed = parseQuestion(text, worlds.vocabulary(names));
  if (parsed.kind !== "question") throw new Error("it was a question a moment ago");
  checkpoint();
  const { world } = worlds.world(request.world);
  const old = before && (before.world ? worlds.world(before.world).world : { ...world, policies: [] });
  checkpoint();
  const given = answerQuestion(parsed.question, {
    world,
    limit,
    checkpoint,
    ...(old ? { change: () => ({ before: old, after: world }) } : {}),
    ...(counters ? { counters: () => new Map(counters.map(([id, packets]) => [id, { packets }])) } : {}),
    ...(flow ? { flow: () => flow } : {}),
  });
  checkpoint();
  const basis = { ...fromBinary(AnswerBasisSchema, request.basis), policyCount: world.policies.length };
  const oldBasis = before &&
    old && { ...fromBinary(AnswerBasisSchema, before.basis), policyCount: old.policies.length };
  const value = toWireAnswer(given, { inventory: world.inventory, basis, before: oldBasis });
  const response = create(AskResponseSchema, { outcome: { case: "answer", value } });
  return { kind: "response", bytes: toBinary(AskResponseSchema, response) };
}

serveCalls({ read, answer });
