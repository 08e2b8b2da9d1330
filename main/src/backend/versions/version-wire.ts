import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/versions";
import { type HostRegistry, labelOf } from "../hosts/managed-host.ts";
import type { StoredVersion, VersionKind } from "../store/versions-table.ts";
import { enforcedRuns } from "./enforced-on.ts";
import type { Enforcement, VersionIndex } from "./version-index.ts";

const MAX_PATHS = 20;
const MAX_HOSTS = 100;

const KIND_TO_WIRE: Record<VersionKind, wire.VersionKind> = {
  kept: wire.VersionKind.KEPT,
  applied: wire.VersionKind.APPLIED,
  "rolled-out": wire.VersionKind.ROLLED_OUT,
  imported: wire.VersionKind.IMPORTED,
  restored: wire.VersionKind.RESTORED,
  cluster: wire.VersionKind.CLUSTER,
  source: wire.VersionKind.SOURCE,
  merged: wire.VersionKind.MERGED,
  before: wire.VersionKind.BEFORE,
};

export const KIND_FROM_WIRE: ReadonlyMap<wire.VersionKind, VersionKind> = new Map(
  Object.entries(KIND_TO_WIRE).map(([kind, number]) => [number, kind as VersionKind]),
);

/** Writes the versions of one answer; receipts are read once for all of them. */
export class VersionWriter {
  readonly #index: VersionIndex;
  readonly #registry: HostRegistry;
  #enforcements: readonly Enforcement[] | null = null;

  constructor({ index, registry }: { readonly index: VersionIndex; readonly registry: HostRegistry }) {
    this.#index = index;
    this.#registry = registry;
  }

  /** @param ids contents of which it is said who enforces them: that of the version, or all that have a line */
  entry(version: StoredVersion, ids: ReadonlySet<string>): wire.VersionEntry {
    this.#enforcements ??= this.#index.enforcements();
    const { paths, count } = this.#index.changedPaths(version.number, MAX_PATHS);
    return create(wire.VersionEntrySchema, {
      number: BigInt(version.number),
      id: version.id,
      parent: BigInt(version.parent),
      kind: KIND_TO_WIRE[version.kind] ?? wire.VersionKind.UNSPECIFIED,
      createdAt: timestampFromMs(version.createdAtMs),
      ...{ author: version.author, reason: version.reason, ticket: version.ticket },
      ...{ fileCount: version.fileCount, policyCount: version.policyCount },
      changedPaths: [...paths],
      changedCount: count,
      enforcedOn: enforcedRuns(this.#enforcements, ids)
        .slice(0, MAX_HOSTS)
        .map(({ hostId, sinceMs, untilMs }) => {
          const host = this.#registry.find(hostId);
          return {
            hostId,
            hostName: host ? labelOf(host) : hostId,
            since: timestampFromMs(sinceMs),
            ...(untilMs === null ? {} : { until: timestampFromMs(untilMs) }),
          };
        }),
    });
  }
}
