/**
 * Evaluates rules and delivers, in the one process on this store that holds the lease. What the book decides, the messages
 * that follow from it, and how far findings were read are kept in one transaction: a process that dies loses nothing, and the
 * next one goes on where it was.
 */
import { AlertBook, type AlertRule, type Silence } from "@wardline/domain/alerts";
import { Failure } from "@wardline/domain/errors";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger } from "../ports.ts";
import type { LeaseTable, SettingsTable } from "../store/settings-table.ts";
import type { Store } from "../store/store.ts";
import type { AlertTables } from "./alert-tables.ts";
import { ConditionLog } from "./condition-log.ts";
import type { ConfigurationTables } from "./configuration-tables.ts";
import type { Deliverer } from "./delivery/deliverer.ts";
import { Evaluator, type EvaluatorPorts } from "./evaluator.ts";

export const ALERT_LEASE = "alerts";
export const DELIVERED_BY = "alerts-delivered-by";
const POSITION = "alerts-finding-position";
const ACKNOWLEDGED = "alerts-acknowledged";
const LEASE_MS = 10_000;
const LEASE_RENEW_MS = 3_000;
const TICK_MS = 1_000;
const LAST_DELIVERIES_MS = 2_000;
const PRUNE_EVERY_MS = 600_000;

export interface AlertRunnerPorts extends EvaluatorPorts {
  readonly store: Store;
  readonly tables: AlertTables;
  readonly configuration: ConfigurationTables;
  readonly deliverer: Deliverer;
  readonly leases: LeaseTable;
  readonly settings: SettingsTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unique among the processes that use the store. */
  readonly processId: string;
  /** What people call this process. */
  readonly processName: string;
  /** Called when this process begins to deliver; returns how to end what it has begun. */
  readonly onDelivering?: () => () => void;
}

/** What is loaded while the lease is held. */
interface Held {
  readonly book: AlertBook;
  readonly evaluator: Evaluator;
  readonly conditions: ConditionLog;
  readonly stop: () => void;
  revision: number;
  rules: readonly AlertRule[];
  silences: readonly Silence[];
}

export class AlertRunner {
  /** Notifies when something was decided, delivered, or cannot be done. */
  readonly changes = new ChangeSignal();
  readonly #ports: AlertRunnerPorts;
  readonly #deliveries = new AbortController();
  #held: Held | null = null;
  #hasLease = false;
  #problems: readonly string[] = [];
  #prunedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: AlertRunnerPorts) {
    this.#ports = ports;
  }

  get isDelivering(): boolean {
    return this.#held !== null;
  }

  /** Sentences: what could not be asked or kept. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#keepLease(signal), this.#tickRegularly(signal)]);
    // What is under way may come to its end: stopped half-way, it would be sent again by the next process.
    const stopping = setTimeout(() => this.#deliveries.abort(), LAST_DELIVERIES_MS);
    await this.#ports.deliverer.settle();
    clearTimeout(stopping);
    this.#release();
    try {
      this.#ports.leases.release(ALERT_LEASE, this.#ports.processId);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  /** One look at everything, and what follows from it (tests and the loop). */
  async tick(signal: AbortSignal): Promise<void> {
    const { clock, deliverer } = this.#ports;
    if (!this.#hasLease) return this.#release();
    this.#held ??= this.#load();
    const held = this.#held;
    this.#configure(held);
    await held.evaluator.evaluateDenies(held.book, held.rules, clock.nowMs(), signal);
    if (signal.aborted || !this.#hasLease) return;
    for (let hasMore = true; hasMore; ) hasMore = this.#decide(held);
    deliverer.startDue(this.#deliveries.signal);
    this.#prune();
  }

  /** Takes the lease, or finds that somebody else has it. */
  renew(): boolean {
    const { leases, processId, processName, clock, settings, logger } = this.#ports;
    try {
      const hasLease = leases.acquire(ALERT_LEASE, processId, clock.nowMs(), LEASE_MS);
      if (hasLease && !this.#hasLease) {
        settings.set(DELIVERED_BY, processName);
        logger.info({}, "this process delivers alerts");
      }
      this.#hasLease = hasLease;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#hasLease = false;
    }
    return this.#hasLease;
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.renew();
      await this.#ports.clock.sleep(LEASE_RENEW_MS, signal);
    }
  }

  async #tickRegularly(signal: AbortSignal): Promise<void> {
    const { clock, logger, feed } = this.#ports;
    while (!signal.aborted) {
      const seen = feed.changes.version;
      try {
        await this.tick(signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // What was decided and could not be kept is decided again, from what was kept.
        this.#release();
        this.#say([`Alerts could not be kept: ${error.message}`]);
        logger.warn({ code: error.code, problem: error.message }, "alerts not kept");
      }
      await clock.sleep(TICK_MS / 4, signal);
      await feed.changes.wait(seen, (TICK_MS * 3) / 4, signal);
    }
  }

  #load(): Held {
    const { tables, onDelivering } = this.#ports;
    const stop = onDelivering?.() ?? (() => {});
    const book = new AlertBook({ rules: [], silences: [], receivers: [], saved: tables.loadBook() });
    const evaluator = new Evaluator(this.#ports);
    return { book, evaluator, conditions: new ConditionLog(tables), stop, revision: -1, rules: [], silences: [] };
  }

  #release(): void {
    this.#held?.stop();
    this.#held = null;
  }

  #configure(held: Held): void {
    const { configuration } = this.#ports;
    const revision = configuration.revision();
    if (revision === held.revision) return;
    held.revision = revision;
    held.rules = configuration.rules();
    held.silences = configuration.silences();
    const receivers = configuration
      .receivers()
      .map(({ name, kind }) => ({ name, keepsState: kind === "alertmanager" }));
    held.book.configure({ rules: held.rules, silences: held.silences, receivers });
    this.changes.notify();
  }

  /** True when there is more to read at once. */
  #decide({ book, evaluator, rules, conditions }: Held): boolean {
    const { store, settings, tables, clock, leases, processId } = this.#ports;
    const now = clock.nowMs();
    const before = settings.number(POSITION);
    const evaluation = evaluator.evaluate(book, rules, before, now);
    const acknowledged = this.#acknowledge(book, now);
    const messages = book.advance(now);
    const changes = book.takeChanges();
    const recorded = conditions.changes(evaluator.standing, now);
    const isSomething =
      [changes.alerts, changes.closed, changes.dropped, changes.pieces, messages, recorded].some(
        ({ length }) => length > 0,
      ) ||
      evaluation.position !== before ||
      acknowledged !== null;
    if (isSomething) {
      store.transaction(() => {
        // Whoever took over meanwhile has loaded what was kept: nothing of this may be written any more.
        if (!leases.acquire(ALERT_LEASE, processId, now, LEASE_MS)) {
          this.#hasLease = false;
          return;
        }
        tables.saveBook(changes);
        for (const message of messages) tables.addMessage(message, now);
        for (const change of recorded) tables.addCondition(change);
        if (evaluation.position !== before) settings.set(POSITION, evaluation.position);
        if (acknowledged !== null) settings.set(ACKNOWLEDGED, acknowledged);
      });
      this.changes.notify();
    }
    this.#say(this.#problemsOf(book, evaluation.problems));
    return evaluation.hasMore && this.#hasLease;
  }

  /** What people said in any process. Returns how far it was read; `null` = nothing new. */
  #acknowledge(book: AlertBook, nowMs: number): number | null {
    const { configuration, settings } = this.#ports;
    const said = configuration.acknowledgementsAfter(settings.number(ACKNOWLEDGED));
    for (const { alertId, actor } of said) book.acknowledge(alertId, actor, nowMs);
    return said.at(-1)?.number ?? null;
  }

  #problemsOf(book: AlertBook, problems: readonly string[]): string[] {
    const { overflowed } = book;
    const overflow = `${overflowed.toLocaleString("en")} alerts found no room since they were first counted: 10,000 are kept at once.`;
    return overflowed > 0 ? [...problems, overflow] : [...problems];
  }

  #say(problems: readonly string[]): void {
    if (JSON.stringify(problems) === JSON.stringify(this.#problems)) return;
    this.#problems = problems;
    this.changes.notify();
  }

  #prune(): void {
    const now = this.#ports.clock.nowMs();
    if (Math.abs(now - this.#prunedAtMs) < PRUNE_EVERY_MS) return;
    this.#prunedAtMs = now;
    this.#ports.tables.prune(now);
  }
}
