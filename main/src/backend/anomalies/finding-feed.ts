/** The findings of all hosts, as others follow them. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type AnomalyList, AnomalyListSchema } from "@wardline/api/wardline/console/v1/anomalies";
import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import type { ChangeSignal } from "../async/signal.ts";
import type { AnomaliesTable, AnomalyFilter, AnomalyPosition } from "./anomalies-table.ts";
import type { FindingFeed, KeptFinding } from "./ports.ts";

/** Of the activity stream; the rest is found by searching. */
const LISTED = 500;

export const EVERY_FINDING: AnomalyFilter = {
  hostIds: [],
  detectors: [],
  minSeverity: AnomalySeverity.LOW,
  sinceMs: null,
  untilMs: null,
  text: "",
};

export class AnomalyFeed implements FindingFeed {
  readonly changes: ChangeSignal;
  readonly #table: AnomaliesTable;
  readonly #hostIds: () => ReadonlySet<string>;
  #list: { readonly version: number; readonly revision: number; readonly list: AnomalyList } | null = null;

  /** @param hostIds of the hosts that this console has now: models of others are not shown */
  constructor(table: AnomaliesTable, changes: ChangeSignal, hostIds: () => ReadonlySet<string>) {
    this.#table = table;
    this.changes = changes;
    this.#hostIds = hostIds;
  }

  revision(): number {
    return this.#table.revision();
  }

  changedSince(revision: number, limit: number): readonly KeptFinding[] {
    return this.#table.changedSince(revision, limit);
  }

  list(): AnomalyList {
    const { version } = this.changes;
    const revision = this.revision();
    if (this.#list?.version !== version || this.#list.revision !== revision) {
      this.#list = { version, revision, list: this.#read() };
    }
    return this.#list.list;
  }

  #read(): AnomalyList {
    const table = this.#table;
    const hostIds = this.#hostIds();
    return create(AnomalyListSchema, {
      anomalies: table.search(EVERY_FINDING, null, LISTED).map(({ hostId, finding }) => ({ hostId, finding })),
      total: BigInt(table.count()),
      models: table.models().filter(({ hostId }) => hostIds.has(hostId)),
      openBySeverity: table.openBySeverity(),
    });
  }
}

export function positionOf({ hostId, finding }: KeptFinding): AnomalyPosition {
  const detectedAtMs = finding.detectedAt ? Math.floor(timestampMs(finding.detectedAt)) : 0;
  return { detectedAtMs, hostId, findingId: finding.id };
}
