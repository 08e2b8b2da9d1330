/** What would change if a state were applied, host by host and by meaning. Changes nothing. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ChangeKind, FileChangeSchema, PlanResponseSchema } from "@wardline/api/wardline/console/v1/ship";
import type { ErrorDetail } from "@wardline/api/wardline/v1/error";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { checkRisks, type Diagnostic } from "@wardline/domain/policy";
import { failureToDetail, toWireDiagnostic } from "@wardline/domain/wire";
import { mapPooled } from "../async/pool.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import type { VersionsTable } from "../store/versions-table.ts";
import { type DesiredState, HostPrograms } from "./desired-state.ts";
import type { HostNeedsSource } from "./host-needs.ts";
import { type HostOutcome, HostPlanner, type PlanContext, type PlannedHost } from "./host-planner.ts";
import { WorkspaceTests } from "./policy-tests.ts";
import { readHostsTraffic } from "./recorded-traffic.ts";

export type { PlannedHost } from "./host-planner.ts";

const MAX_PLANS = 20;
/** Hosts that are asked at once: one that does not answer takes one of these places for as long as it takes to give up. */
const HOSTS_AT_ONCE = 48;

export interface RefusedHost {
  readonly hostId: string;
  readonly hostName: string;
  readonly error: ErrorDetail;
}

export interface StoredPlan {
  readonly id: string;
  readonly workspaceRevision: number;
  readonly state: DesiredState;
  readonly hosts: readonly PlannedHost[];
  /** Hosts that cannot be planned for, with the reason. */
  readonly refused: readonly RefusedHost[];
  /** Policy tests that were not shown to hold when the plan was made. */
  readonly failedTestCount: number;
}

export interface PlannerPorts {
  readonly registry: HostRegistry;
  readonly workspace: Workspace;
  readonly versions: VersionsTable;
  readonly flows: FlowsTable;
  readonly clock: Clock;
  readonly needsOf: HostNeedsSource;
}

export class Planner {
  readonly programs: HostPrograms;
  readonly #ports: PlannerPorts;
  readonly #hostPlanner: HostPlanner;
  readonly #plans = new Map<string, StoredPlan>();
  readonly #tests = new WorkspaceTests();

  constructor(ports: PlannerPorts) {
    this.#ports = ports;
    this.programs = new HostPrograms(ports.versions, ports.clock);
    this.#hostPlanner = new HostPlanner(this.programs);
  }

  /**
   * Plans the workspace for the hosts, or all when none are named; or a kept version, which cannot be applied as such.
   * @throws Failure NOT_FOUND
   */
  async plan(hostIds: readonly string[], versionId = "") {
    const { registry, workspace, clock } = this.#ports;
    const hosts = registry.select(hostIds);
    const current = workspace.snapshot();
    const snapshot = versionId === "" ? current : this.#version(versionId);
    const { outcomes, risks } = await this.#planHosts(snapshot, hosts);
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
    const basis = outcomes.find(({ wire }) => wire.current && !wire.away);
    if (basis) answer.fileChanges = fileChanges(basis.enforced?.files ?? [], snapshot.files);
    // Away hosts alone are no plan: nobody would show whether the change is any good.
    if (snapshot === current && outcomes.some(({ planned }) => planned && !planned.away)) {
      answer.planId = this.#keep(snapshot, current.revision, outcomes, answer.tests?.failedCount ?? 0);
    }
    return answer;
  }

  #version(id: string): DesiredState {
    const state = this.programs.version(id);
    if (state) return state;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no version ${JSON.stringify(id.slice(0, 64))} on this console.`,
      hint: "List the versions to see which are kept.",
    });
  }

  /** Plans a version that was kept for hosts that are named, as far as they can be reached now. */
  async planVersion(state: DesiredState, hosts: readonly ManagedHost[]): Promise<readonly HostOutcome[]> {
    return (await this.#planHosts(state, hosts)).outcomes;
  }

  /** The hosts that cannot be planned for, with the reason. */
  refusedOf(outcomes: readonly HostOutcome[]): RefusedHost[] {
    return outcomes.flatMap((outcome) => (outcome.planned ? [] : [refusedHost(outcome)]));
  }

  /**
   * The plan, when neither the workspace nor one of its hosts has changed since.
   * @throws Failure PLAN_STALE
   */
  take(id: string): StoredPlan {
    const plan = this.takeForRollout(id);
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

  /**
   * The plan, when the workspace has not changed since. A host that has is refused by its own agent, which compares the
   * generation: the others do not wait for it.
   * @throws Failure PLAN_STALE
   */
  takeForRollout(id: string): StoredPlan {
    const plan = this.#plans.get(id);
    if (!plan) throw stale("the console does not know it (any more)");
    if (this.#ports.workspace.snapshot().revision !== plan.workspaceRevision) {
      throw stale("policies or inventory were changed since it was made");
    }
    return plan;
  }

  async #planHosts(state: DesiredState, hosts: readonly ManagedHost[]) {
    const { flows, clock } = this.#ports;
    const risks = this.#risks(state, hosts);
    const cuts = new Map<ManagedHost, boolean>();
    const context: PlanContext = {
      state,
      traffic: await readHostsTraffic(flows, clock.nowMs()),
      cutsConsole: (host) => {
        // One look at all hosts says for nearly every plan that there is nothing to look for.
        if (!risks.some(({ severity }) => severity === "error")) return false;
        const known = cuts.get(host) ?? this.#cutsConsole(state, host);
        cuts.set(host, known);
        return known;
      },
    };
    const outcomes = await mapPooled(hosts, HOSTS_AT_ONCE, (host) => this.#hostPlanner.plan(host, context));
    return { outcomes, risks };
  }

  /** What the policies would cut off; nothing while there are errors, as such policies are not applied. */
  #risks(state: DesiredState, hosts: readonly ManagedHost[]): readonly Diagnostic[] {
    if (!state.reading.ok) return [];
    const { clock, needsOf } = this.#ports;
    return checkRisks(state.reading.world, {
      hosts: hosts.map(needsOf),
      files: state.files,
      nowUnixMs: clock.nowMs(),
    });
  }

  #cutsConsole(state: DesiredState, host: ManagedHost): boolean {
    const isManaged = this.#ports.needsOf(host).connections.some(({ purpose }) => purpose === "console");
    return isManaged && this.#risks(state, [host]).some(({ severity }) => severity === "error");
  }

  #keep(state: DesiredState, revision: number, outcomes: readonly HostOutcome[], failedTestCount: number): string {
    const id = randomUUID();
    this.#plans.set(id, {
      id,
      workspaceRevision: revision,
      state,
      hosts: outcomes.flatMap(({ planned }) => planned ?? []),
      refused: this.refusedOf(outcomes),
      failedTestCount,
    });
    for (const [oldest, { workspaceRevision }] of this.#plans) {
      if (workspaceRevision === revision && this.#plans.size <= MAX_PLANS) break;
      this.#plans.delete(oldest);
    }
    return id;
  }
}

function refusedHost({ wire, diagnostics }: HostOutcome): RefusedHost {
  const { hostId, hostName } = wire;
  const problem = diagnostics.find(({ severity }) => severity === "error");
  const failure = new Failure({
    code: problem ? ErrorCode.POLICY_UNSUPPORTED : ErrorCode.WOULD_LOCK_OUT,
    message: problem?.message ?? `These policies would cut this console off from ${hostName}.`,
    hint: "Look at the plan of this host.",
    host: hostName,
  });
  return { hostId, hostName, error: wire.error ?? failureToDetail(failure) };
}

function stale(why: string): Failure {
  return new Failure({
    code: ErrorCode.PLAN_STALE,
    message: `The plan is out of date: ${why}. Nothing was sent.`,
    hint: "Plan again and look at what would change now.",
  });
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
