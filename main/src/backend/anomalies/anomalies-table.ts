/** The findings that this console has seen. A host's own list is bounded; what it forgot is still here. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type HostModel, HostModelSchema } from "@wardline/api/wardline/console/v1/anomalies";
import {
  AnomalySeverity,
  type DetectorKind,
  FeedbackKind,
  type Finding,
  FindingSchema,
} from "@wardline/api/wardline/v1/anomaly";
import type { Store } from "../store/store.ts";
import type { KeptFinding } from "./ports.ts";

export interface AnomalyLimits {
  readonly maxPerHost: number;
  /** With evidence and series: these are large. */
  readonly maxWholePerHost: number;
}

const LIMITS: AnomalyLimits = { maxPerHost: 10_000, maxWholePerHost: 500 };

export interface AnomalyFilter {
  /** Empty = all. */
  readonly hostIds: readonly string[];
  readonly detectors: readonly DetectorKind[];
  readonly minSeverity: AnomalySeverity;
  /** By when they began; `null` = open. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
  /** Part of the sentence, the process, the remote end, the subject or the host; any case. */
  readonly text: string;
}

/** The last one of a page. */
export interface AnomalyPosition {
  readonly detectedAtMs: number;
  readonly hostId: string;
  readonly findingId: string;
}

interface HeadColumns {
  host_id: string;
  revision: number;
  feedback: number;
  head_wire: Uint8Array;
}

const HEAD = "host_id, revision, feedback, head_wire";

export class AnomaliesTable {
  readonly #store: Store;
  readonly #limits: AnomalyLimits;

  constructor(store: Store, limits: AnomalyLimits = LIMITS) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Changes whenever another process wrote anything. */
  dataVersion(): number {
    return this.#store.dataVersion();
  }

  /** Keeps what is new or different, in one transaction; evidence of serious findings with them. True when anything was. */
  put(hostId: string, findings: readonly Finding[]): boolean {
    if (findings.length === 0) return false;
    return this.#store.transaction(() => {
      const before = this.revision();
      let revision = before;
      for (const finding of findings) if (this.#putOne(hostId, finding, revision + 1)) revision += 1;
      if (revision === before) return false;
      this.#store.run("UPDATE anomaly_revision SET newest = ?", revision);
      this.#forgetOldest(hostId);
      return true;
    });
  }

  revision(): number {
    return this.#store.get<{ newest: number }>("SELECT newest FROM anomaly_revision")?.newest ?? 0;
  }

  changedSince(revision: number, limit: number): KeptFinding[] {
    const sql = `SELECT ${HEAD} FROM anomalies WHERE revision > ? ORDER BY revision LIMIT ?`;
    return this.#store.all<HeadColumns>(sql, revision, limit).map(fromHead);
  }

  find(hostId: string, findingId: string): KeptFinding | null {
    const sql = `SELECT ${HEAD} FROM anomalies WHERE host_id = ? AND finding_id = ?`;
    const row = this.#store.get<HeadColumns>(sql, hostId, findingId);
    return row ? fromHead(row) : null;
  }

  /** By id, on whichever host it was. */
  findById(findingId: string): KeptFinding[] {
    const sql = `SELECT ${HEAD} FROM anomalies WHERE finding_id = ? LIMIT 10`;
    return this.#store.all<HeadColumns>(sql, findingId).map(fromHead);
  }

  /** With evidence and series; `null` = these are not kept here. */
  whole(hostId: string, findingId: string): Finding | null {
    const sql = "SELECT whole_wire FROM anomalies WHERE host_id = ? AND finding_id = ?";
    const wire = this.#store.get<{ whole_wire: Uint8Array | null }>(sql, hostId, findingId)?.whole_wire;
    return wire ? fromBinary(FindingSchema, wire) : null;
  }

  /** Newest first. */
  search(filter: AnomalyFilter, after: AnomalyPosition | null, limit: number): KeptFinding[] {
    const { where, values } = conditionOf(filter);
    if (after) where.push("(detected_at_ms, host_id, finding_id) < (?, ?, ?)");
    const position = after ? [after.detectedAtMs, after.hostId, after.findingId] : [];
    const condition = where.length > 0 ? `WHERE ${where.join(" AND ")}` : "";
    const order = "ORDER BY detected_at_ms DESC, host_id DESC, finding_id DESC LIMIT ?";
    return this.#store
      .all<HeadColumns>(`SELECT ${HEAD} FROM anomalies ${condition} ${order}`, ...values, ...position, limit)
      .map(fromHead);
  }

  count(filter: AnomalyFilter | null = null): number {
    const { where, values } = filter ? conditionOf(filter) : { where: [], values: [] };
    const condition = where.length > 0 ? `WHERE ${where.join(" AND ")}` : "";
    return (
      this.#store.get<{ count: number }>(`SELECT count(*) AS count FROM anomalies ${condition}`, ...values)?.count ?? 0
    );
  }

  /** Of those that nobody said anything of; index is the severity. */
  openBySeverity(): number[] {
    const counts = [0, 0, 0, 0, 0];
    const sql = "SELECT severity, count(*) AS count FROM anomalies WHERE feedback = 0 GROUP BY severity";
    for (const { severity, count } of this.#store.all<{ severity: number; count: number }>(sql))
      counts[severity] = count;
    return counts;
  }

  putModel(model: HostModel): void {
    const sql =
      "INSERT INTO anomaly_models (host_id, wire) VALUES (?, ?) ON CONFLICT (host_id) DO UPDATE SET wire = excluded.wire";
    this.#store.run(sql, model.hostId, toBinary(HostModelSchema, model));
  }

  models(): HostModel[] {
    const rows = this.#store.all<{ wire: Uint8Array }>("SELECT wire FROM anomaly_models ORDER BY host_id");
    return rows.map(({ wire }) => fromBinary(HostModelSchema, wire));
  }

  forgetHost(hostId: string): void {
    this.#store.transaction(() => {
      this.#store.run("DELETE FROM anomalies WHERE host_id = ?", hostId);
      this.#store.run("DELETE FROM anomaly_models WHERE host_id = ?", hostId);
    });
  }

  #putOne(hostId: string, finding: Finding, revision: number): boolean {
    const head = toBinary(FindingSchema, create(FindingSchema, { ...finding, evidence: [], series: [] }));
    const isWhole = finding.evidence.length > 0 && finding.severity >= AnomalySeverity.HIGH;
    const known = this.#store.get<{ head_wire: Uint8Array; whole: number }>(
      "SELECT head_wire, whole_wire IS NOT NULL AS whole FROM anomalies WHERE host_id = ? AND finding_id = ?",
      hostId,
      finding.id,
    );
    if (known && Buffer.compare(known.head_wire, head) === 0 && (known.whole === 1 || !isWhole)) return false;
    const said = finding.feedback[0]?.kind ?? FeedbackKind.UNSPECIFIED;
    const text = [finding.sentence, finding.process, finding.remote, finding.subjectKey, finding.host]
      .join(" ")
      .toLowerCase();
    this.#store.run(
      `INSERT INTO anomalies (host_id, finding_id, revision, detector, severity, state, began_at_ms, last_at_ms,
         detected_at_ms, feedback, search_text, head_wire, whole_wire)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (host_id, finding_id) DO UPDATE SET revision = excluded.revision, detector = excluded.detector,
         severity = excluded.severity, state = excluded.state, began_at_ms = excluded.began_at_ms,
         last_at_ms = excluded.last_at_ms, feedback = excluded.feedback, search_text = excluded.search_text,
         head_wire = excluded.head_wire, whole_wire = coalesce(excluded.whole_wire, whole_wire)`,
      hostId,
      finding.id,
      revision,
      finding.detector,
      finding.severity,
      finding.state,
      timeOf(finding.beganAt),
      timeOf(finding.lastAt),
      timeOf(finding.detectedAt),
      said === FeedbackKind.UNDO ? 0 : said,
      text,
      head,
      isWhole ? toBinary(FindingSchema, finding) : null,
    );
    return true;
  }

  #forgetOldest(hostId: string): void {
    const { maxPerHost, maxWholePerHost } = this.#limits;
    const oldest = "SELECT finding_id FROM anomalies WHERE host_id = ?";
    const after = "ORDER BY detected_at_ms DESC, finding_id DESC LIMIT -1 OFFSET ?";
    this.#store.run(
      `DELETE FROM anomalies WHERE host_id = ? AND finding_id IN (${oldest} ${after})`,
      hostId,
      hostId,
      maxPerHost,
    );
    this.#store.run(
      `UPDATE anomalies SET whole_wire = NULL WHERE host_id = ? AND finding_id IN (
         ${oldest} AND whole_wire IS NOT NULL ${after})`,
      hostId,
      hostId,
      maxWholePerHost,
    );
  }
}

function fromHead({ host_id, revision, feedback, head_wire }: HeadColumns): KeptFinding {
  return { hostId: host_id, revision, isOpen: feedback === 0, finding: fromBinary(FindingSchema, head_wire) };
}

function timeOf(time: Parameters<typeof timestampMs>[0] | undefined): number {
  return time ? Math.floor(timestampMs(time)) : 0;
}

function conditionOf({ hostIds, detectors, minSeverity, sinceMs, untilMs, text }: AnomalyFilter) {
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, value: unknown) => {
    where.push(condition);
    values.push(value);
  };
  if (hostIds.length > 0) add("host_id IN (SELECT value FROM json_each(?))", JSON.stringify(hostIds));
  if (detectors.length > 0) add("detector IN (SELECT value FROM json_each(?))", JSON.stringify(detectors));
  if (minSeverity > AnomalySeverity.LOW) add("severity >= ?", minSeverity);
  if (sinceMs !== null) add("last_at_ms >= ?", sinceMs);
  if (untilMs !== null) add("began_at_ms < ?", untilMs);
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean).slice(0, 20))
    add("instr(search_text, ?) > 0", word);
  return { where, values };
}
