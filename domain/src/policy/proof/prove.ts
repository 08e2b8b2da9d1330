/** Proves policy tests, case by case. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import {
  type AccessModel,
  type AccessQuestion,
  type ConnectionExample,
  createAccessModel,
  decideConnection,
  findConnection,
} from "../access/index.ts";
import { evaluate } from "../evaluate.ts";
import type { PolicyTest, PolicyTestCase, PolicyWorld } from "../model.ts";
import { compareConnections } from "./connection-order.ts";
import { type CountedVerdict, contradictionOf } from "./contradiction.ts";
import { type Coverage, CoverageBook } from "./coverage.ts";
import { type CaseResult, type Counterexample, MAX_TEST_CASES, type ReportedResult } from "./model.ts";
import { whyNobody } from "./vacuous.ts";

export interface ProofOptions {
  /** Also which rules no test touches. Default false. */
  readonly coverage?: boolean;
}

export interface TestCounts {
  readonly holds: number;
  readonly fails: number;
  readonly vacuous: number;
  readonly refused: number;
}

export interface TestRun {
  /** In the order of the tests and of their cases. */
  readonly cases: readonly CaseResult[];
  readonly counts: TestCounts;
  /** `null` unless asked for. */
  readonly coverage: Coverage | null;
}

/** Proves the cases of many tests against one world, one at a time, so that a caller can do other things in between. */
export interface Prover {
  /** The results of one test, by the index of the cases. */
  prove(test: PolicyTest): Generator<CaseResult>;
  /** Of all results so far. */
  coverage(): Coverage;
}

/**
 * Expired policies count like the others: see `withoutExpired`.
 *
 * Throws `POLICY_UNSUPPORTED` as `orderPolicies`.
 */
export function createProver(world: PolicyWorld): Prover {
  return new CaseProver(world);
}

/**
 * Proves every case of every test. Policies in observe mode do not change what happens to packets, so only the enforced
 * verdicts decide whether a case holds; `reported` says where the others would.
 *
 * Throws `TOO_LARGE` beyond {@link MAX_TEST_CASES}, and as {@link createProver}.
 */
export function proveTests(world: PolicyWorld, tests: readonly PolicyTest[], options: ProofOptions = {}): TestRun {
  requireFewCases(tests);
  const prover = createProver(world);
  const cases = tests.flatMap((test) => [...prover.prove(test)]);
  return { cases, counts: countStatuses(cases), coverage: options.coverage ? prover.coverage() : null };
}

/** Throws `TOO_LARGE` beyond {@link MAX_TEST_CASES}. */
export function requireFewCases(tests: readonly PolicyTest[]): void {
  const count = tests.reduce((sum, { cases }) => sum + cases.length, 0);
  if (count <= MAX_TEST_CASES) return;
  throw new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `The policy tests stand for ${count} cases; up to ${MAX_TEST_CASES} can be proved at once.`,
    hint: "A case with services stands for one case for each of their peers: use groups by label instead.",
  });
}

export function countStatuses(cases: readonly Pick<CaseResult, "status">[]): TestCounts {
  const counts = { holds: 0, fails: 0, vacuous: 0, refused: 0 };
  for (const { status } of cases) counts[status] += 1;
  return counts;
}

interface Search {
  readonly found: ConnectionExample | null;
  /** Whether the question is about any connection at all. */
  readonly hasConnections: boolean;
}

class CaseProver implements Prover {
  readonly #world: PolicyWorld;
  /** Only what is enforced: its decisions are those of packets, with or without policies in observe mode. */
  readonly #enforced: AccessModel;
  /** With the policies in observe mode; `null` when there are none. */
  readonly #all: AccessModel | null;
  readonly #coverage = new CoverageBook();

  constructor(world: PolicyWorld) {
    const enforced = world.policies.filter(({ mode }) => mode === "enforce");
    this.#world = world;
    this.#enforced = createAccessModel({ ...world, policies: enforced });
    this.#all = enforced.length === world.policies.length ? null : createAccessModel(world);
  }

  *prove(test: PolicyTest): Generator<CaseResult> {
    const byIndex = new Map<number, PolicyTestCase[]>();
    for (const one of test.cases) byIndex.set(one.index, [...(byIndex.get(one.index) ?? []), one]);
    for (const parts of byIndex.values()) yield this.#proveCase(test, parts);
  }

  coverage(): Coverage {
    return this.#coverage.coverage(this.#world);
  }

  /** `parts` together are one case. */
  #proveCase(test: PolicyTest, parts: readonly PolicyTestCase[]): CaseResult {
    const [testCase] = parts;
    if (!testCase) throw new Error("a case has at least one part");
    const nothing = { test, testCase, why: null, counterexample: null, reported: null };
    const refusal = parts.map(whyRefused).find((why) => why !== null);
    if (refusal !== undefined) return { ...nothing, status: "refused", why: refusal };
    const { found, hasConnections } = this.#search(this.#enforced, parts, "enforced");
    if (!hasConnections) return { ...nothing, status: "vacuous", why: whyNobody(this.#enforced, parts) };
    const status = found === null ? "holds" : "fails";
    const counterexample = found === null ? null : this.#show(testCase, found);
    return { ...nothing, status, counterexample, reported: this.#reported(parts, found) };
  }

  /** `enforced` is the counterexample by what is enforced, if there is one. */
  #reported(parts: readonly PolicyTestCase[], enforced: ConnectionExample | null): ReportedResult | null {
    if (this.#all === null) return null;
    const { found } = this.#search(this.#all, parts, "reported");
    if (found !== null && enforced === null) return { status: "fails", example: found };
    if (found !== null || enforced === null) return null;
    return { status: "holds", example: { ...enforced, ...decideConnection(this.#all, enforced) } };
  }

  #search(model: AccessModel, parts: readonly PolicyTestCase[], counted: CountedVerdict): Search {
    let hasConnections = false;
    const found = parts.flatMap((part) => {
      const example = findConnection(model, questionOf(part), (decided) => {
        hasConnections = true;
        this.#coverage.add(decided);
        return contradictionOf(part, decided, counted) !== null;
      });
      return example ?? [];
    });
    return { found: found.sort(compareConnections)[0] ?? null, hasConnections };
  }

  #show(testCase: PolicyTestCase, connection: ConnectionExample): Counterexample {
    const contradicts = contradictionOf(testCase, connection, "enforced");
    if (contradicts === null) throw new Error("a counterexample contradicts its case");
    return { connection, contradicts, walkthrough: () => evaluate(this.#world, connection) };
  }
}

function questionOf({ from, to, ports, via }: PolicyTestCase): AccessQuestion {
  return { from, to, ports, fromWithout: via?.kind === "through" ? via.selector : null };
}

function whyRefused({ from, to }: PolicyTestCase): string | null {
  const side = [from, to].findIndex((end) => end.kind === "entity" && end.entity === "host");
  if (side < 0) return null;
  const name = side === 0 ? "from" : "to";
  return `"${name}: {entity: host}" stands for another host at each end and cannot be proved. Name hosts by label, or give addresses.`;
}
