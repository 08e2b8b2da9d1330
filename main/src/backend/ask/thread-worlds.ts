/** The worlds that a thread answers about: the draft, what a host enforces, and versions. Read once, kept while they are asked about. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  createPolicyReader,
  type PolicyWorld,
  type ReadResult,
  withoutExpired,
  withQuarantines,
} from "@wardline/domain/policy";
import { AskVocabulary } from "@wardline/domain/policy/ask";
import type { WorldKind, WorldRequest } from "./ask-protocol.ts";

/** Draft, one host and two versions. */
const KEPT_READINGS = 4;

export interface ThreadWorld {
  readonly world: PolicyWorld;
  readonly vocabulary: AskVocabulary;
}

interface Kept {
  readonly reading: ReadResult;
  /** What it was made for, besides the text; `null` = not made yet. */
  made: { readonly state: string; readonly asked: ThreadWorld } | null;
}

export class ThreadWorlds {
  /** Most of a draft is what it was a moment ago. */
  readonly #readers = {
    draft: createPolicyReader(),
    enforced: createPolicyReader(),
    version: createPolicyReader(),
  } satisfies Record<WorldKind, unknown>;
  /** Least recently asked first. */
  readonly #kept = new Map<string, Kept>();

  /** Those without a text that are not known here. The others stay known while the same question is about all of them. */
  missing(requests: readonly WorldRequest[]): readonly string[] {
    for (const key of requests.map(keyOf)) {
      const known = this.#kept.get(key);
      if (!known) continue;
      // Reading one of the others must not push it out.
      this.#kept.delete(key);
      this.#kept.set(key, known);
    }
    return requests
      .filter((request) => request.files === null && !this.#kept.has(keyOf(request)))
      .map(({ digest }) => digest);
  }

  /** Names to read a question with, also while the policies have errors. */
  vocabulary(request: WorldRequest): AskVocabulary {
    const { reading } = this.#keep(request);
    if (reading.ok) return this.world(request).vocabulary;
    return new AskVocabulary(reading.world.inventory, reading.services);
  }

  /** @throws Failure POLICY_INVALID */
  world(request: WorldRequest): ThreadWorld {
    const kept = this.#keep(request);
    const { reading } = kept;
    if (!reading.ok) throw invalid(request.kind, reading);
    const current = withoutExpired(reading.world, request.nowMs);
    // Policies end by themselves, and hosts are quarantined without a new text.
    const state = JSON.stringify([current.policies.length, request.quarantines]);
    if (kept.made?.state !== state) {
      const world = request.quarantines.reduce(
        (held, { hostName, scopes }) => withQuarantines(held, hostName, scopes),
        current,
      );
      kept.made = { state, asked: { world, vocabulary: new AskVocabulary(world.inventory, reading.services) } };
    }
    return kept.made.asked;
  }

  #keep(request: WorldRequest): Kept {
    const key = keyOf(request);
    let kept = this.#kept.get(key);
    if (!kept) {
      if (request.files === null) throw new Error(`the text of ${key} is missing`);
      kept = { reading: this.#readers[request.kind].read(request.files), made: null };
    }
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    for (const old of [...this.#kept.keys()].slice(0, Math.max(0, this.#kept.size - KEPT_READINGS))) {
      this.#kept.delete(old);
    }
    return kept;
  }
}

function keyOf({ kind, digest }: WorldRequest): string {
  return `${kind} ${digest}`;
}

function invalid(kind: WorldKind, reading: ReadResult): Failure {
  const what = {
    draft: "The policies of the draft",
    version: "The policies of that version",
    enforced: "The enforced policies",
  }[kind];
  return new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: `${what} have errors, so nobody can say what they decide.`,
    hint: kind === "draft" ? "Correct them first, or ask about what is enforced." : "Ask about the draft.",
    diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
  });
}
