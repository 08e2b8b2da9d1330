/** What stands behind the columns: for each host what it enforces, what it is about to, and why that is not known. */

import { StagedReason, VerdictColumn } from "@wardline/api/wardline/console/v1/verdicts";
import { BackendKind, Emergency, type Generation, type HostStatus } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Failure } from "@wardline/domain/errors";
import type { Stance } from "@wardline/domain/policy/verdicts";
import { agentFailure } from "../../agent/agent-failure.ts";
import { mapPooled } from "../../async/pool.ts";
import { hostNameOf, labelOf, type ManagedHost } from "../../hosts/managed-host.ts";
import type { StoredRollout } from "../../store/rollouts-table.ts";
import type { StateWorlds } from "./state-worlds.ts";
import type { HostStandings, StateVariant } from "./verdict-protocol.ts";
import type { VersionBook } from "./version-book.ts";

const STATUS_TIMEOUT_MS = 5_000;
const HOSTS_AT_ONCE = 48;

interface Known {
  readonly host: ManagedHost;
  readonly status: HostStatus | null;
  /** Why there is no status. */
  readonly problem: string;
}

interface HostStance {
  readonly enforced: Stance;
  readonly staged: Stance | null;
}

/** Asks every host now, all at once; one that does not answer is unknown and holds nobody up for long. */
export async function askHosts(
  hosts: readonly ManagedHost[],
  rollouts: readonly StoredRollout[],
  worlds: StateWorlds,
  versions: VersionBook,
): Promise<readonly HostStandings[]> {
  const known = await mapPooled(hosts, HOSTS_AT_ONCE, async (host) => ({ ...(await askHost(host)), host }));
  const byName = new Map<string, HostStance>();
  const doubled = new Set<string>();
  for (const one of known) {
    const name = hostNameOf(one.host);
    if (byName.has(name)) doubled.add(name);
    byName.set(name, await stanceOf(one, rollouts, worlds, versions));
  }
  for (const name of doubled) {
    byName.set(name, unknownStance(versions, `several hosts of this console call themselves ${name}`));
  }
  return [...byName].map(([hostName, stance]) => ({ hostName, ...stance }));
}

async function askHost(host: ManagedHost): Promise<Omit<Known, "host">> {
  try {
    const { status } = await host.connection.call((client) => client.getStatus({}, { timeoutMs: STATUS_TIMEOUT_MS }));
    return { status: status ?? null, problem: status ? "" : `${labelOf(host)} answered without its status` };
  } catch (error) {
    const { message } = agentFailure(error, hostNameOf(host));
    const { status, lastHeardAtMs } = host.connection.state;
    const number = status?.enforced?.number ?? 0n;
    const last =
      lastHeardAtMs > 0
        ? ` When it was heard last, ${new Date(lastHeardAtMs).toISOString()}, it enforced ${number === 0n ? "nothing" : `generation ${number}`}.`
        : "";
    return { status: null, problem: `${message}${last}` };
  }
}

function unknownStance(versions: VersionBook, because: string, host?: ManagedHost): HostStance {
  const version = versions.add({ column: VerdictColumn.ENFORCED, unknownBecause: because }, host ? { host } : null);
  // Nobody can say either what it is about to enforce.
  const staged = host ? versions.add({ column: VerdictColumn.STAGED, unknownBecause: because }, { host }) : null;
  return {
    enforced: { kind: "unknown", version },
    staged: staged === null ? null : { kind: "unknown", version: staged },
  };
}

async function stanceOf(
  { host, status, problem }: Known,
  rollouts: readonly StoredRollout[],
  worlds: StateWorlds,
  versions: VersionBook,
): Promise<HostStance> {
  if (status === null) return unknownStance(versions, problem, host);
  return {
    enforced: await enforcedStance(host, status, worlds, versions),
    staged: await stagedStance(host, status, rollouts, worlds, versions),
  };
}

async function enforcedStance(
  host: ManagedHost,
  status: HostStatus,
  worlds: StateWorlds,
  versions: VersionBook,
): Promise<Stance> {
  const { enforced, pending } = status;
  const column = VerdictColumn.ENFORCED;
  const unknown = (because: string): Stance => ({
    kind: "unknown",
    version: versions.add({ column, unknownBecause: because }, { host, ...(enforced ? { generation: enforced } : {}) }),
  });
  if (status.emergency === Emergency.CLOSED) {
    const { emergency } = status;
    const facts = {
      column,
      emergency,
      ...(enforced ? { stateDigest: enforced.stateDigest, mode: enforced.mode } : {}),
    };
    return { kind: "closed", version: versions.add(facts, { host, ...(enforced ? { generation: enforced } : {}) }) };
  }
  if (!enforced || enforced.number === 0n) {
    return { kind: "nothing", version: versions.add({ column, isNothing: true }, { host }) };
  }
  if (!status.attached && status.info?.backend !== BackendKind.OBSERVE) {
    return unknown(`the programs of ${labelOf(host)} are not attached, so nothing decides there`);
  }
  const isObserved = enforced.mode === EnforcementMode.OBSERVE;
  const world = await worldOf(worlds, host, enforced, isObserved ? "observed" : "plain");
  if (typeof world === "string") return unknown(world);
  const isDropping = status.emergency !== Emergency.OPEN && status.info?.backend !== BackendKind.OBSERVE;
  const version = versions.add(
    {
      column,
      stateDigest: enforced.stateDigest,
      mode: isDropping ? enforced.mode : EnforcementMode.OBSERVE,
      ...(status.emergency === Emergency.OPEN ? { emergency: status.emergency } : {}),
    },
    { host, generation: enforced, ...(pending ? { pending } : {}) },
  );
  return { kind: "world", world, isEnforcing: isDropping, version };
}

/** The first that holds: it waits for confirmation, a roll-out brings something else, it is observed as a whole or in part. */
async function stagedStance(
  host: ManagedHost,
  status: HostStatus,
  rollouts: readonly StoredRollout[],
  worlds: StateWorlds,
  versions: VersionBook,
): Promise<Stance | null> {
  const column = VerdictColumn.STAGED;
  const { enforced, pending } = status;
  const stance = async (generation: Generation, stagedReason: StagedReason, variant: StateVariant): Promise<Stance> => {
    const world = await worldOf(worlds, host, generation, variant);
    const facts = { host, generation, ...(pending ? { pending } : {}) };
    if (typeof world === "string") {
      return { kind: "unknown", version: versions.add({ column, stagedReason, unknownBecause: world }, facts) };
    }
    const { stateDigest, mode } = generation;
    return underBrake(
      status,
      world,
      versions.add({ column, stagedReason, stateDigest, mode, ...brakeOf(status) }, facts),
    );
  };
  if (pending?.generation) return stance(pending.generation, StagedReason.WAITS_FOR_CONFIRMATION, "plain");
  const rollout = rollouts.find((one) => isOnItsWay(one, host.id));
  if (rollout) return rolloutStance(rollout, host, status, worlds, versions);
  if (!enforced || enforced.number === 0n) return null;
  if (enforced.mode === EnforcementMode.OBSERVE) return stance(enforced, StagedReason.OBSERVED_GENERATION, "plain");
  if (!(await worlds.hasObservedPolicies(host, enforced.stateDigest))) return null;
  return stance(enforced, StagedReason.OBSERVED_POLICIES, "promoted");
}

function isOnItsWay({ progress }: StoredRollout, hostId: string): boolean {
  const own = progress.hosts.find(({ id }) => id === hostId);
  if (!own) return false;
  if (own.phase === "away" || own.isAside) return progress.phase === "done" && own.phase === "away";
  return (progress.phase === "running" || progress.phase === "waiting") && ["waiting", "applying"].includes(own.phase);
}

async function rolloutStance(
  { specification }: StoredRollout,
  host: ManagedHost,
  status: HostStatus,
  worlds: StateWorlds,
  versions: VersionBook,
): Promise<Stance> {
  const { versionId: stateDigest, mode, createdAtMs, author, reason } = specification;
  const what = {
    column: VerdictColumn.STAGED,
    stagedReason: StagedReason.ROLLOUT,
    mode,
    timeMs: createdAtMs,
    author,
    reason,
    ...brakeOf(status),
  };
  const world = await worldOf(worlds, host, { stateDigest }, "plain");
  if (typeof world === "string") {
    return { kind: "unknown", version: versions.add({ ...what, unknownBecause: world }, { host }) };
  }
  return underBrake(status, world, versions.add({ ...what, stateDigest }, { host }));
}

/** What is on its way does not let the emergency brake go. */
function underBrake({ emergency }: HostStatus, world: number, version: number): Stance {
  if (emergency === Emergency.CLOSED) return { kind: "closed", version };
  return { kind: "world", world, isEnforcing: emergency !== Emergency.OPEN, version };
}

function brakeOf({ emergency }: HostStatus): { readonly emergency?: Emergency } {
  return emergency === Emergency.OPEN || emergency === Emergency.CLOSED ? { emergency } : {};
}

/** The number of the world, or why there is none. */
async function worldOf(
  worlds: StateWorlds,
  host: ManagedHost,
  { stateDigest }: Pick<Generation, "stateDigest">,
  variant: StateVariant,
): Promise<number | string> {
  try {
    return await worlds.number(host, stateDigest, variant);
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}
