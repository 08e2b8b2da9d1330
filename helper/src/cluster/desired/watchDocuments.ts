/** The desired set as a stream: a snapshot in parts, then what each set changed, numbered. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type WatchDocumentsRequest,
  type WatchDocumentsResponse,
  WatchDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import type { Clock } from "../../agent/clock.ts";
import { changeOf, KEPT_TOMBSTONE_MS } from "./desiredDuties.ts";
import type { Past } from "./past.ts";
import type { DesiredReplicaView, DesiredState } from "./types.ts";

const PART_BYTES = 1_000_000;
const PART_DOCUMENTS = 500;
/** A day less than tombstones are kept: clocks and pruning are not exact. */
const RESUMABLE_MS = KEPT_TOMBSTONE_MS - 86_400_000;

export interface WatchPorts {
  readonly replica: DesiredReplicaView;
  readonly past: Past;
  readonly clock: Clock;
}

type Part = Omit<WatchDocumentsResponse, "$typeName" | "sequence" | "head"> & { state: DesiredState };

/** Ends with the signal. A reader that is slow gets several changes as one: each message ends at a whole set. */
export async function* watchDocuments(
  ports: WatchPorts,
  { keyPrefix, afterSetNumber }: WatchDocumentsRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchDocumentsResponse> {
  const { replica } = ports;
  let sequence = 0n;
  const message = ({ state, ...part }: Part) => {
    sequence += 1n;
    return create(WatchDocumentsResponseSchema, { sequence, ...part, ...(state.head && { head: state.head }) });
  };
  let seen: DesiredState | null = null;
  while (!signal.aborted) {
    const { state } = replica;
    if (state === null || state === seen || (seen && state.headRevision === seen.headRevision)) {
      await changeOf(replica, signal);
      continue;
    }
    const isFirst = seen === null;
    const after = isFirst ? await resumable(ports, afterSetNumber, state) : (seen?.head?.setNumber ?? 0n);
    if (after === null) {
      for (const part of parts(select(state, keyPrefix, (document) => !document.deleted))) {
        if (signal.aborted) return;
        yield message({ ...part, snapshot: true, state });
      }
    } else {
      const documents = select(state, keyPrefix, ({ setNumber }) => setNumber > after);
      for (const { documents: some } of parts(documents)) {
        if (signal.aborted) return;
        yield message({ documents: some, snapshot: false, snapshotComplete: false, state });
      }
    }
    seen = state;
  }
}

/** The number that changes can be told from; `null` = only a snapshot tells everything. */
async function resumable({ past, clock }: WatchPorts, after: bigint, state: DesiredState): Promise<bigint | null> {
  const newest = state.head?.setNumber ?? 0n;
  if (after === 0n || after > newest) return null;
  if (after === newest) return after;
  const set = await past.set(after);
  if (!set?.writtenAt) return null;
  return clock.wallMs() - timestampMs(set.writtenAt) < RESUMABLE_MS ? after : null;
}

function select(
  { documents }: DesiredState,
  prefix: string,
  isMeant: (document: DocumentVersion) => boolean,
): DocumentVersion[] {
  const chosen: DocumentVersion[] = [];
  for (const document of documents.values()) {
    if (document.key.startsWith(prefix) && isMeant(document)) chosen.push(document);
  }
  return chosen.sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** At least one part; the last one is complete. */
function* parts(documents: readonly DocumentVersion[]): Generator<{
  documents: DocumentVersion[];
  snapshotComplete: boolean;
}> {
  let part: DocumentVersion[] = [];
  let bytes = 0;
  for (const document of documents) {
    if (part.length > 0 && (part.length >= PART_DOCUMENTS || bytes + document.text.length > PART_BYTES)) {
      yield { documents: part, snapshotComplete: false };
      [part, bytes] = [[], 0];
    }
    part.push(document);
    bytes += document.text.length;
  }
  yield { documents: part, snapshotComplete: true };
}
