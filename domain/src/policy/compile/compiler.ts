/** Compiles hosts of one world and of what it becomes: what hosts and worlds have in common is made once. */
import { type CreateSha256, programDigest } from "../digest.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import type { Endpoint, Policy, PolicyWorld } from "../model.ts";
import { orderPolicies, reorderPolicies } from "../order.ts";
import { type HostProgram, type PolicySet, PROGRAM_FORMAT_VERSION } from "../program.ts";
import { assembleTables, type ProgramTables, TableMemory } from "./assemble.ts";
import { DecisionTable } from "./decision-table.ts";
import { PaintedTables } from "./painted-tables.ts";
import { PolicyGroups } from "./policy-groups.ts";
import { RuleExpander } from "./rule-expander.ts";
import { indexEndpoints } from "./selection.ts";
import { createUnitTable, type UnitTable } from "./units.ts";
import type { ViewContext, ViewSubject } from "./view.ts";
import { ViewCache } from "./view-cache.ts";
import { adoptEqual, type WorldChanges } from "./world-changes.ts";

export interface Compiler {
  readonly world: PolicyWorld;
  /**
   * The same program as `compile(compiler.world, hostName)`, digest included. What did not change since the last answer
   * for this host is the same object.
   *
   * Throws `TOO_LARGE` above one million table entries.
   */
  program(hostName: string): HostProgram;
  /**
   * Goes on with another world. Policies and endpoints are compared by identity and then by content; a changed inventory
   * starts anew. Throws `POLICY_UNSUPPORTED` as `orderPolicies` and keeps the world it had.
   */
  update(next: PolicyWorld): void;
}

/** `createSha256`: what programs are digested with. Throws `POLICY_UNSUPPORTED` as `orderPolicies`. */
export function createCompiler(world: PolicyWorld, createSha256?: CreateSha256): Compiler {
  let state = new CompilerState(world, orderPolicies(world.policies), createSha256);
  return {
    get world() {
      return state.world;
    },
    program: (hostName) => state.program(hostName),
    update(next) {
      const changes = adoptEqual(state.world, next);
      const isKept = changes.world.inventory === state.world.inventory && !state.isOvergrown;
      if (isKept) state.update(changes);
      else state = new CompilerState(changes.world, orderPolicies(changes.world.policies), createSha256);
    },
  };
}

interface KnownProgram {
  readonly tables: ProgramTables;
  readonly program: HostProgram;
}

/** Everything that depends on one inventory. */
class CompilerState {
  world: PolicyWorld;
  readonly #units: UnitTable;
  readonly #context: ViewContext;
  readonly #views: ViewCache;
  readonly #memory = new TableMemory();
  readonly #hosts: ReadonlyMap<string, Endpoint>;
  readonly #workloads: ReadonlyMap<string, readonly Endpoint[]>;
  readonly #tables = new Map<string, ProgramTables>();
  readonly #programs = new Map<string, KnownProgram>();
  readonly #createSha256: CreateSha256 | undefined;
  #ordered: readonly Policy[];
  #changedPolicies = 0;

  constructor(world: PolicyWorld, ordered: readonly Policy[], createSha256: CreateSha256 | undefined) {
    this.#createSha256 = createSha256;
    this.world = world;
    this.#ordered = ordered;
    const { inventory } = world;
    this.#units = createUnitTable(inventory, indexEndpoints(inventory), null);
    const decisions = new DecisionTable();
    const expander = new RuleExpander(this.#units, decisions);
    this.#context = { expander, decisions, tables: new PaintedTables(decisions) };
    this.#views = new ViewCache(new PolicyGroups(inventory.namespaces, ordered), this.#context);
    const hosts = inventory.endpoints.filter(({ kind }) => kind === "host");
    this.#hosts = new Map(hosts.toReversed().map((host) => [host.key, host]));
    const workloads = inventory.endpoints.filter(({ kind, match }) => kind === "workload" && match !== null);
    this.#workloads = Map.groupBy(workloads, ({ hostName }) => hostName ?? "");
  }

  /** Whether more may be remembered of what is gone than of what is there. */
  get isOvergrown(): boolean {
    return this.#changedPolicies > this.world.policies.length;
  }

  /** Goes on with other policies and the same inventory. Throws as `orderPolicies`, and nothing has changed then. */
  update({ world, changedPolicies, replaced, isInPlace }: WorldChanges): void {
    const ordered = isInPlace ? reorderPolicies(this.#ordered, replaced) : orderPolicies(world.policies);
    this.world = world;
    this.#ordered = ordered;
    this.#changedPolicies += changedPolicies;
    if (changedPolicies === 0) return;
    for (const [old, next] of replaced) this.#context.expander.replace(old, next);
    this.#views.update(new PolicyGroups(world.inventory.namespaces, ordered, this.#views.groups));
    for (const key of this.#tables.keys()) if (!this.#views.hasAll(key)) this.#tables.delete(key);
  }

  program(hostName: string): HostProgram {
    const subjects = this.#subjects(hostName);
    const views = subjects.map((subject) => this.#views.viewsOf(subject));
    const key = this.#views.keyOf(views);
    const { expander: _, tables: painted, decisions } = this.#context;
    const tables = this.#tables.get(key) ?? assembleTables(views, this.#units, painted, decisions, this.#memory);
    this.#tables.set(key, tables);
    const known = this.#programs.get(hostName);
    if (known?.tables === tables) return known.program;

    const sets = subjects.map(
      ({ endpoint }, id): PolicySet => ({ id, endpointKey: endpoint.key, match: id === 0 ? null : endpoint.match }),
    );
    const content = { formatVersion: PROGRAM_FORMAT_VERSION, hostName, sets, ...tables } as const;
    const program: HostProgram = { ...content, digest: programDigest(content, this.#createSha256) };
    this.#programs.set(hostName, { tables, program });
    return program;
  }

  /** The host, then the workloads whose processes can be found on it, by key. */
  #subjects(hostName: string): readonly ViewSubject[] {
    const host = this.#hosts.get(`Host/${hostName}`) ?? hostEndpoint(this.world.inventory, hostName);
    const workloads = (this.#workloads.get(hostName) ?? []).toSorted((one, other) => (one.key < other.key ? -1 : 1));
    return [
      { endpoint: host, host: null, hostName },
      ...workloads.map((endpoint) => ({ endpoint, host: sharesHostNetwork(endpoint) ? host : null, hostName })),
    ];
  }
}
