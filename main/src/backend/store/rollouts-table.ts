/** Roll-outs as they stand: written before each step, so that a console that was killed finds where it was. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type RolloutReceipt, RolloutReceiptSchema } from "@wardline/api/wardline/console/v1/rollout";
import { type ErrorDetail, ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import type { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import type { Gates, HostPhase, HostProgress, RolloutPhase, RolloutProgress } from "@wardline/domain/fleet";
import type { SettingsTable } from "./settings-table.ts";
import type { Store } from "./store.ts";

/** What was decided when it was started. */
export interface RolloutSpecification {
  readonly id: string;
  readonly createdAtMs: number;
  readonly author: string;
  readonly reason: string;
  /** Digest of the state, which is the id of its version. */
  readonly versionId: string;
  readonly mode: EnforcementMode;
  readonly confirmWithinMs: number;
  readonly gates: Gates;
}

/** What is known of one host of it. */
export interface RolloutHostFacts {
  readonly name: string;
  readonly baseGeneration: bigint;
  readonly baseStateDigest: string;
  readonly programDigest: string;
  readonly sentAtMs: number | null;
  /** Console clock. */
  readonly deadlineMs: number | null;
  readonly before: { readonly allowed: number; readonly denied: number } | null;
  /** Until when its return is waited for. */
  readonly awaitedUntilMs: number | null;
  readonly receipt: RolloutReceipt;
  readonly error: ErrorDetail | null;
}

export interface StoredRollout {
  readonly specification: RolloutSpecification;
  readonly progress: RolloutProgress;
  readonly facts: ReadonlyMap<string, RolloutHostFacts>;
  readonly explanation: string;
  readonly endedAtMs: number | null;
}

export type RolloutRequest =
  | { readonly kind: "continue"; readonly stage: number }
  | { readonly kind: "stop"; readonly confirmedToo: boolean; readonly reason: string };

interface RolloutRow {
  id: string;
  created_at_ms: number;
  ended_at_ms: number | null;
  author: string;
  reason: string;
  version_id: string;
  mode: number;
  confirm_within_ms: number;
  watch_ms: number;
  denials_above_forecast: number;
  is_automatic: number;
  phase: RolloutPhase;
  stage: number;
  stage_count: number;
  gates_passed: number;
  leaves_confirmed: number;
  explanation: string;
}

interface HostRow {
  host_id: string;
  host_name: string;
  stage: number;
  phase: HostPhase;
  is_lost: number;
  is_aside: number;
  base_generation: number;
  base_state_digest: string;
  program_digest: string;
  sent_at_ms: number | null;
  deadline_ms: number | null;
  allowed_before: number | null;
  denied_before: number | null;
  awaited_until_ms: number | null;
  receipt_wire: Uint8Array;
  error_wire: Uint8Array | null;
}

const REVISION_SETTING = "rollouts_revision";

export class RolloutsTable {
  readonly #store: Store;
  readonly #settings: SettingsTable;

  constructor(store: Store, settings: SettingsTable) {
    this.#store = store;
    this.#settings = settings;
  }

  /** Grows with every change, by any process. */
  revision(): number {
    return this.#settings.number(REVISION_SETTING);
  }

  /** Changes when another process has committed something. */
  dataVersion(): number {
    return this.#store.dataVersion();
  }

  insert(rollout: StoredRollout): void {
    const { specification: spec, progress, explanation, endedAtMs } = rollout;
    this.#write(() => {
      this.#store.run(
        `INSERT INTO rollouts (id, created_at_ms, ended_at_ms, author, reason, version_id, mode, confirm_within_ms,
           watch_ms, denials_above_forecast, is_automatic, phase, stage, stage_count, gates_passed, leaves_confirmed,
           explanation)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        spec.id,
        spec.createdAtMs,
        endedAtMs,
        spec.author,
        spec.reason,
        spec.versionId,
        spec.mode,
        spec.confirmWithinMs,
        spec.gates.watchMs,
        spec.gates.denialsAboveForecast,
        Number(progress.isAutomatic),
        progress.phase,
        progress.stage,
        progress.stageCount,
        Number(progress.gatesPassed),
        Number(progress.leavesConfirmed),
        explanation,
      );
      progress.hosts.forEach((host, position) => {
        const facts = rollout.facts.get(host.id);
        if (!facts) throw new Error(`nothing is known of ${host.id}`);
        this.#store.run(
          `INSERT INTO rollout_hosts (rollout_id, position, host_id, host_name, stage, phase, is_lost, is_aside,
             base_generation, base_state_digest, program_digest, sent_at_ms, deadline_ms, allowed_before, denied_before,
             awaited_until_ms, receipt_wire, error_wire)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          spec.id,
          position,
          host.id,
          facts.name,
          host.stage,
          host.phase,
          Number(host.isLost),
          Number(host.isAside),
          ...factValues(facts),
        );
      });
    });
  }

  /** Writes the course and the given hosts. */
  update({ specification, progress, explanation, endedAtMs, facts }: StoredRollout, hostIds: Iterable<string>): void {
    const hosts = new Map(progress.hosts.map((host) => [host.id, host]));
    this.#write(() => {
      this.#store.run(
        `UPDATE rollouts SET ended_at_ms = ?, phase = ?, stage = ?, gates_passed = ?, leaves_confirmed = ?,
           explanation = ? WHERE id = ?`,
        endedAtMs,
        progress.phase,
        progress.stage,
        Number(progress.gatesPassed),
        Number(progress.leavesConfirmed),
        explanation,
        specification.id,
      );
      for (const id of hostIds) {
        const host = hosts.get(id);
        const known = facts.get(id);
        if (host && known) this.#updateHost(specification.id, host, known);
      }
    });
  }

  /** Newest first. */
  list(limit: number): StoredRollout[] {
    return this.#store.transaction(() =>
      this.#store
        .all<RolloutRow>("SELECT * FROM rollouts ORDER BY number DESC LIMIT ?", limit)
        .map((row) => this.#withHosts(row)),
    );
  }

  find(id: string): StoredRollout | null {
    return this.#store.transaction(() => {
      const row = this.#store.get<RolloutRow>("SELECT * FROM rollouts WHERE id = ?", id);
      return row ? this.#withHosts(row) : null;
    });
  }

  /** Ids of those that something is to be done for: they run, their last hosts have not ended, or somebody asks for it. */
  dueIds(): string[] {
    const sql = `SELECT id FROM rollouts WHERE request <> '' OR (ended_at_ms IS NULL AND phase <> 'waiting')
      ORDER BY number`;
    return this.#store.all<{ id: string }>(sql).map(({ id }) => id);
  }

  /** Those that run or wait and change one of the hosts. */
  openFor(hostIds: readonly string[]): { readonly id: string; readonly hostName: string } | null {
    const wanted = new Set(hostIds);
    const rows = this.#store.all<{ id: string; hostId: string; hostName: string }>(
      `SELECT rollouts.id AS id, host_id AS hostId, host_name AS hostName FROM rollouts
       JOIN rollout_hosts ON rollout_id = rollouts.id
       WHERE ended_at_ms IS NULL AND is_aside = 0 AND rollout_hosts.phase IN ('waiting', 'applying', 'pending')`,
    );
    return rows.find(({ hostId }) => wanted.has(hostId)) ?? null;
  }

  /** Ids of those that wait for the return of a host, oldest first. */
  awaitingIds(): string[] {
    return this.#store
      .all<{ id: string }>(
        `SELECT id FROM rollouts WHERE phase = 'done'
           AND EXISTS (SELECT 1 FROM rollout_hosts WHERE rollout_id = rollouts.id AND is_aside = 1
             AND phase IN ('away', 'applying', 'pending')) ORDER BY number`,
      )
      .map(({ id }) => id);
  }

  /** Hosts whose return is waited for, or that are being caught up. */
  awaitedHostIds(): string[] {
    const sql = `SELECT DISTINCT host_id AS id FROM rollout_hosts JOIN rollouts ON rollouts.id = rollout_id
      WHERE rollouts.phase = 'done' AND is_aside = 1 AND rollout_hosts.phase IN ('away', 'applying', 'pending')`;
    return this.#store.all<{ id: string }>(sql).map(({ id }) => id);
  }

  /** The newest roll-out that has the host among those that it changes, or waits for. */
  newestFor(hostId: string): string | null {
    const row = this.#store.get<{ id: string }>(
      `SELECT rollouts.id AS id FROM rollout_hosts JOIN rollouts ON rollouts.id = rollout_id
       WHERE host_id = ? AND rollout_hosts.phase NOT IN ('not-started', 'failed', 'rolled-back')
       ORDER BY number DESC LIMIT 1`,
      hostId,
    );
    return row?.id ?? null;
  }

  /** Whether a change waits for the return of the host. */
  isAwaited(hostId: string): boolean {
    const sql = "SELECT 1 AS one FROM rollout_hosts WHERE host_id = ? AND phase = 'away' LIMIT 1";
    return this.#store.get<{ one: number }>(sql, hostId) !== undefined;
  }

  request(id: string, request: RolloutRequest): void {
    this.#write(() => this.#store.run("UPDATE rollouts SET request = ? WHERE id = ?", JSON.stringify(request), id));
  }

  /** What was asked since the last time. */
  takeRequest(id: string): RolloutRequest | null {
    const row = this.#store.get<{ request: string }>("SELECT request FROM rollouts WHERE id = ?", id);
    if (!row || row.request === "") return null;
    this.#store.run("UPDATE rollouts SET request = '' WHERE id = ?", id);
    return JSON.parse(row.request) as RolloutRequest;
  }

  #write(body: () => void): void {
    this.#store.transaction(() => {
      body();
      this.#settings.set(REVISION_SETTING, this.revision() + 1);
    });
  }

  #updateHost(rolloutId: string, host: HostProgress, facts: RolloutHostFacts): void {
    this.#store.run(
      `UPDATE rollout_hosts SET stage = ?, phase = ?, is_lost = ?, base_generation = ?, base_state_digest = ?,
         program_digest = ?, sent_at_ms = ?, deadline_ms = ?, allowed_before = ?, denied_before = ?,
         awaited_until_ms = ?, receipt_wire = ?, error_wire = ?
       WHERE rollout_id = ? AND host_id = ?`,
      host.stage,
      host.phase,
      Number(host.isLost),
      ...factValues(facts),
      rolloutId,
      host.id,
    );
  }

  #withHosts(row: RolloutRow): StoredRollout {
    const rows = this.#store.all<HostRow>("SELECT * FROM rollout_hosts WHERE rollout_id = ? ORDER BY position", row.id);
    return {
      specification: {
        id: row.id,
        createdAtMs: row.created_at_ms,
        author: row.author,
        reason: row.reason,
        versionId: row.version_id,
        mode: row.mode,
        confirmWithinMs: row.confirm_within_ms,
        gates: { watchMs: row.watch_ms, denialsAboveForecast: row.denials_above_forecast },
      },
      progress: {
        phase: row.phase,
        stage: row.stage,
        stageCount: row.stage_count,
        isAutomatic: row.is_automatic === 1,
        gatesPassed: row.gates_passed === 1,
        leavesConfirmed: row.leaves_confirmed === 1,
        hosts: rows.map((host) => ({
          id: host.host_id,
          stage: host.stage,
          phase: host.phase,
          isLost: host.is_lost === 1,
          isAside: host.is_aside === 1,
        })),
      },
      facts: new Map(rows.map((host) => [host.host_id, factsFromRow(host)])),
      explanation: row.explanation,
      endedAtMs: row.ended_at_ms,
    };
  }
}

function factValues(facts: RolloutHostFacts): readonly unknown[] {
  return [
    Number(facts.baseGeneration),
    facts.baseStateDigest,
    facts.programDigest,
    facts.sentAtMs,
    facts.deadlineMs,
    facts.before?.allowed ?? null,
    facts.before?.denied ?? null,
    facts.awaitedUntilMs,
    toBinary(RolloutReceiptSchema, facts.receipt),
    facts.error ? toBinary(ErrorDetailSchema, facts.error) : null,
  ];
}

function factsFromRow(row: HostRow): RolloutHostFacts {
  const { allowed_before: allowed, denied_before: denied } = row;
  return {
    name: row.host_name,
    baseGeneration: BigInt(row.base_generation),
    baseStateDigest: row.base_state_digest,
    programDigest: row.program_digest,
    sentAtMs: row.sent_at_ms,
    deadlineMs: row.deadline_ms,
    before: allowed === null || denied === null ? null : { allowed, denied },
    awaitedUntilMs: row.awaited_until_ms,
    receipt: fromBinary(RolloutReceiptSchema, row.receipt_wire),
    error: row.error_wire ? fromBinary(ErrorDetailSchema, row.error_wire) : null,
  };
}
