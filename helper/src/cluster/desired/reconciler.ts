/**
 * Keeps this host at the desired set: sees a head, puts the set into force, proves that the host still reaches the store,
 * keeps it, says so. One step at a time, always from what is there now: the newest set, what is enforced, what is pending. So
 * many changes at once cost one apply, and a restart at any point goes on from the same three things.
 */
import { SetState, SyncState } from "@wardline/api/wardline/v1/cluster";
import type { Failure } from "@wardline/domain/errors";
import { bootMs } from "../../agent/clock.ts";
import { backOffMs, sentenceOf } from "../leadership/waiting.ts";
import { judge, leftByPerson, lockedOut, noProof, notConfirmed, toFailure } from "./applyFailure.ts";
import { CLUSTER_ACTOR, type Flight, FlightControl, flightOf } from "./hostFlight.ts";
import { EMPTY_RECORD, type HostRecord, readHostRecord, withApplied, writeHostRecord } from "./hostRecord.ts";
import { HostReport } from "./hostReport.ts";
import { Past } from "./past.ts";
import { isPending } from "./records.ts";
import { DigestMemory, type SyncTarget, targetOf, waitMs } from "./syncTarget.ts";
import type { DesiredState, ReconcilerApi, ReconcilerPorts } from "./types.ts";

const SAFETY_DEADLINE_MS = 15_000;
const SOON = { firstMs: 250, longestMs: 15_000 };
const SLOWLY = { firstMs: 30_000, longestMs: 300_000 };
/** The store may fail at the very moment of a flip: only a set that cuts the host off twice is to blame. */
const LOCK_OUTS = 2;
const BLAME_TIMEOUT_MS = 5_000;
export class Reconciler implements ReconcilerApi {
  readonly #ports: ReconcilerPorts;
  readonly #report: HostReport;
  readonly #flights: FlightControl;
  readonly #past: Past;
  readonly #stopping = new AbortController();
  #unsubscribe: () => void = () => {};
  #record: HostRecord = EMPTY_RECORD;
  #flight: Flight | null = null;
  /** Sets that this host does not try again, with why. */
  #refused: { readonly setNumber: bigint; readonly failure: Failure; readonly retryAtBootMs: number } | null = null;
  #failures = 0;
  /** What stood in the way of the newest set so far. */
  #trouble: Failure | null = null;
  #lockOuts: { setNumber: bigint; count: number } = { setNumber: 0n, count: 0 };
  /** A pending set that ran out here before the cluster decided. */
  #abandoned = 0n;
  /** Of the controller, as far as it is known who did it. */
  #knownLeft: number | null = null;
  #isFirstLook = true;
  /** The newest head, since when, and whether it came as it was written: not in a snapshot, not after a time without the store. */
  #seen = { setNumber: 0n, atBootMs: 0, isLive: false };
  #isFollowing = false;
  #isAwake = false;
  #running: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => {};
  readonly #digests: DigestMemory;

  constructor(ports: ReconcilerPorts) {
    this.#ports = ports;
    this.#report = new HostReport(ports);
    this.#flights = new FlightControl(ports);
    this.#past = new Past(ports.store, ports.keys);
    this.#digests = new DigestMemory((files) => ports.engine.stateDigest(files));
  }

  async start(): Promise<void> {
    const { replica, controller, stateDir } = this.#ports;
    this.#record = await readHostRecord(stateDir);
    this.#report.follows = this.#record.follows;
    this.#knownLeft = controller.lastLeft;
    const forgets = [
      replica.onChange(() => {
        if (!replica.inTouch) this.#isFollowing = false;
        this.#wake();
        this.#report.tell();
      }),
      controller.onChange(() => this.#wake()),
    ];
    this.#unsubscribe = () => {
      for (const forget of forgets) forget();
    };
    this.#wake();
  }

  /** What is enforced stays; a set that is not kept yet falls back at its deadline, or is adopted by whoever comes next. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#unsubscribe();
    this.#cancelTimer();
    await this.#running;
    await this.#report.close();
  }

  get report() {
    return this.#report.current;
  }

  onChange(listener: () => void): () => void {
    return this.#report.onChange(listener);
  }

  followsCluster(): boolean {
    return this.#record.follows;
  }

  #wake(): void {
    if (this.#isAwake || this.#stopping.signal.aborted) return;
    this.#isAwake = true;
    this.#running = this.#running.then(async () => {
      this.#isAwake = false;
      if (!this.#stopping.signal.aborted) await this.#turn();
    });
  }

  async #turn(): Promise<void> {
    this.#cancelTimer();
    try {
      await this.#step();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const delayMs = backOffMs(SOON, this.#failures++, Math.random);
      this.#ports.log.warn({ problem: sentenceOf(error), delayMs }, "the desired set could not be put in force");
      this.#trouble = toFailure(error);
      this.#say(SyncState.APPLYING, this.#trouble);
      this.#wakeIn(delayMs);
    }
  }

  #wakeIn(delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#ports.clock.schedule(delayMs, () => this.#wake());
  }

  async #step(): Promise<void> {
    const { replica, clock } = this.#ports;
    const { state } = replica;
    if (state === null) return;
    this.#see(state);
    if (await this.#settleFlight(state)) return;
    const seenForMs = this.#seen.isLive ? bootMs(clock) - this.#seen.atBootMs : null;
    const target = await targetOf(state, this.#past, { wallMs: clock.wallMs(), seenForMs }, this.#abandoned);
    if (target === null) return this.#standAlone(state);
    if (!this.#record.follows) await this.#write({ ...this.#record, follows: true });
    if (await this.#adopt(target)) return;
    const isActive = this.#isEnforced(target);
    await this.#noticePerson(state, isActive);
    if (isActive) return this.#arrived(target, state);
    if (target.setNumber === this.#record.left) return this.#say(SyncState.ROLLED_BACK, leftByPerson(target.setNumber));
    if (this.#isRefused(target)) return;
    await this.#apply(target);
  }

  #see({ head }: DesiredState): void {
    const setNumber = head?.setNumber ?? 0n;
    const isLive = this.#isFollowing;
    this.#isFollowing = this.#ports.replica.inTouch;
    if (setNumber === this.#seen.setNumber) return;
    this.#seen = { setNumber, atBootMs: bootMs(this.#ports.clock), isLive };
    this.#failures = 0;
    this.#trouble = null;
  }

  /** Nothing to enforce from the cluster: what this host had before the first set is its own again. */
  async #standAlone({ head }: DesiredState): Promise<void> {
    if (isPending(head)) return this.#say(SyncState.ROLLED_BACK, notConfirmed(head.setNumber));
    if (this.#record.follows && head !== null) await this.#write({ ...EMPTY_RECORD });
    this.#say(SyncState.IDLE, null);
  }

  /** True while a set waits for its end. */
  async #settleFlight({ head }: DesiredState): Promise<boolean> {
    const flight = this.#flight;
    if (flight === null) return false;
    const { controller } = this.#ports;
    if (controller.pending?.generation.number !== flight.generation) return this.#landed(flight);
    const isSame = head?.setNumber === flight.setNumber;
    if (isSame && head.state === SetState.PENDING) {
      this.#say(SyncState.PENDING, null);
      return true;
    }
    const outcome = await this.#flights.outcome(flight.setNumber, head);
    if (outcome === SetState.CONFIRMED) {
      await this.#proveAndKeep(flight);
    } else {
      await this.#leave(flight, `set ${flight.setNumber} was taken back`);
    }
    return false;
  }

  /** It was left or kept by somebody else, or by its deadline. */
  async #landed(flight: Flight): Promise<false> {
    const { controller } = this.#ports;
    this.#flight = null;
    const isKept = controller.enforced.stateDigest === flight.stateDigest;
    const isByPerson = controller.lastLeft === flight.generation && controller.lastLeft !== this.#knownLeft;
    this.#knownLeft = controller.lastLeft;
    if (isKept) return false;
    if (isByPerson) await this.#write({ ...this.#record, left: flight.setNumber });
    // A quarantine comes first and leaves whatever waits; the set is then put in force again.
    else if (bootMs(this.#ports.clock) >= flight.deadlineBootMs - 1_000) this.#abandoned = flight.setNumber;
    return false;
  }

  /** Takes over what another of its kind began, before the node was put together anew. True when there is something to wait for. */
  async #adopt(target: SyncTarget): Promise<boolean> {
    const { pending } = this.#ports.controller;
    if (pending === null) return false;
    const { appliedBy, stateDigest, mode, number } = pending.generation;
    if (appliedBy !== CLUSTER_ACTOR) {
      // Somebody's own change from before this host followed; it ends by itself.
      this.#say(SyncState.APPLYING, null);
      return true;
    }
    const flight = flightOf(pending, target);
    if (stateDigest === this.#digests.of(target.files) && mode === target.mode) {
      this.#flight = flight;
      if (target.pendingForMs === null) await this.#proveAndKeep(flight);
      this.#wake();
      return true;
    }
    await this.#leave(flight, `generation ${number} is of an older set`);
    return false;
  }

  #isEnforced(target: SyncTarget): boolean {
    const { enforced, pending } = this.#ports.controller;
    return pending === null && enforced.mode === target.mode && enforced.stateDigest === this.#digests.of(target.files);
  }

  /** Whoever returned this host to an earlier generation, or released it, is not fought. */
  async #noticePerson({ head }: DesiredState, isActive: boolean): Promise<void> {
    const { controller } = this.#ports;
    const [last] = this.#record.applied;
    const [isFirstLook, wasLeft] = [this.#isFirstLook, controller.lastLeft !== this.#knownLeft];
    [this.#isFirstLook, this.#knownLeft] = [false, controller.lastLeft];
    if (isActive || !last || controller.enforced.stateDigest === last.stateDigest) return;
    // Records that were lost are mended by an apply. After a restart nobody remembers who did it: the same set tells.
    const isDamaged = controller.problems.length > 0;
    const isReleased = controller.enforced.number === 0;
    const isByPerson = wasLeft || isReleased || (isFirstLook && head?.setNumber === last.setNumber);
    if (isDamaged || !isByPerson || this.#record.left === last.setNumber) return;
    await this.#write({ ...this.#record, left: last.setNumber });
  }

  async #arrived(target: SyncTarget, { head }: DesiredState): Promise<void> {
    const { setNumber, setDigest, mode } = target;
    const [last] = this.#record.applied;
    const set = { setNumber, setDigest, stateDigest: this.#digests.of(target.files), mode };
    if (last?.setNumber !== setNumber || last.stateDigest !== set.stateDigest || this.#record.left !== 0n) {
      await this.#write(withApplied(this.#record, set));
      await this.#ports.checkpoint?.("recorded");
    }
    const isLate = isPending(head) && head.setNumber !== setNumber;
    if (isLate && head.setNumber === this.#abandoned)
      return this.#say(SyncState.ROLLED_BACK, notConfirmed(head.setNumber));
    this.#say(isPending(head) && !isLate ? SyncState.PENDING : SyncState.ACTIVE, null);
  }

  #isRefused({ setNumber }: SyncTarget): boolean {
    const refused = this.#refused;
    if (refused?.setNumber !== setNumber) return false;
    this.#say(SyncState.REFUSED, refused.failure);
    const leftMs = refused.retryAtBootMs - bootMs(this.#ports.clock);
    if (leftMs <= 0) return false;
    if (Number.isFinite(leftMs)) this.#wakeIn(leftMs);
    return true;
  }

  async #apply(target: SyncTarget): Promise<void> {
    const { safetyDeadlineMs = SAFETY_DEADLINE_MS, checkpoint } = this.#ports;
    this.#say(SyncState.APPLYING, this.#trouble);
    await checkpoint?.("seen");
    try {
      this.#flight = await this.#flights.begin(target, waitMs(target, safetyDeadlineMs));
    } catch (error) {
      this.#couldNot(target, toFailure(error));
      return;
    }
    if (target.pendingForMs === null) await this.#proveAndKeep(this.#flight);
    this.#wake();
  }

  /** Throws what is worth another try soon. */
  #couldNot({ setNumber }: SyncTarget, failure: Failure): void {
    const verdict = judge(failure);
    if (verdict === "later") throw failure;
    const again = verdict === "refused" ? Number.POSITIVE_INFINITY : backOffMs(SLOWLY, this.#failures++, Math.random);
    this.#refused = { setNumber, failure, retryAtBootMs: bootMs(this.#ports.clock) + again };
    this.#ports.recordAutomatic("cluster.refused", `set ${setNumber}: ${failure.message}`.slice(0, 500));
    this.#say(SyncState.REFUSED, failure);
    this.#wake();
  }

  async #proveAndKeep(flight: Flight): Promise<void> {
    const { signal } = this.#stopping;
    const isProven = await this.#flights.prove(flight, signal);
    if (signal.aborted) return;
    if (isProven) {
      try {
        await this.#flights.keep(flight);
      } catch (error) {
        await this.#landed(flight);
        throw error;
      }
      this.#flight = null;
      this.#lockOuts = { setNumber: 0n, count: 0 };
      this.#refused = null;
      this.#trouble = null;
      return;
    }
    await this.#leave(flight, `the store could not be reached under set ${flight.setNumber}`);
    await this.#blame(flight.target, signal);
  }

  /** Whether it was the set that cut this host off: without it the store can be reached. Throws when that is not certain. */
  async #blame(target: SyncTarget, signal: AbortSignal): Promise<void> {
    const { setNumber } = target;
    const isReachable = (await this.#flights.tryProof(BLAME_TIMEOUT_MS, signal)) !== null;
    if (!isReachable) throw noProof(setNumber);
    const count = this.#lockOuts.setNumber === setNumber ? this.#lockOuts.count + 1 : 1;
    this.#lockOuts = { setNumber, count };
    if (count < LOCK_OUTS) throw lockedOut(setNumber);
    this.#couldNot(target, lockedOut(setNumber));
  }

  async #leave(flight: Flight, why: string): Promise<void> {
    await this.#flights.leave(flight, why);
    this.#flight = null;
    this.#knownLeft = this.#ports.controller.lastLeft;
  }

  async #write(record: HostRecord): Promise<void> {
    this.#record = record;
    this.#report.follows = record.follows;
    await writeHostRecord(this.#ports.stateDir, record);
  }

  #say(state: SyncState, problem: Failure | null): void {
    const { controller, clock } = this.#ports;
    const { number, programDigest, stateDigest } = controller.enforced;
    const known = this.#record.applied.find((set) => set.stateDigest === stateDigest && stateDigest !== "");
    const inForce = this.#flight?.stateDigest === stateDigest ? this.#flight.target : known;
    const isDone = state === SyncState.ACTIVE || state === SyncState.PENDING;
    this.#report.set({
      state,
      problem,
      activeSetNumber: inForce?.setNumber ?? 0n,
      seenSetNumber: this.#seen.setNumber,
      activeDigest: inForce?.setDigest ?? "",
      programDigest,
      generation: BigInt(number),
      tookMs: isDone ? bootMs(clock) - this.#seen.atBootMs : null,
    });
  }
}
