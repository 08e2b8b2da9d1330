/** The thread that goes through recorded flows: what other policies would have decided, or which ones they would have needed. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { DraftForResponseSchema } from "@wardline/api/wardline/console/v1/picture";
import { SimulatePoliciesResponseSchema } from "@wardline/api/wardline/console/v1/policies";
import { FindSuggestionsResponseSchema } from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createPolicyReader, type PolicyWorld, type ReadResult, withoutExpired } from "@wardline/domain/policy";
import { type RecordedFlow, Simulation } from "@wardline/domain/policy/simulate";
import { PolicySuggester } from "@wardline/domain/policy/suggest";
import { type Checkpoint, serveCalls, Transferred } from "../async/thread-calls.ts";
import { toWireDraft } from "../picture/draft-wire.ts";
import { toWireClassCounts, toWireCounts, toWireGroup } from "../policies/simulate-wire.ts";
import { toWireSuggestions } from "../ship/verdicts/suggestion-wire.ts";
import type {
  AddRequest,
  CountsAnswer,
  DraftRequest,
  OpenAnswer,
  PolicyText,
  PolicyTexts,
  ResultAnswer,
  ResultRequest,
  SimulateRequest,
  SuggestRequest,
} from "./replay-protocol.ts";

const GROUPS_IN_MESSAGE = 100;
/** Flows between two looks at whether anybody still waits. */
const FLOWS_AT_ONCE = 100;

/** What flows are given to. */
interface Replay {
  /** @param count flows that it stands for */
  add(flow: RecordedFlow, count: number): void;
  counts(): CountsAnswer | null;
  /** Messages of the stream. */
  result(request: ResultRequest): ResultAnswer;
}

/** Most of a draft is what it was a moment ago, and so is what is enforced. */
const readers = { candidate: createPolicyReader(), enforced: createPolicyReader() };
let kept: { readonly digest: string; readonly files: readonly PolicyText[] } | null = null;
let replay: Replay | null = null;

/** `null` = their files are not known here. */
function filesOf({ digest, files, changed }: PolicyTexts): readonly PolicyText[] | null {
  if (files !== null) kept = { digest, files };
  if (kept?.digest !== digest) return null;
  if (changed.length === 0) return kept.files;
  const texts = new Map([...kept.files, ...changed].map(({ path, text }) => [path, text]));
  return [...texts].map(([path, text]) => ({ path, text })).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function simulate(request: SimulateRequest, checkpoint: Checkpoint): OpenAnswer {
  replay = null;
  const files = filesOf(request.texts);
  if (files === null) return "missing";
  const { enforced, nowMs, sampleEvery, maxGroups } = request;
  const candidate = worldOf(readers.candidate.read(files), "The candidate", nowMs);
  checkpoint();
  const base = enforced && worldOf(readers.enforced.read(enforced), "What is enforced", nowMs);
  checkpoint();
  const simulation = new Simulation({ candidate, base, sampleEvery, maxGroups });
  replay = {
    add: (flow) => simulation.add(flow),
    counts: () => simulation.counts(),
    result: ({ total }) => simulationMessages(simulation, total),
  };
  return "open";
}

function simulationMessages(simulation: Simulation, total: number): ResultAnswer {
  const result = simulation.result();
  const { groups, other } = result;
  const messages: Uint8Array<ArrayBuffer>[] = [];
  const add = (event: MessageInitShape<typeof SimulatePoliciesResponseSchema>) =>
    messages.push(toBinary(SimulatePoliciesResponseSchema, create(SimulatePoliciesResponseSchema, event)));
  for (let start = 0; start < groups.length; start += GROUPS_IN_MESSAGE) {
    const own = groups.slice(start, start + GROUPS_IN_MESSAGE).map(toWireGroup);
    add({ event: { case: "groups", value: { groups: own } } });
  }
  const counts = toWireCounts(result, total);
  const otherRecorded = toWireClassCounts(other.recorded);
  const otherBase = other.base === null ? [] : toWireClassCounts(other.base);
  add({ event: { case: "done", value: { counts, otherRecorded, otherBase } } });
  return messages;
}

/** Also while the draft has errors: suggestions are about who there is. */
function suggest(request: SuggestRequest, checkpoint: Checkpoint): OpenAnswer {
  replay = null;
  const files = filesOf(request.texts);
  if (files === null) return "missing";
  const { generalize, minFlows, format } = request;
  const { inventory } = readers.candidate.read(files).world;
  checkpoint();
  const noise = minFlows === null ? {} : { minFlows };
  const suggester = new PolicySuggester({ inventory, generalize, format, noise });
  let read = 0;
  replay = {
    add: (flow) => {
      suggester.add(flow);
      read += 1;
    },
    counts: () => null,
    result: ({ total }) => {
      const value = toWireSuggestions(suggester.result(), { total, read, taken: files.map(({ path }) => path) });
      const event = { case: "done", value } as const;
      return [toBinary(FindSuggestionsResponseSchema, create(FindSuggestionsResponseSchema, { event }))];
    },
  };
  return "open";
}

/** What some endpoints need, from records of the history. */
function draftFor({ texts, subjects: keys, groupBy }: DraftRequest, checkpoint: Checkpoint): OpenAnswer {
  replay = null;
  const files = filesOf(texts);
  if (files === null) return "missing";
  const { inventory } = readers.candidate.read(files).world;
  checkpoint();
  const subjects = new Set(keys);
  const grouping = groupBy === null ? {} : { grouping: { groupBy } };
  const suggester = new PolicySuggester({ inventory, subjects, ...grouping });
  replay = {
    add: (flow, count) => suggester.add(flow, count),
    counts: () => null,
    result: () => [toBinary(DraftForResponseSchema, toWireDraft(suggester.result(), subjects))],
  };
  return "open";
}

function worldOf(reading: ReadResult, what: string, nowMs: number): PolicyWorld {
  if (reading.ok) return withoutExpired(reading.world, nowMs);
  throw new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: `${what} has errors, so nobody can say what it decides.`,
    hint: "Correct them first; each error says where it is.",
    diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
  });
}

function opened(): Replay {
  if (!replay) throw new Error("policies are opened before flows are added");
  return replay;
}

function add({ flows, counts }: AddRequest, checkpoint: Checkpoint): void {
  const own = opened();
  for (const [index, flow] of flows.entries()) {
    if (index % FLOWS_AT_ONCE === 0) checkpoint();
    own.add(flow, counts?.[index] ?? 1);
  }
}

/** The counts are let go: nobody asks for them any more. */
function result(request: ResultRequest): Transferred {
  const messages = opened().result(request);
  replay = null;
  // Some are views into the encoder's buffer.
  const own = messages.map((bytes) => new Uint8Array(bytes));
  return new Transferred(
    own,
    own.map(({ buffer }) => buffer),
  );
}

serveCalls({ simulate, suggest, draftFor, add, counts: () => opened().counts(), result });
