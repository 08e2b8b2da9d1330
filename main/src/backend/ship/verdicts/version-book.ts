/** The versions behind verdicts, each once, with the hosts that have it. */
import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  StagedReason,
  type VerdictColumn,
  type VerdictVersion,
  VerdictVersionSchema,
  VersionHostSchema,
} from "@wardline/api/wardline/console/v1/verdicts";
import { Emergency, type Generation, type PendingConfirmation } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { labelOf, type ManagedHost } from "../../hosts/managed-host.ts";
import type { VersionsTable } from "../../store/versions-table.ts";

export interface VersionFacts {
  readonly column: VerdictColumn;
  readonly stateDigest?: string;
  readonly stagedReason?: StagedReason;
  readonly mode?: EnforcementMode;
  readonly timeMs?: number;
  readonly author?: string;
  readonly reason?: string;
  readonly unknownBecause?: string;
  readonly isNothing?: boolean;
  /** The brake, where it is pulled. */
  readonly emergency?: Emergency;
}

export interface VersionOnHost {
  readonly host: ManagedHost;
  readonly generation?: Generation;
  readonly pending?: PendingConfirmation;
}

export class VersionBook {
  readonly #versions: VersionsTable;
  readonly #list: VerdictVersion[] = [];
  readonly #numbers = new Map<string, number>();
  /** Of each version. */
  readonly #hosts = new Map<number, Set<string>>();

  constructor(versions: VersionsTable) {
    this.#versions = versions;
  }

  get all(): readonly VerdictVersion[] {
    return this.#list;
  }

  /** Ids begin at 1. */
  add(facts: VersionFacts, on: VersionOnHost | null): number {
    const { column, stateDigest = "", stagedReason = StagedReason.UNSPECIFIED, unknownBecause = "" } = facts;
    const { mode = EnforcementMode.UNSPECIFIED, isNothing = false, reason = "" } = facts;
    const { emergency = Emergency.UNSPECIFIED } = facts;
    const key = JSON.stringify([column, stateDigest, stagedReason, mode, unknownBecause, isNothing, reason, emergency]);
    let id = this.#numbers.get(key);
    if (id === undefined) {
      const kept = stateDigest === "" ? null : this.#versions.find(stateDigest);
      id = this.#list.length + 1;
      const version = create(VerdictVersionSchema, {
        ...{ id, column, stateDigest, stagedReason, mode, unknownBecause, isNothing, emergency },
        versionNumber: BigInt(kept?.number ?? 0),
        author: facts.author ?? on?.generation?.appliedBy ?? kept?.author ?? "",
        reason: reason || (kept?.reason ?? ""),
      });
      if (facts.timeMs !== undefined) version.time = timestampFromMs(facts.timeMs);
      this.#list.push(version);
      this.#numbers.set(key, id);
    }
    const version = this.#list[id - 1];
    const hosts = this.#hosts.get(id) ?? new Set<string>();
    this.#hosts.set(id, hosts);
    if (version && on && !hosts.has(on.host.id)) {
      hosts.add(on.host.id);
      addHost(version, on);
    }
    return id;
  }
}

function addHost(version: VerdictVersion, { host, generation, pending }: VersionOnHost): void {
  const own = create(VersionHostSchema, {
    hostId: host.id,
    hostName: labelOf(host),
    generation: generation?.number ?? 0n,
  });
  if (generation?.appliedAt) {
    own.since = generation.appliedAt;
    if (!version.time || generation.appliedAt.seconds < version.time.seconds) version.time = generation.appliedAt;
  }
  const { lastHeardAtMs } = host.connection.state;
  if (pending && pending.generation?.number === generation?.number) {
    // What is left is known better than the time: clocks of host and console may differ.
    if (pending.remaining) own.deadline = timestampFromMs(lastHeardAtMs + durationMs(pending.remaining));
    else if (pending.deadline) own.deadline = pending.deadline;
    own.previousGeneration = pending.previous?.number ?? 0n;
  }
  if (lastHeardAtMs > 0) own.heardAt = timestampFromMs(lastHeardAtMs);
  version.hosts.push(own);
}
