/** What would change if the workspace were applied, host by host and by meaning. Changes nothing. */
import { createHash, randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ChangeKind,
  FileChangeSchema,
  type HostPlan,
  HostPlanSchema,
  PlanResponseSchema,
} from "@wardline/api/wardline/console/v1/ship";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type Compiler,
  checkRisks,
  createCompiler,
  createPolicyReader,
  type Diagnostic,
  type HostProgram,
  type PolicyWorld,
  withoutExpired,
} from "@wardline/domain/policy";
import { failureToDetail, fromWireDiagnostic, toWireDiagnostic } from "@wardline/domain/wire";
import { agentFailure } from "../agent/agent-failure.ts";
import type { EnforcedFiles } from "../hosts/enforced-state.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace, WorkspaceSnapshot } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import { describeAccessChanges } from "./access-changes.ts";
import type { HostNeedsSource } from "./host-needs.ts";
import { WorkspaceTests } from "./policy-tests.ts";

const MAX_PLANS = 20;
const CHECK_TIMEOUT_MS = 30_000;
const STATUS_LAG_MS = 2_500;
const RECORDED_WINDOW_MS = 3_600_000;

export interface PlannedHost {
  readonly host: ManagedHost;
  /** Number of the generation that the plan was made against. */
  readonly baseGeneration: bigint;
  readonly programDigest: string;
  readonly stateDigest: string;
}

export interface StoredPlan {
  readonly id: string;
  readonly workspaceRevision: number;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly hosts: readonly PlannedHost[];
  /** Policy tests that were not shown to hold when the plan was made. */
  readonly failedTestCount: number;
}

export interface PlannerPorts {
  readonly registry: HostRegistry;
  readonly workspace: Workspace;
  readonly flows: FlowsTable;
  readonly clock: Clock;
  readonly needsOf: HostNeedsSource;
}

interface HostOutcome {
  readonly wire: HostPlan;
  readonly planned: PlannedHost | null;
  readonly enforced: EnforcedFiles | null;
  readonly diagnostics: readonly Diagnostic[];
}

export class Planner {
  readonly #ports: PlannerPorts;
  readonly #plans = new Map<string, StoredPlan>();
  readonly #tests = new WorkspaceTests();
  /** Goes on from one plan to the next, whose worlds differ by little, and is shared by the hosts of one. */
  #compiler: { readonly world: PolicyWorld; readonly compiler: Compiler } | null = null;
  /** The same for what hosts enforce: mostly all the same, and mostly the policies of a plan before. */
  readonly #enforcedReader = createPolicyReader();
  #enforcedCompiler: Compiler | null = null;

  constructor(ports: PlannerPorts) {
    this.#ports = ports;
  }

  async plan(hostIds: readonly string[]) {
    const { registry, workspace, clock } = this.#ports;
    const hosts = registry.select(hostIds);
    const snapshot = workspace.snapshot();
    const outcomes = await Promise.all(hosts.map((host) => this.#planHost(host, snapshot)));
    const risks = this.#risks(snapshot, hosts);
    const answer = create(PlanResponseSchema, {
      createdAt: timestampFromMs(clock.nowMs()),
      hosts: outcomes.map((outcome) => outcome.wire),
      diagnostics: distinct([
        ...snapshot.reading.diagnostics,
        ...risks,
        ...outcomes.flatMap((outcome) => outcome.diagnostics),
      ]).map(toWireDiagnostic),
    });
    if (snapshot.reading.ok) answer.tests = await this.#tests.prove(snapshot.reading, clock.nowMs());
    const basis = outcomes.find((outcome) => outcome.enforced)?.enforced;
    if (basis) answer.fileChanges = fileChanges(basis.files, snapshot.files);
    const planned = outcomes.map((outcome) => outcome.planned).filter((host) => host !== null);
    if (planned.length > 0) answer.planId = this.#keep(snapshot, planned, answer.tests?.failedCount ?? 0);
    return answer;
  }

  /**
   * The plan, when it still holds: neither workspace nor host has changed since.
   * @throws Failure PLAN_STALE
   */
  take(id: string): StoredPlan {
    const stale = (why: string) =>
      new Failure({
        code: ErrorCode.PLAN_STALE,
        message: `The plan is out of date: ${why}. Nothing was sent.`,
        hint: "Plan again and look at what would change now.",
      });
    const plan = this.#plans.get(id);
    if (!plan) throw stale("the console does not know it (any more)");
    if (this.#ports.workspace.snapshot().revision !== plan.workspaceRevision) {
      throw stale("policies or inventory were changed since it was made");
    }
    for (const { host, baseGeneration } of plan.hosts) {
      const enforced = host.connection.state.status?.enforced?.number ?? 0n;
      if (enforced !== baseGeneration) {
        throw stale(
          `${hostNameOf(host)} enforces generation ${enforced} now, the plan was made against ${baseGeneration}`,
        );
      }
    }
    return plan;
  }

  /** What the policies would cut off; nothing while there are errors, as such policies are not applied. */
  #risks(snapshot: WorkspaceSnapshot, hosts: readonly ManagedHost[]): readonly Diagnostic[] {
    if (!snapshot.reading.ok) return [];
    const { clock, needsOf } = this.#ports;
    return checkRisks(snapshot.reading.world, {
      hosts: hosts.map(needsOf),
      files: snapshot.files,
      nowUnixMs: clock.nowMs(),
    });
  }

  /** A host that the console could not reach any more is not planned for: nobody could confirm the change. */
  #cutsConsole(snapshot: WorkspaceSnapshot, host: ManagedHost): boolean {
    const isManaged = this.#ports.needsOf(host).connections.some(({ purpose }) => purpose === "console");
    return isManaged && this.#risks(snapshot, [host]).some(({ severity }) => severity === "error");
  }

  #compilerFor(world: PolicyWorld): Compiler {
    if (this.#compiler?.world === world) return this.#compiler.compiler;
    const compiler = this.#compiler?.compiler ?? createCompiler(world, () => createHash("sha256"));
    compiler.update(world);
    this.#compiler = { world, compiler };
    return compiler;
  }

  /** What a host enforces, as it would be planned now; `null` when nothing was ever applied. */
  #enforcedProgram(
    { generation, files }: EnforcedFiles,
    planned: { readonly stateDigest: string; readonly program: HostProgram },
    nowMs: number,
  ): HostProgram | null {
    if (generation === null || generation.number === 0n) return null;
    if (generation.stateDigest === planned.stateDigest) return planned.program;
    const world = withoutExpired(this.#enforcedReader.read(files).world, nowMs);
    if (this.#enforcedCompiler === null) this.#enforcedCompiler = createCompiler(world, () => createHash("sha256"));
    else this.#enforcedCompiler.update(world);
    return this.#enforcedCompiler.program(planned.program.hostName);
  }

  #keep(snapshot: WorkspaceSnapshot, hosts: readonly PlannedHost[], failedTestCount: number): string {
    const id = randomUUID();
    const files = snapshot.files.map(({ path, text }) => ({ path, text }));
    this.#plans.set(id, { id, workspaceRevision: snapshot.revision, files, hosts, failedTestCount });
    for (const oldest of this.#plans.keys()) {
      if (this.#plans.size <= MAX_PLANS) break;
      this.#plans.delete(oldest);
    }
    return id;
  }

  async #planHost(host: ManagedHost, snapshot: WorkspaceSnapshot): Promise<HostOutcome> {
    const wire = create(HostPlanSchema, {
      hostId: host.id,
      stateDigest: snapshot.stateDigest,
      policyCount: snapshot.reading.world.policies.length,
      ruleCount: snapshot.reading.world.policies.reduce((sum, policy) => sum + policy.rules.length, 0),
      backend: host.connection.state.status?.info?.backend ?? BackendKind.UNSPECIFIED,
    });
    let enforced: EnforcedFiles | null = null;
    try {
      enforced = await host.enforced.fetch();
      if (enforced.generation) wire.current = enforced.generation;
      // `take` compares with the status, which may be a moment behind the answer.
      await host.connection.waitForGeneration(enforced.generation?.number ?? 0n, STATUS_LAG_MS);
      // Errors block every host alike; they are in the diagnostics of the plan.
      if (!snapshot.reading.ok) return { wire, planned: null, enforced, diagnostics: [] };
      const diagnostics = await this.#planProgram(host, snapshot, enforced, wire);
      const refused = diagnostics.some(({ severity }) => severity === "error") || this.#cutsConsole(snapshot, host);
      const planned = {
        host,
        baseGeneration: enforced.generation?.number ?? 0n,
        programDigest: wire.programDigest,
        stateDigest: snapshot.stateDigest,
      };
      return { wire, planned: refused ? null : planned, enforced, diagnostics };
    } catch (error) {
      wire.error = failureToDetail(agentFailure(error, hostNameOf(host)));
      return { wire, planned: null, enforced, diagnostics: [] };
    }
  }

  /** Compiles both sides, compares them by meaning, and asks the agent whether it can honour the new one. */
  async #planProgram(
    host: ManagedHost,
    snapshot: WorkspaceSnapshot,
    enforced: EnforcedFiles,
    wire: HostPlan,
  ): Promise<readonly Diagnostic[]> {
    const hostName = hostNameOf(host);
    const nowMs = this.#ports.clock.nowMs();
    const next = this.#compilerFor(withoutExpired(snapshot.reading.world, nowMs)).program(hostName);
    const old = this.#enforcedProgram(enforced, { stateDigest: snapshot.stateDigest, program: next }, nowMs);
    wire.programDigest = next.digest;
    // Compared as planned, not as enforced: the host has put in the addresses of domain names.
    wire.unchanged = old?.digest === next.digest;
    const sinceUs = (nowMs - RECORDED_WINDOW_MS) * 1000;
    const changes = describeAccessChanges({
      old,
      next,
      inventory: snapshot.reading.world.inventory,
      connections: () => this.#ports.flows.recordedConnections(host.id, sinceUs),
    });
    wire.accessChanges = changes.listed;
    wire.accessChangesLeftOut = changes.leftOut;
    const answer = await host.connection.call((client) =>
      client.check({ state: { files: [...snapshot.files] } }, { timeoutMs: CHECK_TIMEOUT_MS }),
    );
    const diagnostics = answer.diagnostics.map(fromWireDiagnostic);
    const refused = diagnostics.some(({ severity }) => severity === "error");
    if (!refused && answer.programDigest !== next.digest) {
      throw new Failure({
        code: ErrorCode.VERSION_MISMATCH,
        message: `The agent on ${hostName} compiles these policies to other tables than this console, so what would happen there cannot be shown.`,
        hint: "Bring console and agent to the same version.",
        host: hostName,
      });
    }
    return diagnostics;
  }
}

/** Adds, removes and edits, sorted by path. Both sides are sorted already. */
function fileChanges(
  before: readonly { readonly path: string; readonly text: string }[],
  after: readonly { readonly path: string; readonly text: string }[],
) {
  const old = new Map(before.map((file) => [file.path, file.text]));
  const next = new Map(after.map((file) => [file.path, file.text]));
  const changes = [];
  for (const path of [...new Set([...old.keys(), ...next.keys()])].sort()) {
    const oldText = old.get(path);
    const newText = next.get(path);
    if (oldText === newText) continue;
    const kind =
      oldText === undefined ? ChangeKind.ADDED : newText === undefined ? ChangeKind.REMOVED : ChangeKind.CHANGED;
    changes.push(create(FileChangeSchema, { path, kind, oldText: oldText ?? "", newText: newText ?? "" }));
  }
  return changes;
}

/** The agent reads the same files with the same engine: what both say is shown once. */
function distinct(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const byMeaning = new Map(
    diagnostics.map((diagnostic) => [
      JSON.stringify([diagnostic.code, diagnostic.source, diagnostic.message]),
      diagnostic,
    ]),
  );
  return [...byMeaning.values()];
}
