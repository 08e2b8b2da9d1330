/** The smallest policies that recorded flows would have needed. Changes nothing: a person accepts them. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type FindSuggestionsRequest,
  type FindSuggestionsResponse,
  FindSuggestionsResponseSchema,
  PolicySuggestionSchema,
  SeenConnectionSchema,
  SuggestedRuleSchema,
  SuggestionLeftOutSchema,
  type PolicySuggestion as WireSuggestion,
} from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type LeftOut,
  PolicySuggester,
  type PolicySuggestion,
  type SeenConnection,
  type SuggestedRule,
} from "@wardline/domain/policy/suggest";
import { toWireDirection } from "@wardline/domain/wire";
import { recordedFlows } from "../../flows/recorded-batches.ts";
import type { Workspace } from "../../policies/workspace.ts";
import type { Clock } from "../../ports.ts";
import type { FlowsTable } from "../../store/flows-table.ts";

const PROGRESS_INTERVAL_MS = 200;
const MAX_SUGGESTIONS = 500;
const MAX_MIN_FLOWS = 1_000_000;

export interface SuggestionPorts {
  readonly workspace: Pick<Workspace, "snapshot">;
  readonly flows: FlowsTable;
  readonly clock: Clock;
}

/** @throws Failure INVALID_ARGUMENT */
export async function* findSuggestions(
  { workspace, flows, clock }: SuggestionPorts,
  request: FindSuggestionsRequest,
  signal: AbortSignal,
): AsyncGenerator<FindSuggestionsResponse> {
  const { generalize, minFlows, asNetworkPolicy } = request;
  if (!(generalize >= 0 && generalize <= 1) || minFlows > MAX_MIN_FLOWS) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "How wide suggestions are is a number from 0 (what was seen) to 1 (as wide as makes sense).",
    });
  }
  const { reading, files } = workspace.snapshot();
  const suggester = new PolicySuggester({
    inventory: reading.world.inventory,
    generalize,
    format: asNetworkPolicy ? "k8s" : "wardline",
    noise: minFlows === 0 ? {} : { minFlows },
  });
  const { total, batches } = await recordedFlows(flows, request.filter, signal);
  let read = 0;
  let toldAtMs = clock.nowMs();
  for await (const batch of batches) {
    for (const flow of batch.flows) suggester.add(flow);
    read += batch.flows.length;
    if (signal.aborted) return;
    if (clock.nowMs() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
    toldAtMs = clock.nowMs();
    yield create(FindSuggestionsResponseSchema, {
      event: { case: "progress", value: { total: BigInt(total), read: BigInt(read) } },
    });
  }
  if (signal.aborted) return;
  const result = suggester.result();
  const taken = new Set(files.map(({ path }) => path));
  yield create(FindSuggestionsResponseSchema, {
    event: {
      case: "done",
      value: {
        counts: { total: BigInt(total), read: BigInt(read) },
        suggestions: result.suggestions.slice(0, MAX_SUGGESTIONS).map((one) => toWireSuggestion(one, taken)),
        suggestionsLeftOut: Math.max(0, result.suggestions.length - MAX_SUGGESTIONS),
        leftOut: result.leftOut.map(toWireLeftOut),
        withoutVerdict: BigInt(result.withoutVerdict),
        tooMany: BigInt(result.tooMany),
      },
    },
  });
}

function toWireSuggestion(suggestion: PolicySuggestion, taken: Set<string>): WireSuggestion {
  const { name, namespace, group, subjectKeys, rules, confidence, policyText, testText, notes } = suggestion;
  const path = freePath(`policies/${namespace}-${name}`, taken);
  taken.add(path);
  return create(PolicySuggestionSchema, {
    ...{ name, namespace, group, confidence, policyText, path },
    subjectKeys: [...subjectKeys],
    rules: rules.map(toWireRule),
    testText: testText ?? "",
    notes: [...notes],
  });
}

function freePath(stem: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const path = number === 1 ? `${stem}.yaml` : `${stem}-${number}.yaml`;
    if (!taken.has(path)) return path;
  }
}

function toWireRule({ direction, peers, ports, confidence, evidence, examples }: SuggestedRule) {
  const { flows, firstSeenMs, lastSeenMs, ...rest } = evidence;
  return create(SuggestedRuleSchema, {
    direction: toWireDirection(direction),
    peers: [...peers],
    ports: [...ports],
    confidence,
    evidence: {
      ...rest,
      flows: BigInt(flows),
      ...(firstSeenMs === null ? {} : { firstSeen: timestampFromMs(firstSeenMs) }),
      ...(lastSeenMs === null ? {} : { lastSeen: timestampFromMs(lastSeenMs) }),
    },
    talkers: examples.map(toWireConnection),
  });
}

function toWireConnection({ flows, denied, ...rest }: SeenConnection) {
  return create(SeenConnectionSchema, { ...rest, flows: BigInt(flows), denied: BigInt(denied) });
}

function toWireLeftOut({ reason, connections, flows, denied, examples }: LeftOut) {
  return create(SuggestionLeftOutSchema, {
    reason,
    connections: BigInt(connections),
    flows: BigInt(flows),
    denied: BigInt(denied),
    talkers: examples.map(toWireConnection),
  });
}
