/** Changes of the desired set at the leader, one after the other: plan on the newest set, check the whole, write. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ConfirmSetRequest,
  type RollbackDocumentsRequest,
  type WriteDocumentsRequest,
  type WriteDocumentsResponse,
  WriteDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { type DesiredHead, DesiredHeadSchema, type DocumentVersion, SetState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { toWireDiagnostic } from "@wardline/domain/wire";
import { toTimestamp } from "../../agent/clock.ts";
import { Mutex } from "../../generations/mutex.ts";
import type { HeldTerm } from "../ports.ts";
import { firstAnswer, readFirstAnswer } from "./firstAnswers.ts";
import { Past, toWanted } from "./past.ts";
import { copyHead, encode, isPending, withoutText } from "./records.ts";
import * as refuse from "./refusals.ts";
import { SetCommitter } from "./setCommitter.ts";
import { completeHead, confirmedNumber, stampAll } from "./setHead.ts";
import { planSet, readWrites, type Wanted, withChanges } from "./setPlan.ts";
import { SetValidator } from "./setValidator.ts";
import type { Author, DesiredSetPorts, DesiredState } from "./types.ts";

/** Plans that are overtaken: by the leader before, whose last write arrives late. Never by this one. */
const MAX_ATTEMPTS = 5;

/** What a write wants besides documents. */
interface Intent {
  readonly author: string;
  readonly reason: string;
  /** UNSPECIFIED = as it is. */
  readonly mode: EnforcementMode;
  readonly confirmWithinMs: number | null;
  readonly dryRun: boolean;
  readonly request: WriteDocumentsRequest | null;
  wanted(state: DesiredState): Promise<readonly Wanted[]>;
}

export class SetWriter {
  readonly #ports: DesiredSetPorts;
  readonly #mutex = new Mutex();
  readonly #validator = new SetValidator();
  readonly #committer: SetCommitter;
  readonly #past: Past;
  /** Newest head that this node knows of in this term; the replica has to be there before anything is planned. */
  #known: { term: bigint; headRevision: bigint } | null = null;

  constructor(ports: DesiredSetPorts) {
    const { store, keys, checkpoint } = ports;
    this.#ports = ports;
    this.#committer = new SetCommitter({ store, keys, checkpoint });
    this.#past = new Past(store, keys);
  }

  write(request: WriteDocumentsRequest, { actor }: Author): Promise<WriteDocumentsResponse> {
    return this.#mutex.run(async () => {
      this.#term();
      const repeated = await readFirstAnswer(this.#ports.store, this.#ports.keys, request);
      if (repeated) return repeated;
      const { reason, mode, dryRun } = request;
      const confirmWithinMs = request.confirmWithin ? durationMs(request.confirmWithin) : null;
      const wanted = async (state: DesiredState) => readWrites(request, state);
      return this.#change({ author: actor, reason, mode, confirmWithinMs, dryRun, request, wanted });
    });
  }

  rollback(request: RollbackDocumentsRequest, { actor }: Author): Promise<WriteDocumentsResponse> {
    return this.#mutex.run(() => {
      const confirmWithinMs = request.confirmWithin ? durationMs(request.confirmWithin) : null;
      const { reason, key, toVersion, toSetNumber } = request;
      const wanted = (state: DesiredState) =>
        key === "" ? this.#wholeSet(state, toSetNumber) : this.#oneDocument(state, key, toVersion);
      const mode = EnforcementMode.UNSPECIFIED;
      return this.#change({ author: actor, reason, mode, confirmWithinMs, dryRun: false, request: null, wanted });
    });
  }

  confirm(request: ConfirmSetRequest, { actor }: Author): Promise<DesiredHead> {
    return this.#mutex.run(() =>
      this.#withNewest(async (term, state) => {
        const { head } = state;
        if (head?.setNumber !== request.setNumber) return this.#confirmedBefore(request, head);
        if (head.digest !== request.digest) {
          throw refuse.otherSet(`Set ${head.setNumber} is not the one that was looked at: its digest is another.`);
        }
        if (head.state === SetState.CONFIRMED && !request.rollBack) return head;
        if (!isPending(head)) throw refuse.nothingPending(`Set ${head.setNumber} does not wait for confirmation.`);
        if (request.rollBack) return this.#takeBack(term, state, head, actor, request.reason);
        if (head.confirmBy && this.#ports.clock.wallMs() >= timestampMs(head.confirmBy)) {
          throw refuse.nothingPending(`The time to confirm set ${head.setNumber} has run out.`);
        }
        const confirmed = copyHead(head, { state: SetState.CONFIRMED, endedBy: actor });
        const result = await this.#commit(term, state, confirmed, [], []);
        return result === "again" ? "again" : confirmed;
      }),
    );
  }

  /** For the duty: ends a set that nobody confirmed, if it is still the newest. */
  expire(setNumber: bigint): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#withNewest(async (term, state) => {
        const { head } = state;
        if (!isPending(head) || head.setNumber !== setNumber) return null;
        const reason = `Nobody confirmed set ${setNumber} in time.`;
        return this.#takeBack(term, state, head, "wardline", reason);
      });
    });
  }

  /** For the duty: brings what a leader left half done to its end. */
  tidy(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#withNewest(async (term) => {
        await this.#committer.sweep(term, null);
        return null;
      });
    });
  }

  close(): void {
    this.#validator.forget();
  }

  #term(): HeldTerm {
    const { leadership } = this.#ports;
    const term = leadership.held();
    if (term === null || term.signal.aborted) throw refuse.notLeader(leadership.leader()?.name ?? null);
    return term;
  }

  /** Runs with the newest set, anew when somebody was faster. Throws `Failure` NOT_LEADER and what the store throws. */
  async #withNewest<T>(task: (term: HeldTerm, state: DesiredState) => Promise<T | "again">): Promise<T> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const term = this.#term();
      const state = await this.#newest(term);
      const result = await task(term, state);
      if (result !== "again") return result;
      this.#known = null;
    }
    throw refuse.otherSet("The set changes faster than this write can be made.");
  }

  async #newest(term: HeldTerm): Promise<DesiredState> {
    const { store, keys, replica } = this.#ports;
    if (this.#known?.term !== term.number) {
      const { item } = await store.get(keys.head);
      this.#known = { term: term.number, headRevision: item?.modRevision ?? 0n };
    }
    const state = await replica.atLeast(this.#known.headRevision, term.signal);
    const { overlay } = replica;
    if (!overlay) return state;
    const own = [...state.documents.values()].filter(({ setNumber }) => setNumber === overlay.overlay.setNumber);
    const isDone = await this.#committer.settle(term, overlay.overlay, overlay.revision, own);
    if (!isDone && term.signal.aborted) throw refuse.notLeader(null);
    return state;
  }

  async #change(intent: Intent): Promise<WriteDocumentsResponse> {
    const response = await this.#withNewest((term, state) => this.#changeOnce(intent, term, state));
    // The caller has its answer: documents of a large set reach their places before the next write.
    if (this.#ports.leadership.held()) void this.#settleSoon();
    return response;
  }

  async #changeOnce(intent: Intent, term: HeldTerm, state: DesiredState): Promise<WriteDocumentsResponse | "again"> {
    const { clock } = this.#ports;
    const plan = planSet(await intent.wanted(state), state);
    const nowMs = clock.wallMs();
    const mode = this.#mode(intent, state.head);
    const { unchangedKeys } = plan;
    const isSame = plan.changed.length === 0 && state.head !== null && mode === state.head.mode;
    const head = this.#nextHead(intent, state, mode, term, nowMs);
    const changes = stampAll(plan, head);
    const documents = withChanges(state.documents, changes);
    const diagnostics = this.#validator.check(documents.values(), nowMs, intent.dryRun).map(toWireDiagnostic);
    const answer = { unchangedKeys: [...unchangedKeys], diagnostics };
    if (intent.dryRun || isSame) {
      const written = isSame ? [] : changes.map(withoutText);
      return create(WriteDocumentsResponseSchema, { ...answer, ...(state.head && { head: state.head }), written });
    }
    if (isPending(state.head)) throw refuse.setPending(state.head);
    completeHead(head, changes, documents);
    const response = create(WriteDocumentsResponseSchema, { ...answer, head, written: changes.map(withoutText) });
    const result = await this.#commit(
      term,
      state,
      head,
      changes,
      firstAnswer(this.#ports.keys, intent.request, response),
    );
    return result === "again" ? "again" : response;
  }

  #mode({ mode }: Intent, head: DesiredHead | null): EnforcementMode {
    if (mode !== EnforcementMode.UNSPECIFIED) return mode;
    if (head) return head.mode;
    throw refuse.invalid("The first set has to say whether hosts observe or enforce.");
  }

  #nextHead(intent: Intent, { head }: DesiredState, mode: EnforcementMode, term: HeldTerm, nowMs: number): DesiredHead {
    const { confirmWithinMs } = intent;
    const next = create(DesiredHeadSchema, {
      setNumber: (head?.setNumber ?? 0n) + 1n,
      state: confirmWithinMs === null ? SetState.CONFIRMED : SetState.PENDING,
      mode,
      author: intent.author,
      reason: intent.reason,
      writtenAt: toTimestamp(nowMs),
      term: term.number,
      confirmedSetNumber: head === null ? 0n : confirmedNumber(head),
    });
    if (confirmWithinMs === null) return next;
    next.confirmWithin = durationFromMs(confirmWithinMs);
    next.confirmBy = toTimestamp(nowMs + confirmWithinMs);
    return next;
  }

  /** The documents of a pending set go back to what they were, as a set of its own: version numbers never go back. */
  async #takeBack(
    term: HeldTerm,
    state: DesiredState,
    pending: DesiredHead,
    by: string,
    reason: string,
  ): Promise<DesiredHead | "again"> {
    const confirmed = pending.confirmedSetNumber;
    const plan = planSet(await this.#past.differences(state, pending.setNumber - 1n), state);
    const before = confirmed === 0n ? null : await this.#past.set(confirmed);
    const intent = { author: by, reason, confirmWithinMs: null } as Intent;
    const head = this.#nextHead(intent, state, before?.mode ?? pending.mode, term, this.#ports.clock.wallMs());
    // With nothing confirmed before there is nothing to enforce: hosts are their own masters again.
    if (confirmed === 0n) head.state = SetState.ROLLED_BACK;
    const changes = stampAll(plan, head);
    completeHead(head, changes, withChanges(state.documents, changes));
    const ended = copyHead(pending, { state: SetState.ROLLED_BACK, endedBy: by });
    const { keys } = this.#ports;
    const more = [{ key: keys.set(pending.setNumber), value: encode(DesiredHeadSchema, ended) }];
    const result = await this.#commit(term, state, head, changes, more);
    if (result !== "again") void this.#settleSoon();
    return result === "again" ? "again" : head;
  }

  async #commit(
    term: HeldTerm,
    { headRevision }: DesiredState,
    head: DesiredHead,
    changes: readonly DocumentVersion[],
    more: readonly { readonly key: string; readonly value: Uint8Array }[],
  ): Promise<"written" | "again"> {
    const result = await this.#committer.commit(term, { head, baseRevision: headRevision, changes, more });
    switch (result.kind) {
      case "written":
        this.#known = { term: term.number, headRevision: result.headRevision };
        return "written";
      case "overtaken":
        return "again";
      case "deposed":
        throw refuse.notLeader(this.#ports.leadership.leader()?.name ?? null);
      case "unknown":
        this.#known = null;
        throw refuse.outcomeUnknown(
          result.cause,
          more.some(({ key }) => key.startsWith(this.#ports.keys.requests)),
        );
    }
  }

  async #settleSoon(): Promise<void> {
    try {
      await this.#mutex.run(() => this.#withNewest(async () => null));
    } catch (error) {
      this.#ports.log.warn({ problem: String(error) }, "a written set could not be tidied up yet");
    }
  }

  async #confirmedBefore({ setNumber, digest, rollBack }: ConfirmSetRequest, head: DesiredHead | null) {
    const named = setNumber > (head?.setNumber ?? 0n) ? null : await this.#past.set(setNumber);
    // The answer to an earlier call may have been lost.
    const isSo = rollBack ? SetState.ROLLED_BACK : SetState.CONFIRMED;
    if (named?.digest === digest && named.state === isSo) return rollBack && head ? head : named;
    const newest = head ? `set ${head.setNumber} is the newest` : "nothing was ever written";
    throw refuse.nothingPending(`Set ${setNumber} does not wait for confirmation: ${newest}.`);
  }

  async #oneDocument(state: DesiredState, key: string, toVersion: bigint): Promise<readonly Wanted[]> {
    const newest = state.documents.get(key);
    const hint = "Look at its history.";
    if (!newest) throw refuse.notFound(`${refuse.shown(key)} does not exist.`, hint);
    if (toVersion > newest.version)
      throw refuse.notFound(`${key} has no version ${toVersion}; ${newest.version} is its newest.`, hint);
    const found = toVersion === newest.version ? newest : await this.#past.version(key, toVersion);
    if (!found) throw refuse.notFound(`Version ${toVersion} of ${key} is not kept any more.`, hint);
    return [toWanted(found)];
  }

  async #wholeSet(state: DesiredState, number: bigint): Promise<readonly Wanted[]> {
    const newest = state.head?.setNumber ?? 0n;
    if (number > newest) throw refuse.notFound(`There is no set ${number}; ${newest} is the newest.`);
    if (number < newest && !(await this.#past.set(number)))
      throw refuse.notFound(`Set ${number} is not kept any more.`);
    return this.#past.differences(state, number);
  }
}
