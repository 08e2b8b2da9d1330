/** When conditions of hosts, clusters and meshes began and ended: only changes are written. Backtests read it. */
import type { ClusterFact, HostFact, MeshFact } from "@wardline/domain/alerts";
import type { AlertTables, ConditionChange, ConditionKind } from "./alert-tables.ts";
import type { Facts } from "./host-facts.ts";

export interface StandingFacts {
  readonly hosts: Facts<HostFact> | null;
  readonly clusters: Facts<ClusterFact> | null;
  readonly meshes: Facts<MeshFact> | null;
}

export class ConditionLog {
  /** What was last written as holding, by kind and key. */
  readonly #holding = new Map<string, ConditionChange>();

  /** Goes on from what was written before. */
  constructor(tables: AlertTables) {
    for (const kind of ["host", "cluster", "mesh"] as const) {
      for (const change of tables.conditions(kind, Number.MAX_SAFE_INTEGER)) {
        if (change.holds) this.#holding.set(`${kind} ${change.key}`, change);
        else this.#holding.delete(`${kind} ${change.key}`);
      }
    }
  }

  changes({ hosts, clusters, meshes }: StandingFacts, timeMs: number): ConditionChange[] {
    return [
      ...this.#changesOf(
        "host",
        hosts,
        timeMs,
        ({ hostId, condition }) => JSON.stringify([hostId, condition]),
        ({ hostId }) => hostId,
      ),
      ...this.#changesOf(
        "cluster",
        clusters,
        timeMs,
        ({ cluster, condition, about }) => JSON.stringify([cluster, condition, about]),
        ({ cluster }) => cluster,
      ),
      ...this.#changesOf(
        "mesh",
        meshes,
        timeMs,
        ({ condition, about }) => JSON.stringify([condition, about]),
        ({ about }) => about,
      ),
    ];
  }

  #changesOf<Fact>(
    kind: ConditionKind,
    known: Facts<Fact> | null,
    timeMs: number,
    keyOf: (fact: Fact) => string,
    nameOf: (fact: Fact) => string,
  ): ConditionChange[] {
    if (known === null) return [];
    const changes: ConditionChange[] = [];
    const now = new Set<string>();
    for (const fact of known.facts) {
      const key = keyOf(fact);
      now.add(`${kind} ${key}`);
      if (this.#holding.has(`${kind} ${key}`)) continue;
      changes.push({ timeMs, kind, key, holds: true, json: JSON.stringify(fact) });
    }
    for (const [name, before] of this.#holding) {
      const isOther = before.kind !== kind || now.has(name);
      if (isOther || known.unknown.has(nameOf(JSON.parse(before.json) as Fact))) continue;
      changes.push({ ...before, timeMs, holds: false });
    }
    for (const change of changes) {
      if (change.holds) this.#holding.set(`${kind} ${change.key}`, change);
      else this.#holding.delete(`${kind} ${change.key}`);
    }
    return changes;
  }
}
