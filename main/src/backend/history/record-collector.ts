/**
 * Reads the journal of flow records of one host into the history, whenever this process is the one that writes: what is
 * missing in the middle first, then from where it was, then as the host writes on. Where it was is kept with the records.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { JournalState, ReadRecordsResponse } from "@wardline/api/wardline/agent/v1/records";
import type { HistoryHost } from "@wardline/api/wardline/console/v1/history";
import type { FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import type { RecordClient } from "../agent/dialer.ts";
import type { FlowWriter } from "../flows/flow-writer.ts";
import { FORGOTTEN, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { CollectedHosts } from "./collected-hosts.ts";
import type { FlowHistory, JournalGap } from "./flow-history.ts";
import { HostLedger } from "./host-ledger.ts";
import type { Loss, LossesLog } from "./losses-log.ts";
import { RecordJudge } from "./record-judge.ts";

const RETRY_MS = 1_000;
/** The disk is full, or the store cannot be used: others need it more. */
const STORE_RETRY_MS = 5_000;
/** An agent that does not know the question will not know it sooner than it is replaced. */
const OLD_AGENT_RETRY_MS = 600_000;
/** What another machine may fill the store with; beyond this its own journal does. */
const REMOTE_RECORDS_PER_SECOND = 20_000;
const MAX_JOURNAL_ID = 64;
/** A clock that is further ahead says nothing of when something was lost. */
const MOST_AHEAD_MS = 86_400_000;

export interface RecordCollectorPorts {
  readonly host: ManagedHost;
  readonly history: FlowHistory;
  /** Who writes flows writes their history: one process at a time. */
  readonly writer: Pick<FlowWriter, "isWriting" | "changes">;
  readonly collected: CollectedHosts;
  /** Absent where nobody asks. */
  readonly lossesLog?: Pick<LossesLog, "add" | "forget">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type HostFacts = Omit<HistoryHost, "$typeName" | "$unknown">;

export class RecordCollector {
  readonly #ports: RecordCollectorPorts;
  readonly #judge = new RecordJudge();
  readonly #ledger: HostLedger;
  /** Until when what was read is within the allowed rate. */
  #paidUntilMs = 0;
  /** On the host's clock; 0 = none was read yet. */
  #lastSealedMs = 0;

  constructor(ports: RecordCollectorPorts) {
    this.#ports = ports;
    this.#ledger = new HostLedger(ports.clock);
  }

  /** Collects whenever this process writes and the agent answers, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { host, writer, history, logger } = this.#ports;
    try {
      while (!signal.aborted) {
        const seen = writer.changes.version;
        if (writer.isWriting) await this.#collectWhileWriting(signal);
        else await writer.changes.wait(seen, 60_000, signal);
      }
    } finally {
      if (signal.reason === FORGOTTEN) {
        this.#ports.lossesLog?.forget(host.id);
        history.forgetHost(host.id).catch((error: unknown) => {
          logger.warn({ host: host.id, err: error }, "the records of a forgotten host are still there");
        });
      }
    }
  }

  #refused(): Pick<HostFacts, "refusedRecords"> {
    return { refusedRecords: BigInt(this.#judge.refused) };
  }

  async #collectWhileWriting(signal: AbortSignal): Promise<void> {
    const { host, writer, collected } = this.#ports;
    const facts = () => ({ ...this.#ledger.facts(), hostId: host.id, host: hostNameOf(host), ...this.#refused() });
    // Only while it writes: what this process remembers of a host that another one reads grows old.
    const leave = collected.add(host.id, facts);
    const ended = new AbortController();
    const stop = writer.changes.subscribe(() => {
      if (!writer.isWriting) ended.abort();
    });
    try {
      await this.#collect(AbortSignal.any([signal, ended.signal]));
    } finally {
      stop();
      leave();
    }
  }

  async #collect(signal: AbortSignal): Promise<void> {
    const { host, clock } = this.#ports;
    while (!signal.aborted) {
      if (!(await host.connection.waitForClient(signal))) break;
      const records = host.connection.records;
      const pauseMs = records ? await this.#readOnce(records, signal) : RETRY_MS;
      await clock.sleep(pauseMs, signal);
    }
  }

  /** How long to wait before the next attempt. */
  async #readOnce(records: RecordClient, signal: AbortSignal): Promise<number> {
    const { host, logger } = this.#ports;
    try {
      await this.#read(records, signal);
      return RETRY_MS;
    } catch (error) {
      if (signal.aborted) return 0;
      const failure = agentFailure(error, hostNameOf(host));
      const isOld = failure.code === ErrorCode.VERSION_MISMATCH;
      this.#ledger.problem = isOld
        ? "Its agent is older than flow records: update it to keep a history of this host."
        : failure.message;
      logger.info({ host: host.id, code: failure.code }, "reading of records ended");
      if (isOld) return await this.#waitForAnotherAgent(signal);
      return isOfStore(failure) ? STORE_RETRY_MS : RETRY_MS;
    }
  }

  /** A new agent is a new connection. */
  async #waitForAnotherAgent(signal: AbortSignal): Promise<number> {
    const { host, clock } = this.#ports;
    const { connection } = host;
    const old = connection.records;
    const untilMs = clock.nowMs() + OLD_AGENT_RETRY_MS;
    while (!signal.aborted && connection.records === old && clock.nowMs() < untilMs) {
      await connection.changes.wait(connection.changes.version, OLD_AGENT_RETRY_MS, signal);
    }
    return 0;
  }

  async #read(records: RecordClient, signal: AbortSignal): Promise<void> {
    const { history, host } = this.#ports;
    const { journal } = await records.getJournal({}, { signal });
    const journalId = requireJournal(journal);
    this.#ledger.noteJournal(journal!);
    for (const gap of await history.gaps(host.id)) await this.#fill(records, gap, journal!, signal);
    const position = (await history.positions(host.id)).find((known) => known.journalId === journalId)?.sequence ?? 0n;
    this.#ledger.begin(position);
    const request = { journalId, afterSequence: position, untilSequence: 0n };
    let last = position;
    for await (const message of records.readRecords(request, { signal })) {
      if (requireJournal(message.journal) !== journalId) return;
      last = await this.#store(message, journalId, last, signal);
      this.#ledger.problem = "";
    }
  }

  /** What the host no longer has of it is lost. */
  async #fill(records: RecordClient, gap: JournalGap, journal: JournalState, signal: AbortSignal): Promise<void> {
    const { history, host } = this.#ports;
    const { journalId, firstSequence, lastSequence } = gap;
    if (journalId === journal.journalId && lastSequence >= journal.firstSequence && journal.firstSequence > 0n) {
      const request = { journalId, afterSequence: firstSequence - 1n, untilSequence: lastSequence };
      let last = firstSequence - 1n;
      for await (const message of records.readRecords(request, { signal })) {
        if (requireJournal(message.journal) !== journalId) return;
        last = await this.#store(message, journalId, last, signal);
      }
    }
    if (!signal.aborted) await history.abandon(host.id, gap);
  }

  /** Returns the last sequence that is stored. */
  async #store(message: ReadRecordsResponse, journalId: string, last: bigint, signal: AbortSignal): Promise<bigint> {
    const { history, host, collected, clock } = this.#ports;
    const nowMs = clock.nowMs();
    this.#ledger.noteJournal(message.journal!);
    const { batches } = message;
    if (batches.length === 0) return last;
    let count = 0;
    let previous = last;
    for (const batch of batches) {
      if (batch.sequence <= previous || batch.sequence > BigInt(Number.MAX_SAFE_INTEGER)) throw outOfOrder(host);
      previous = batch.sequence;
      count += batch.records.length;
      batch.records = this.#judge.judge(batch.records, nowMs);
    }
    const stored = await history.ingest([{ hostId: host.id, hostName: hostNameOf(host), journalId, batches }]);
    this.#noteLosses(batches, last);
    this.#ledger.noteStored(batches, last, newestRecordMs(batches));
    if (stored > 0) collected.noteStored(stored, clock.nowMs());
    if (!host.local) await this.#keepPace(count, signal);
    return previous;
  }

  /** What is missing between these batches, and what the host says that it lost before them. */
  #noteLosses(batches: readonly FlowRecordBatch[], before: bigint): void {
    const { host, lossesLog } = this.#ports;
    if (!lossesLog) return;
    const names = { hostId: host.id, host: hostNameOf(host) };
    const losses: Loss[] = [];
    // Of a host that is read for the first time, nothing is missing before.
    let expected = before === 0n ? (batches[0]?.sequence ?? 1n) : before + 1n;
    for (const { sequence, sealedAt, lost } of batches) {
      const untilMs = sealedAt ? Math.floor(timestampMs(sealedAt)) : 0;
      const missing = Math.max(0, Number(sequence - expected));
      expected = sequence + 1n;
      const events = Number((lost?.ringFull ?? 0n) + (lost?.rateLimited ?? 0n));
      if ((missing > 0 || events > 0) && untilMs > 0 && untilMs <= this.#ports.clock.nowMs() + MOST_AHEAD_MS) {
        const sinceMs = Math.max(0, Math.min(this.#lastSealedMs || untilMs, untilMs));
        losses.push({ ...names, sinceMs, untilMs, events, batches: missing });
      }
      this.#lastSealedMs = untilMs;
    }
    lossesLog.add(losses);
  }

  async #keepPace(count: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = clock.nowMs();
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs - 1_000) + (count / REMOTE_RECORDS_PER_SECOND) * 1_000;
    if (this.#paidUntilMs > nowMs) await clock.sleep(this.#paidUntilMs - nowMs, signal);
  }
}

function requireJournal(journal: JournalState | undefined): string {
  const journalId = journal?.journalId ?? "";
  if (journalId !== "" && journalId.length <= MAX_JOURNAL_ID) return journalId;
  throw new Failure({
    code: ErrorCode.INTERNAL,
    message: "The agent does not say which journal of records it has.",
    hint: "This is a defect; the agent's log has the details.",
  });
}

function outOfOrder(host: ManagedHost): Failure {
  return new Failure({
    code: ErrorCode.INTERNAL,
    message: `The agent on ${hostNameOf(host)} sent records out of their order; they were not stored.`,
    hint: "The console asks for them again. If it stays, restart the agent.",
    retryable: true,
  });
}

function isOfStore({ code }: Failure): boolean {
  return code === ErrorCode.DISK_FULL || code === ErrorCode.STORE_UNAVAILABLE || code === ErrorCode.HISTORY_DAMAGED;
}

function newestRecordMs(batches: readonly FlowRecordBatch[]): number {
  const newest = batches.at(-1)?.records.at(-1)?.lastSeen;
  return newest ? timestampMs(newest) : 0;
}
