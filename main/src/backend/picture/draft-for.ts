/** The least that what was seen among and into some nodes needs, as a text to read. Nothing is added anywhere. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowRecord, QueryNode } from "@wardline/domain/flows";
import { canonicalAddress, type Endpoint, effectiveAddresses, type Inventory } from "@wardline/domain/policy";
import type { PictureGrouping, PictureNode } from "@wardline/domain/policy/picture";
import type { RecordedFlow } from "@wardline/domain/policy/simulate";
import { type LeftOutReason, PolicySuggester, type PolicySuggestion } from "@wardline/domain/policy/suggest";
import { toWireDirection } from "@wardline/domain/wire";
import { nextTurn } from "../async/next-turn.ts";
import type { FlowHistory, LabelResolver } from "../history/flow-history.ts";
import type { Window } from "./basis.ts";

/** Records that are learned from; more are left out, and the answer says so. */
const MAX_RECORDS = 400_000;
/** More addresses than that are asked for all at once. */
const MAX_ADDRESSES = 400;

const REASONS: Record<LeftOutReason, string> = {
  essential: "always pass",
  multicast: "are multicast or broadcast",
  "ends-unknown": "have no end in the inventory",
  "several-endpoints": "go to an address that several endpoints have",
  denied: "were denied",
  scan: "look like a scan",
  "ephemeral-port": "go to a port that programs take as they come",
  rare: "were seen too rarely",
  "not-expressible": "need a protocol that this format cannot name",
  "subject-not-recorded": "are of hosts that recorded nothing themselves",
};

export interface DraftForInput {
  readonly inventory: Inventory;
  readonly nodes: readonly PictureNode[];
  readonly grouping: PictureGrouping;
  readonly window: Window;
  readonly history: FlowHistory;
  readonly labels: LabelResolver;
  /** Whether a file of this name is there already. */
  readonly isTaken: (path: string) => boolean;
}

/** @throws Failure INVALID_ARGUMENT, and of the store */
export async function draftFor(input: DraftForInput, signal: AbortSignal): Promise<wire.DraftForResponse> {
  const { inventory, nodes, grouping, window } = input;
  const members = nodes.flatMap((node) => node.members);
  if (members.length === 0) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "None of these has an endpoint, so there is nobody to write a policy for.",
      hint: "Choose a group of hosts or workloads as well.",
    });
  }
  const subjects = new Set(members.map(({ key }) => key));
  const suggester = new PolicySuggester({
    ...{ inventory, subjects },
    ...(grouping.by === "labels" ? { grouping: { groupBy: grouping.keys } } : {}),
  });
  let records = 0;
  for await (const piece of recordsOf(input, members, signal)) {
    for (const record of piece) for (const [flow, count] of flowsOf(record)) suggester.add(flow, count);
    records += piece.length;
    if (records >= MAX_RECORDS || signal.aborted) break;
    await nextTurn();
  }
  const { suggestions, leftOut } = suggester.result();
  const notes = leftOut
    .filter(({ reason }) => reason !== "subject-not-recorded" && reason !== "ends-unknown")
    .map(
      ({ reason, connections }) => `${connections.toLocaleString("en")} talks ${REASONS[reason]}: they are left out.`,
    );
  if (records >= MAX_RECORDS)
    notes.push(`Only the oldest ${MAX_RECORDS.toLocaleString("en")} records of the window were read.`);
  const seen = new Set(suggestions.flatMap(({ subjectKeys }) => subjectKeys));
  const silent = members.filter(({ key }) => !seen.has(key)).length;
  if (silent > 0)
    notes.push(
      `${silent.toLocaleString("en")} of ${members.length.toLocaleString("en")} endpoints recorded nothing in the window: there is no policy for them.`,
    );
  return create(wire.DraftForResponseSchema, {
    suggestions: suggestions.map(toWireSuggestion),
    text: suggestions
      .flatMap(({ policyText, testText }) => (testText === null ? [policyText] : [policyText, testText]))
      .join("---\n"),
    path: freePath(suggestions, input.isTaken),
    flowRecords: BigInt(records),
    notes,
    since: timestampFromMs(window.sinceMs),
    until: timestampFromMs(window.untilMs),
  });
}

function recordsOf(
  { history, inventory, window, labels }: DraftForInput,
  members: readonly Endpoint[],
  signal: AbortSignal,
) {
  const addresses = new Set(
    members.flatMap((member) => effectiveAddresses(inventory, member).flatMap((text) => canonicalAddress(text) ?? [])),
  );
  const where: QueryNode =
    addresses.size === 0 || addresses.size > MAX_ADDRESSES
      ? { kind: "all" }
      : { kind: "field", field: "address", values: [...addresses] };
  return history.replay({ where, ...window }, { labels }, signal);
}

/** A record stands for connections that were let through, and for packets that were not. */
function* flowsOf(record: FlowRecord): Generator<readonly [RecordedFlow, number]> {
  const { direction, protocol, sourceAddress, destinationAddress, verdict, enforced, subjectKey, host } = record;
  // Folded: nobody knows any more between whom.
  if (sourceAddress === "" || destinationAddress === "") return;
  const flow = {
    ...{ timeMs: record.lastSeenMs, direction, protocol, sourceAddress, destinationAddress },
    ...{ port: record.destinationPort, verdict, enforced, subjectKey, host },
  };
  const { started, ended, deniedPackets } = record;
  if (started > 0) yield [{ ...flow, kind: "start" }, started];
  if (ended > 0) yield [{ ...flow, kind: "end" }, ended];
  if (deniedPackets > 0) yield [{ ...flow, kind: "deny" }, deniedPackets];
}

function toWireSuggestion(suggestion: PolicySuggestion): wire.PictureSuggestion {
  const { name, namespace, group, subjectKeys, confidence, policyText, testText, notes } = suggestion;
  return create(wire.PictureSuggestionSchema, {
    ...{ name, namespace, group, confidence, policyText, testText: testText ?? "" },
    subjectKeys: [...subjectKeys],
    notes: [...notes],
    rules: suggestion.rules.map(({ direction, peers, ports, confidence: sure, evidence }) => ({
      direction: toWireDirection(direction),
      peers: [...peers],
      ports: [...ports],
      confidence: sure,
      connections: BigInt(evidence.flows),
      ...(evidence.lastSeenMs === null ? {} : { lastSeen: timestampFromMs(evidence.lastSeenMs) }),
    })),
  });
}

function freePath(suggestions: readonly PolicySuggestion[], isTaken: (path: string) => boolean): string {
  const [first] = suggestions;
  const name = first ? `${first.namespace}-${first.name}` : "suggested";
  for (let number = 1; ; number++) {
    const path = number === 1 ? `${name}.yaml` : `${name}-${number}.yaml`;
    if (!isTaken(path)) return path;
  }
}
