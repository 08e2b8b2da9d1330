/** Which set a host should have in force, given the newest head. */
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type DesiredHead, type DocumentVersion, SetState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SourceFile } from "@wardline/domain/policy";
import type { EnforcementMode } from "../../enforce/enforcer.ts";
import { CONFIRM_WITHIN_MAX_MS, CONFIRM_WITHIN_MIN_MS } from "../../generations/limits.ts";
import type { Past } from "./past.ts";
import { modeOf } from "./records.ts";
import { confirmedNumber } from "./setHead.ts";
import { filesOf } from "./setValidator.ts";
import type { DesiredState } from "./types.ts";

export interface SyncTarget {
  readonly setNumber: bigint;
  readonly setDigest: string;
  readonly files: readonly SourceFile[];
  readonly mode: EnforcementMode;
  readonly author: string;
  readonly reason: string;
  /** How long from now on the cluster may still take it back; `null` = it is confirmed. */
  readonly pendingForMs: number | null;
}

/** A host gives the cluster this long after its deadline to hear of a confirmation at the last moment. */
const PENDING_SLACK_MS = 3_000;

/** Less time than this is not worth a change that most likely is taken back. */
export const MIN_PENDING_MS = 3_000;

export interface SyncMoment {
  readonly wallMs: number;
  /** How long ago the newest head was written, where this host saw that happen; `null` = only the head itself says when. */
  readonly seenForMs: number | null;
}

/** The set to go for; `null` = there is none, the host is its own master. */
export async function targetOf(
  state: DesiredState,
  past: Past,
  moment: SyncMoment,
  /** Pending sets that this host tried and left: they count again once they are confirmed. */
  abandoned: bigint,
): Promise<SyncTarget | null> {
  const { head } = state;
  if (head === null) return null;
  if (head.state === SetState.CONFIRMED) return toTarget(head, state.documents.values(), null);
  const forMs = pendingForMs(head, moment);
  const isWorthIt = head.state === SetState.PENDING && forMs >= MIN_PENDING_MS;
  if (isWorthIt && head.setNumber !== abandoned) return toTarget(head, state.documents.values(), forMs);
  return confirmedTarget(state, head, past);
}

/** The newest confirmed set below a head that is not. */
export async function confirmedTarget(state: DesiredState, head: DesiredHead, past: Past): Promise<SyncTarget | null> {
  const number = confirmedNumber(head);
  if (number === 0n) return null;
  const then = await past.set(number);
  if (!then) {
    const message = `Set ${number}, the newest that was confirmed, is not in the store.`;
    throw new Failure({ code: ErrorCode.INTERNAL, message });
  }
  const documents = new Map(state.documents);
  for (const { key, text } of await past.differences(state, number)) {
    const newest = documents.get(key);
    if (text === null) documents.delete(key);
    else if (newest) documents.set(key, { ...newest, text, deleted: false });
  }
  return toTarget(then, documents.values(), null);
}

function toTarget(head: DesiredHead, documents: Iterable<DocumentVersion>, forMs: number | null): SyncTarget {
  const { setNumber, digest, author, reason } = head;
  const mode = modeOf(head);
  if (mode === null) {
    const message = `Set ${setNumber} is to be enforced in a way that this agent does not know.`;
    throw new Failure({ code: ErrorCode.VERSION_MISMATCH, message, hint: "Update the agent on this host." });
  }
  return { setNumber, setDigest: digest, files: filesOf(documents), mode, author, reason, pendingForMs: forMs };
}

/** Never more than the whole time, whatever this host's clock says. */
function pendingForMs({ confirmBy, confirmWithin }: DesiredHead, { wallMs, seenForMs }: SyncMoment): number {
  const wholeMs = confirmWithin ? Math.min(durationMs(confirmWithin), CONFIRM_WITHIN_MAX_MS) : 0;
  if (seenForMs !== null) return wholeMs - seenForMs;
  return Math.min((confirmBy ? timestampMs(confirmBy) : 0) - wallMs, wholeMs);
}

/** How long a host waits for what lets it keep the set. */
export function waitMs({ pendingForMs: forMs }: SyncTarget, safetyDeadlineMs: number): number {
  const wantedMs = forMs === null ? safetyDeadlineMs : forMs + PENDING_SLACK_MS;
  return Math.min(Math.max(wantedMs, CONFIRM_WITHIN_MIN_MS), CONFIRM_WITHIN_MAX_MS);
}

/** The digest of files that mostly are the same as the last time. */
export class DigestMemory {
  readonly #digest: (files: readonly SourceFile[]) => string;
  #files: readonly SourceFile[] = [];
  #value = "";

  constructor(digest: (files: readonly SourceFile[]) => string) {
    this.#digest = digest;
  }

  of(files: readonly SourceFile[]): string {
    const isSame = this.#value !== "" && files.length === this.#files.length && files.every(this.#isKnown, this);
    if (!isSame) [this.#files, this.#value] = [files, this.#digest(files)];
    return this.#value;
  }

  #isKnown({ path, text }: SourceFile, index: number): boolean {
    const known = this.#files[index];
    return known?.path === path && known.text === text;
  }
}
