/**
 * Everything that an editor asks of one workspace while it is typed in: problems, completion, hover, references, the meaning
 * of a line, and tests proved. One engine: the readers, the check and the prover of the command line.
 */
import { DIAGNOSTICS } from "../check/registry.ts";
import { ruleLabel } from "../decision.ts";
import type { Diagnostic } from "../diagnostic.ts";
import { subjectsOf } from "../endpoints.ts";
import type { SourceFile, SourceRange } from "../model.ts";
import { withoutExpired } from "../named-peers.ts";
import {
  type CaseResult,
  type CaseStatus,
  createProver,
  describeCounterexample,
  requireFewCases,
} from "../proof/index.ts";
import { createPolicyReader, type DocumentInfo, type PolicyReader, type ReadResult } from "../read.ts";
import { type Completions, complete } from "./complete.ts";
import { type References, referencesAt } from "./definition.ts";
import { type FleetFacts, NO_FACTS, type RuleUse } from "./facts.ts";
import { type HoverAnswer, hover } from "./hover.ts";
import { type LineMeaning, lineMeaning, useOf } from "./line-meaning.ts";
import { type OutlineEntry, outlineOf } from "./outline.ts";
import { collectVocabulary, type Vocabulary } from "./vocabulary.ts";

/** Of one file more are counted and not listed. */
const MAX_LISTED = 1_000;
const MAX_ELSEWHERE = 200;
const MAX_PROBLEMS = 20_000;
const MAX_SUBJECTS = 12;

export interface DocumentFacts {
  readonly key: string;
  readonly kind: string;
  readonly name: string;
  readonly isPolicy: boolean;
  readonly source: SourceRange;
  readonly ruleCount: number;
  readonly subjectCount: number;
  readonly subjectKeys: readonly string[];
}

export interface ProblemCounts {
  readonly errors: number;
  readonly warnings: number;
  readonly notes: number;
}

export interface FileProblems extends ProblemCounts {
  readonly file: string;
  /** The first one, to go to. */
  readonly first: SourceRange;
}

export interface CheckAnswer {
  readonly file: string;
  readonly problems: readonly Diagnostic[];
  /** In this file, listed or not. */
  readonly problemCount: number;
  /** In this file, and not listed. */
  readonly unlisted: ProblemCounts;
  /** Of the other files. */
  readonly elsewhere: readonly FileProblems[];
  /** Of other files that are not listed. */
  readonly unlistedElsewhere: ProblemCounts & { readonly files: number };
  readonly documents: readonly DocumentFacts[];
  /** Whether the whole workspace is without errors, so that it could be applied and tests can be proved. */
  readonly isOk: boolean;
}

/** A rule of the file, and what was decided by it. */
export interface RuleMark {
  readonly policyKey: string;
  readonly rule: string;
  readonly line: number;
  readonly use: RuleUse | null;
}

export interface TestMark {
  readonly file: string;
  readonly line: number;
  readonly endLine: number;
  readonly name: string;
  readonly status: CaseStatus;
  /** The counterexample, or why nothing was shown. */
  readonly text: string;
  readonly because: string;
  /** The rule that decides against it. */
  readonly decidedAt: SourceRange | null;
}

export interface ProofSummary {
  readonly marks: readonly TestMark[];
  readonly counts: Readonly<Record<CaseStatus, number>>;
  /** `file:line` of rules that some test touches, and of those that none does. */
  readonly touched: readonly string[];
  readonly untouched: readonly string[];
  /** Why nothing was proved; empty when it was. */
  readonly notRun: string;
}

export interface Explanation {
  readonly code: string;
  readonly title: string;
  readonly meaning: string;
  readonly remedy: string;
}

export class LanguageSession {
  readonly #reader: PolicyReader = createPolicyReader({ limits: { maxDiagnostics: MAX_PROBLEMS } });
  readonly #texts = new Map<string, string>();
  #facts: FleetFacts = NO_FACTS;
  #reading: ReadResult | null = null;
  #nowUnixMs = 0;
  #vocabulary: Vocabulary | null = null;
  #subjects = new Map<string, readonly string[]>();

  setText(file: string, text: string): void {
    if (this.#texts.get(file) === text) return;
    this.#texts.set(file, text);
    this.#reading = null;
  }

  remove(file: string): void {
    if (this.#texts.delete(file)) this.#reading = null;
  }

  has(file: string): boolean {
    return this.#texts.has(file);
  }

  setFacts(facts: FleetFacts): void {
    this.#facts = facts;
    this.#vocabulary = null;
  }

  /** Problems of a file among all others, and what its documents are about. */
  check(file: string, nowUnixMs: number): CheckAnswer {
    const reading = this.#read(nowUnixMs);
    const own: Diagnostic[] = [];
    const others = new Map<string, FileCounts>();
    const unlisted = new Counts();
    for (const diagnostic of reading.diagnostics) {
      const { source } = diagnostic;
      if (source.file === file) {
        own.push(diagnostic);
        if (own.length > MAX_LISTED) unlisted.add(diagnostic);
        continue;
      }
      const known = others.get(source.file) ?? new FileCounts(source);
      known.add(diagnostic);
      others.set(source.file, known);
    }
    const counted = [...others.values()].map(({ first, counts }) => ({ file: first.file, ...counts, first }));
    const left = counted.slice(MAX_ELSEWHERE);
    const sum = (of: keyof ProblemCounts) => left.reduce((total, one) => total + one[of], 0);
    return {
      file,
      problems: own.slice(0, MAX_LISTED),
      problemCount: own.length,
      unlisted: unlisted.counts,
      elsewhere: counted.slice(0, MAX_ELSEWHERE),
      unlistedElsewhere: { files: left.length, errors: sum("errors"), warnings: sum("warnings"), notes: sum("notes") },
      documents: reading.documents
        .filter((document) => document.file === file)
        .map((document) => this.#describe(document)),
      isOk: reading.ok,
    };
  }

  /** The next problem after a place, through this file and then the others; `null` when there is none. */
  nextProblem(file: string, line: number, column: number, isBackwards: boolean): Diagnostic | null {
    const all = this.#known().diagnostics;
    if (all.length === 0) return null;
    const files = [...new Set([file, ...this.#sortedFiles()])].sort();
    const places = new Map(files.map((each, place) => [each, place]));
    const order = (each: string): number => places.get(each) ?? -1;
    const compare = (
      a: Pick<SourceRange, "file" | "line" | "column">,
      b: Pick<SourceRange, "file" | "line" | "column">,
    ): number => order(a.file) - order(b.file) || a.line - b.line || a.column - b.column;
    const sorted = [...all].sort((left, right) => compare(left.source, right.source));
    const here = { file, line, column };
    return isBackwards
      ? (sorted.findLast(({ source }) => compare(source, here) < 0) ?? sorted.at(-1) ?? null)
      : (sorted.find(({ source }) => compare(source, here) > 0) ?? sorted[0] ?? null);
  }

  complete(file: string, offset: number): Completions | null {
    // While the text is being typed its words are those of the last check, so that no key waits for a check.
    return complete(this.#texts.get(file) ?? "", offset, this.#vocabulary ?? this.vocabulary());
  }

  hover(file: string, offset: number): HoverAnswer | null {
    return hover({ file, text: this.#texts.get(file) ?? "", offset }, this.vocabulary());
  }

  references(file: string, offset: number): References | null {
    const text = this.#texts.get(file) ?? "";
    return referencesAt({ text, offset, files: this.#files(), documents: this.#known().documents }, this.vocabulary());
  }

  outline(file: string): readonly OutlineEntry[] {
    return outlineOf(this.#texts.get(file) ?? "");
  }

  line(file: string, line: number): LineMeaning | null {
    return lineMeaning(file, line, this.vocabulary(), this.#known().diagnostics);
  }

  /** The rules of a file with what they decided so far. */
  rules(file: string): readonly RuleMark[] {
    const vocabulary = this.vocabulary();
    return vocabulary.world.policies
      .filter(({ source }) => source.file === file)
      .flatMap((policy) =>
        policy.rules.map((rule) => ({
          policyKey: policy.key,
          rule: ruleLabel(rule),
          line: rule.source.line,
          use: useOf(policy, rule, vocabulary),
        })),
      );
  }

  explain(code: string): Explanation | null {
    const known = Object.hasOwn(DIAGNOSTICS, code) ? DIAGNOSTICS[code as keyof typeof DIAGNOSTICS] : null;
    return known && { code, title: known.title, meaning: known.meaning, remedy: known.remedy };
  }

  /** Proves the tests of the workspace against the texts as they stand; gives way after each case. */
  *prove(): Generator<null, ProofSummary> {
    const reading = this.#known();
    const nothing = { marks: [], counts: { holds: 0, fails: 0, vacuous: 0, refused: 0 }, touched: [], untouched: [] };
    if (!reading.ok) return { ...nothing, notRun: "The texts have errors; tests run when there are none." };
    try {
      requireFewCases(reading.tests);
    } catch (error) {
      return { ...nothing, notRun: error instanceof Error ? error.message : String(error) };
    }
    const world = withoutExpired(reading.world, this.#nowUnixMs);
    const prover = createProver(world);
    const marks: TestMark[] = [];
    const counts = { ...nothing.counts };
    for (const test of reading.tests) {
      for (const result of prover.prove(test)) {
        counts[result.status] += 1;
        marks.push(markOf(result));
        yield null;
      }
    }
    const untouchedRules = new Set(prover.coverage().untouched.map(({ rule }) => placeText(rule.source)));
    const all = world.policies.flatMap(({ rules }) =>
      rules.filter(({ action }) => action !== "pass").map(({ source }) => placeText(source)),
    );
    return {
      marks,
      counts,
      touched: all.filter((place) => !untouchedRules.has(place)),
      untouched: [...untouchedRules],
      notRun: "",
    };
  }

  vocabulary(): Vocabulary {
    const reading = this.#known();
    if (this.#vocabulary?.world !== reading.world) this.#vocabulary = collectVocabulary(reading, this.#facts);
    return this.#vocabulary;
  }

  #known(): ReadResult {
    return this.#reading ?? this.#read(this.#nowUnixMs);
  }

  #read(nowUnixMs: number): ReadResult {
    this.#nowUnixMs = nowUnixMs;
    if (this.#reading) return this.#reading;
    this.#reading = this.#reader.read(this.#files(), { nowUnixMs });
    this.#subjects = new Map();
    return this.#reading;
  }

  #sortedFiles(): readonly string[] {
    return [...this.#texts.keys()].sort();
  }

  #files(): readonly SourceFile[] {
    return this.#sortedFiles().map((path) => ({ path, text: this.#texts.get(path) ?? "" }));
  }

  #describe({ key, kind, name, tier, source, ruleCount }: DocumentInfo): DocumentFacts {
    const subjects = tier === null ? [] : this.#subjectsOf(key);
    return {
      ...{ key, kind, name, source, ruleCount },
      isPolicy: tier !== null,
      subjectCount: subjects.length,
      subjectKeys: subjects.slice(0, MAX_SUBJECTS),
    };
  }

  #subjectsOf(key: string): readonly string[] {
    const known = this.#subjects.get(key);
    if (known) return known;
    const { world } = this.#known();
    const policy = world.policies.find((each) => each.key === key);
    const subjects = policy ? subjectsOf(world.inventory, policy).map((endpoint) => endpoint.key) : [];
    this.#subjects.set(key, subjects);
    return subjects;
  }
}

/** Problems by severity. */
class Counts {
  #errors = 0;
  #warnings = 0;
  #notes = 0;

  get counts(): ProblemCounts {
    return { errors: this.#errors, warnings: this.#warnings, notes: this.#notes };
  }

  add({ severity }: Diagnostic): void {
    if (severity === "error") this.#errors += 1;
    else if (severity === "warning") this.#warnings += 1;
    else this.#notes += 1;
  }
}

class FileCounts extends Counts {
  readonly first: SourceRange;

  constructor(first: SourceRange) {
    super();
    this.first = first;
  }
}

function placeText({ file, line }: SourceRange): string {
  return `${file}:${line}`;
}

function markOf({ test, testCase, status, why, counterexample }: CaseResult): TestMark {
  const { source } = testCase;
  const decisions = counterexample ? [counterexample.connection.ingress, counterexample.connection.egress] : [];
  const decided = decisions.find((decision) => decision.source !== null && decision.source.file !== "");
  return {
    file: source.file,
    line: source.line,
    endLine: source.endLine,
    name: `${test.namespace}/${test.name}[${testCase.index}]`,
    status,
    text: counterexample ? describeCounterexample(counterexample) : (why ?? ""),
    because: testCase.because ?? "",
    decidedAt: decided?.source ?? null,
  };
}
