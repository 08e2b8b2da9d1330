/** The question service of the fake backend: the real language and engine over the files of the double. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { AnswerBasisSchema, AskBasis, AskResponseSchema, type AskService } from "@wardline/api/wardline/console/v1/ask";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { readPolicyFiles } from "@wardline/domain/policy";
import { AskVocabulary, answerQuestion, parseQuestion } from "@wardline/domain/policy/ask";
import { completeOnWire, findRulesOnWire, toWireAnswer, toWireParsed } from "@wardline/domain/policy/ask/wire";
import { failure } from "./fake-workspace.ts";

interface AskPorts {
  readonly gate: () => Promise<void>;
  readonly draft: () => ReadonlyMap<string, { readonly text: string }>;
  readonly enforced: () => ReadonlyMap<string, string>;
}

export class FakeAsk {
  readonly #ports: AskPorts;
  /** Every question, as the backend got it. */
  readonly asked: string[] = [];
  /** Works on every answer until nobody waits for it. */
  isSlow = false;

  constructor(ports: AskPorts) {
    this.#ports = ports;
  }

  #read(basis: AskBasis) {
    const texts: [string, string][] =
      basis === AskBasis.ENFORCED
        ? [...this.#ports.enforced()]
        : [...this.#ports.draft()].map(([path, { text }]) => [path, text]);
    const reading = readPolicyFiles(texts.map(([path, text]) => ({ path, text })));
    return { reading, vocabulary: new AskVocabulary(reading.world.inventory, reading.services) };
  }

  service(): ServiceImpl<typeof AskService> {
    return {
      complete: async ({ text, cursor }) => {
        await this.#ports.gate();
        return completeOnWire(text, cursor, this.#read(AskBasis.DRAFT).vocabulary);
      },
      findRules: async ({ text, limit }) => {
        await this.#ports.gate();
        return findRulesOnWire(this.#read(AskBasis.DRAFT).reading.world, text, limit || 20);
      },
      ask: async ({ text, basis: asked, limit }, { signal }) => {
        await this.#ports.gate();
        this.asked.push(text);
        if (this.isSlow) await untilAborted(signal);
        const kind = asked === AskBasis.ENFORCED ? AskBasis.ENFORCED : AskBasis.DRAFT;
        const { reading, vocabulary } = this.#read(kind);
        const parsed = parseQuestion(text, vocabulary);
        if (parsed.kind !== "question") return toWireParsed(parsed);
        if (!reading.ok) {
          throw failure(
            ErrorCode.POLICY_INVALID,
            Code.FailedPrecondition,
            "The policies of the draft have errors, so nobody can say what they decide.",
            "Correct them first, or ask about what is enforced.",
          );
        }
        const { world } = reading;
        const before = () => ({ before: this.#read(AskBasis.ENFORCED).reading.world, after: world });
        const answer = answerQuestion(parsed.question, {
          world,
          limit: limit || 100,
          change: before,
          counters: () => new Map(),
        });
        const isEnforced = kind === AskBasis.ENFORCED;
        const nowMs = Date.now();
        const basis = create(AnswerBasisSchema, {
          kind,
          policyCount: world.policies.length,
          since: timestampFromMs(nowMs - (isEnforced ? 5_400_000 : 60_000)),
          ...(isEnforced ? { hostId: "local", hostName: "atlas", generation: 41n } : {}),
        });
        const value = toWireAnswer(answer, { inventory: world.inventory, basis, before: null });
        value.answeredAt = timestampFromMs(nowMs);
        return create(AskResponseSchema, { outcome: { case: "answer", value } });
      },
    };
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}
