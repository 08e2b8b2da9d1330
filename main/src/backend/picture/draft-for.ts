/** The least that what was seen among and into some nodes needs, as a text to read. Nothing is added anywhere. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowRecord, QueryNode } from "@wardline/domain/flows";
import { canonicalAddress, type Endpoint, effectiveAddresses, type Inventory } from "@wardline/domain/policy";
import type { PictureGrouping, PictureNode } from "@wardline/domain/policy/picture";
import type { RecordedFlow } from "@wardline/domain/policy/simulate";
import type { FlowHistory, LabelResolver } from "../history/flow-history.ts";
import type { WorkspaceSnapshot } from "../policies/workspace.ts";
import { type FlowReplays, openWithDraft } from "../replay/flow-replays.ts";
import type { AddRequest, DraftRequest, PolicyText, ResultAnswer } from "../replay/replay-protocol.ts";
import type { Window } from "./basis.ts";

/** Records that are learned from; more are left out, and the answer says so. */
const MAX_RECORDS = 400_000;
/** More addresses than that are asked for all at once. */
const MAX_ADDRESSES = 400;

export interface DraftForInput {
  readonly draft: Pick<WorkspaceSnapshot, "stateDigest" | "files">;
  /** Texts on top of the draft. */
  readonly changed: readonly PolicyText[];
  readonly replays: FlowReplays;
  /** Of both. */
  readonly inventory: Inventory;
  readonly nodes: readonly Pick<PictureNode, "members">[];
  readonly grouping: PictureGrouping;
  readonly window: Window;
  readonly history: Pick<FlowHistory, "replay">;
  readonly labels: LabelResolver;
  /** Whether a file of this name is there already. */
  readonly isTaken: (path: string) => boolean;
}

/**
 * A thread reads the draft, takes the records in and writes the policies; here they only go by.
 * @throws Failure INVALID_ARGUMENT, TOO_LARGE (too many at once), DEADLINE_EXCEEDED, and of the store
 */
export async function draftFor(input: DraftForInput, signal: AbortSignal): Promise<wire.DraftForResponse> {
  const { nodes, grouping, window, draft, changed, replays } = input;
  const members = nodes.flatMap((node) => node.members);
  if (members.length === 0) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "None of these has an endpoint, so there is nobody to write a policy for.",
      hint: "Choose a group of hosts or workloads as well.",
    });
  }
  const subjects = [...new Set(members.map(({ key }) => key))];
  const groupBy = grouping.by === "labels" ? grouping.keys : null;
  const answers = replays.run(signal, async function* (thread, own) {
    await openWithDraft(thread, draft, changed, (texts) => ({
      method: "draftFor",
      request: { texts, subjects, groupBy } satisfies DraftRequest,
    }));
    let records = 0;
    for await (const piece of recordsOf(input, members, own)) {
      const seen = piece.flatMap((record) => [...flowsOf(record)]);
      const request: AddRequest = { flows: seen.map(([flow]) => flow), counts: seen.map(([, count]) => count) };
      await thread.call("add", request);
      records += piece.length;
      if (records >= MAX_RECORDS) break;
    }
    own.throwIfAborted();
    const [bytes] = (await thread.call("result", { total: records })) as ResultAnswer;
    const answer = fromBinary(wire.DraftForResponseSchema, bytes ?? new Uint8Array());
    if (records >= MAX_RECORDS)
      answer.notes.push(`Only the oldest ${MAX_RECORDS.toLocaleString("en")} records of the window were read.`);
    yield create(wire.DraftForResponseSchema, {
      ...answer,
      path: freePath(answer.suggestions, input.isTaken),
      flowRecords: BigInt(records),
      since: timestampFromMs(window.sinceMs),
      until: timestampFromMs(window.untilMs),
    });
  });
  for await (const answer of answers) return answer;
  // It ends without a word only when nobody waits any more.
  throw signal.reason;
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

function freePath(suggestions: readonly wire.PictureSuggestion[], isTaken: (path: string) => boolean): string {
  const [first] = suggestions;
  const name = first ? `${first.namespace}-${first.name}` : "suggested";
  for (let number = 1; ; number++) {
    const path = number === 1 ? `${name}.yaml` : `${name}-${number}.yaml`;
    if (!isTaken(path)) return path;
  }
}
