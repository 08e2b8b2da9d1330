/** What would change on one host under a state: both sides compiled, compared by meaning, and the agent asked. */
import { create } from "@bufbuild/protobuf";
import { type HostPlan, HostPlanSchema } from "@wardline/api/wardline/console/v1/ship";
import { BackendKind, type Generation, type HostStatus } from "@wardline/api/wardline/v1/host";
import type { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { forecastDenials } from "@wardline/domain/fleet";
import type { Diagnostic, HostProgram } from "@wardline/domain/policy";
import { failureToDetail, fromWireDiagnostic } from "@wardline/domain/wire";
import { agentFailure } from "../agent/agent-failure.ts";
import { Turns } from "../async/pool.ts";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import { describeAccessChanges } from "./access-changes.ts";
import type { DesiredState, HostPrograms } from "./desired-state.ts";
import { hostLoad, hostReturn } from "./host-load.ts";
import type { HostsTraffic } from "./recorded-traffic.ts";

const STATUS_TIMEOUT_MS = 5_000;
const CHECK_TIMEOUT_MS = 20_000;
const STATUS_LAG_MS = 2_500;

export interface PlannedHost {
  readonly host: ManagedHost;
  readonly hostName: string;
  /** What the plan was made against: number 0 = nothing was enforced. */
  readonly baseGeneration: bigint;
  readonly baseStateDigest: string;
  readonly programDigest: string;
  readonly stateDigest: string;
  /** Denied packets a minute under the plan. */
  readonly forecastPerMinute: number;
  /** Whether tables, texts and mode are those that are enforced. */
  isUnchangedIn(mode: EnforcementMode): boolean;
  /** Why it could not be reached: planned from what was last known. */
  readonly away: Failure | null;
}

export interface HostOutcome {
  readonly wire: HostPlan;
  /** `null` when it cannot be planned for. */
  readonly planned: PlannedHost | null;
  /** What it enforces, where that is known. */
  readonly enforced: DesiredState | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** What all hosts of a plan share. */
export interface PlanContext {
  readonly state: DesiredState;
  readonly traffic: HostsTraffic;
  /** A host that the console could not reach any more is not planned for: nobody could confirm the change. */
  cutsConsole(host: ManagedHost): boolean;
}

interface Basis {
  readonly generation: Generation | undefined;
  readonly state: DesiredState | null;
}

export class HostPlanner {
  readonly #programs: HostPrograms;
  readonly #turns = new Turns();

  constructor(programs: HostPrograms) {
    this.#programs = programs;
  }

  /** Ends in a bounded time, whatever the host does. */
  async plan(host: ManagedHost, context: PlanContext): Promise<HostOutcome> {
    const wire = create(HostPlanSchema, { hostId: host.id, hostName: hostNameOf(host) });
    let enforced: DesiredState | null = null;
    try {
      const status = await currentStatus(host);
      const basis = await this.#basis(host, status, context.state);
      enforced = basis.state;
      // `take` compares with the status that is followed, which may be a moment behind the answer.
      await host.connection.waitForGeneration(basis.generation?.number ?? 0n, STATUS_LAG_MS);
      describeHost(wire, hostNameOf(host), status, context.state);
      if (basis.generation) wire.current = basis.generation;
      wire.returnsTo = hostReturn(basis.generation, this.#programs.versions);
      // Errors block every host alike; they are in the diagnostics of the plan.
      if (!context.state.reading.ok) return { wire, planned: null, enforced, diagnostics: [] };
      const planned = await this.#compare(host, context, basis, wire);
      const diagnostics = await askAgent(host, context.state, wire.programDigest);
      const isRefused = diagnostics.some(({ severity }) => severity === "error") || context.cutsConsole(host);
      return { wire, planned: isRefused ? null : planned, enforced, diagnostics };
    } catch (error) {
      const failure = agentFailure(error, hostNameOf(host));
      wire.error = failureToDetail(failure);
      const planned = isAway(failure) ? await this.#planAway(host, context, wire, failure) : null;
      return { wire, planned, enforced, diagnostics: [] };
    }
  }

  /** From what was last known; `null` when that is nothing, or the policies have errors. */
  async #planAway(host: ManagedHost, context: PlanContext, wire: HostPlan, away: Failure): Promise<PlannedHost | null> {
    const { status } = host.connection.state;
    if (!status?.info || !context.state.reading.ok || context.cutsConsole(host)) return null;
    describeHost(wire, hostNameOf(host), status, context.state);
    const generation = status.pending?.previous ?? status.enforced;
    if (generation) wire.current = generation;
    wire.returnsTo = hostReturn(generation, this.#programs.versions);
    const state = generation?.stateDigest ? this.#known(generation.stateDigest, context.state) : null;
    try {
      const planned = await this.#compare(host, context, { generation, state }, wire);
      wire.away = true;
      return { ...planned, away };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return null;
    }
  }

  #known(stateDigest: string, planned: DesiredState): DesiredState | null {
    return stateDigest === planned.stateDigest ? planned : this.#programs.version(stateDigest);
  }

  /** The texts are asked for only where they are not known here: they may be megabytes on each of a hundred hosts. */
  async #basis(host: ManagedHost, { enforced }: HostStatus, planned: DesiredState): Promise<Basis> {
    if (!enforced || enforced.number === 0n) return { generation: enforced, state: null };
    const known = this.#known(enforced.stateDigest, planned);
    if (known) return { generation: enforced, state: known };
    const { generation, files } = await host.enforced.fetch();
    if (!generation) return { generation: undefined, state: null };
    return { generation, state: this.#programs.read(generation.stateDigest, files) };
  }

  async #compare(host: ManagedHost, context: PlanContext, basis: Basis, wire: HostPlan): Promise<PlannedHost> {
    const { state, traffic } = context;
    const hostName = hostNameOf(host);
    const next = await this.#turns.run(() => this.#programs.planned(state, hostName));
    const old = await this.#turns.run(() => this.#oldProgram(basis, state, next));
    wire.programDigest = next.digest;
    // Compared as planned, not as enforced: the host has put in the addresses of domain names.
    wire.unchanged = old?.digest === next.digest;
    const recorded = traffic.of(host.id);
    const { inventory } = state.reading.world;
    const changes = await this.#turns.run(() => describeAccessChanges({ old, next, inventory, recorded }));
    wire.accessChanges = changes.listed;
    wire.accessChangesLeftOut = changes.leftOut;
    const changed = new Set(changes.listed.map(({ subjectKey }) => subjectKey));
    const before = { program: old, world: old === null ? null : (basis.state?.reading.world ?? null) };
    wire.load = hostLoad(before, { program: next, world: state.reading.world }, changed);
    const forecast = await this.#turns.run(() => forecastDenials(next, recorded, traffic.minutes));
    const { generation } = basis;
    const isSame = wire.unchanged && generation?.stateDigest === state.stateDigest;
    return {
      host,
      hostName,
      baseGeneration: generation?.number ?? 0n,
      baseStateDigest: generation?.stateDigest ?? "",
      programDigest: next.digest,
      stateDigest: state.stateDigest,
      forecastPerMinute: forecast.perMinute,
      isUnchangedIn: (mode) => isSame && generation?.mode === mode,
      away: null,
    };
  }

  #oldProgram({ generation, state }: Basis, planned: DesiredState, next: HostProgram): HostProgram | null {
    if (state === null || !generation || generation.number === 0n) return null;
    if (state.stateDigest === planned.stateDigest) return next;
    return this.#programs.enforced(state, next.hostName);
  }
}

async function currentStatus(host: ManagedHost): Promise<HostStatus> {
  const { status } = await host.connection.call((client) => client.getStatus({}, { timeoutMs: STATUS_TIMEOUT_MS }));
  if (status) return status;
  throw new Failure({ code: ErrorCode.INTERNAL, message: `${hostNameOf(host)} answered without its status.` });
}

/** Whether the agent can honour the policies, and understands them as this console does. */
async function askAgent(host: ManagedHost, state: DesiredState, digest: string): Promise<readonly Diagnostic[]> {
  const answer = await host.connection.call((client) =>
    client.check({ state: { files: [...state.files] } }, { timeoutMs: CHECK_TIMEOUT_MS }),
  );
  const diagnostics = answer.diagnostics.map(fromWireDiagnostic);
  const isRefused = diagnostics.some(({ severity }) => severity === "error");
  if (isRefused || answer.programDigest === digest) return diagnostics;
  const hostName = hostNameOf(host);
  throw new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The agent on ${hostName} compiles these policies to other tables than this console, so what would happen there cannot be shown.`,
    hint: "Bring console and agent to the same version.",
    host: hostName,
  });
}

function describeHost(
  wire: HostPlan,
  hostName: string,
  status: HostStatus,
  { stateDigest, reading }: DesiredState,
): void {
  const { policies } = reading.world;
  wire.hostName = hostName;
  wire.stateDigest = stateDigest;
  wire.policyCount = policies.length;
  wire.ruleCount = policies.reduce((sum, policy) => sum + policy.rules.length, 0);
  wire.backend = status.info?.backend ?? BackendKind.UNSPECIFIED;
}

/** Nobody there: what is wrong may be over when it returns. Everything else needs somebody to look at it. */
export function isAway({ code }: Failure): boolean {
  return (
    code === ErrorCode.AGENT_UNREACHABLE || code === ErrorCode.HOST_UNREACHABLE || code === ErrorCode.DEADLINE_EXCEEDED
  );
}
