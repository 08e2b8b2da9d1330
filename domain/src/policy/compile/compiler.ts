/** Compiles hosts of one world and of what it becomes: what hosts and worlds have in common is made once. */
import { type CreateSha256, createPortableSha256, programDigest } from "../digest.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import type { Endpoint, Policy, PolicyWorld } from "../model.ts";
import { orderPolicies, reorderPolicies } from "../order.ts";
import { type HostProgram, type PolicySet, PROGRAM_FORMAT_VERSION } from "../program.ts";
import { programOfColumns } from "../program-columns.ts";
import { AddressBehaviours } from "./address-behaviours.ts";
import { listDecisions, type ProgramTables, type SetViews, TableAssembler } from "./assemble.ts";
import { addBuiltins } from "./builtin-numbers.ts";
import { DecisionTable } from "./decision-table.ts";
import { TablesDigester } from "./digest-tables.ts";
import { PaintedTables } from "./painted-tables.ts";
import { PolicyGroups } from "./policy-groups.ts";
import type { PrefixTable } from "./prefix-table.ts";
import { RuleExpander } from "./rule-expander.ts";
import { Scratch } from "./scratch.ts";
import { indexEndpoints } from "./selection.ts";
import { TablePool } from "./table-pool.ts";
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
export function createCompiler(world: PolicyWorld, createSha256: CreateSha256 = createPortableSha256): Compiler {
  let state = new CompilerState(world, orderPolicies(world.policies), createSha256);
  return {
    get world() {
      return state.world;
    },
    program: (hostName) => state.program(hostName),
    update(next) {
      const changes = adoptEqual(state.world, next);
      const isKept = changes.world.inventory === state.world.inventory && !state.outgrows(changes);
      if (isKept) state.update(changes);
      else {
        const ordered = orderPolicies(changes.world.policies);
        state = new CompilerState(changes.world, ordered, createSha256, state.roomFor(changes.world));
      }
    },
  };
}

/** So few are never worth a new start. */
const FEW_CHANGES = 16;

/** What is made of large arrays. The memory for new ones costs more than filling them does. */
interface Room {
  readonly scratch: Scratch;
  readonly pool: TablePool;
  readonly prefixes: PrefixTable;
}

function countRules(policies: readonly Policy[]): number {
  return policies.reduce((sum, { rules }) => sum + rules.length, 0);
}

interface KnownTables {
  readonly tables: ProgramTables;
  readonly digest: Uint8Array;
}

interface KnownProgram {
  readonly known: KnownTables;
  readonly program: HostProgram;
}

/** Everything that depends on one inventory. */
class CompilerState {
  world: PolicyWorld;
  readonly #context: ViewContext;
  readonly #assembler: TableAssembler;
  readonly #digester: TablesDigester;
  readonly #views: ViewCache;
  readonly #hosts: ReadonlyMap<string, Endpoint>;
  readonly #workloads: ReadonlyMap<string, readonly Endpoint[]>;
  readonly #tables = new Map<string, KnownTables>();
  readonly #programs = new Map<string, KnownProgram>();
  readonly #createSha256: CreateSha256;
  readonly #scratch: Scratch;
  readonly #pool: TablePool;
  readonly #units: UnitTable;
  #ordered: readonly Policy[];
  /** Policies and rules that something else came in place of. */
  #changed = 0;

  /** `room`: of a state that nobody asks any more. */
  constructor(world: PolicyWorld, ordered: readonly Policy[], createSha256: CreateSha256, room: Room | null = null) {
    this.#createSha256 = createSha256;
    this.#scratch = room?.scratch ?? new Scratch();
    this.world = world;
    this.#ordered = ordered;
    const { inventory } = world;
    const units = createUnitTable(inventory, indexEndpoints(inventory), null, room?.prefixes);
    const decisions = new DecisionTable();
    const expander = new RuleExpander(units, decisions);
    expander.setOrder(ordered);
    const tables = new PaintedTables(decisions, new TablePool(room?.pool));
    this.#context = { expander, decisions, tables, units, viewIds: { next: 0 } };
    const builtins = addBuiltins(decisions);
    this.#assembler = new TableAssembler({
      units,
      pool: tables.pool,
      decisions,
      builtins,
      behaviours: new AddressBehaviours(units),
      scratch: this.#scratch,
    });
    this.#pool = tables.pool;
    this.#units = units;
    this.#digester = new TablesDigester(decisions, createSha256);
    this.#views = new ViewCache(new PolicyGroups(inventory.namespaces, ordered), this.#context);
    const hosts = inventory.endpoints.filter(({ kind }) => kind === "host");
    this.#hosts = new Map(hosts.toReversed().map((host) => [host.key, host]));
    const workloads = inventory.endpoints.filter(({ kind, match }) => kind === "workload" && match !== null);
    this.#workloads = Map.groupBy(workloads, ({ hostName }) => hostName ?? "");
  }

  /** Whether more would be remembered of what is gone than of what is there, or most would be made anew in any case. */
  outgrows({ changedPolicies, changedRules, world: { policies } }: WorldChanges): boolean {
    const changed = changedPolicies + changedRules;
    const present = policies.reduce((sum, { rules }) => sum + rules.length, policies.length);
    return this.#changed > present || 2 * changed > present + FEW_CHANGES;
  }

  /**
   * For a state of `world` that follows this one, which nobody may ask any more then; `null` when it is far too much. The
   * programs that were made here have copies of all that they need.
   */
  roomFor({ policies }: PolicyWorld): Room | null {
    const isMuch = 2 * countRules(policies) < countRules(this.world.policies);
    return isMuch ? null : { scratch: this.#scratch, pool: this.#pool, prefixes: this.#units.prefixTable };
  }

  /** Goes on with other policies and the same inventory. Throws as `orderPolicies`, and nothing has changed then. */
  update({ world, changedPolicies, changedRules, replaced, isInPlace }: WorldChanges): void {
    const ordered = isInPlace ? reorderPolicies(this.#ordered, replaced) : orderPolicies(world.policies);
    this.world = world;
    this.#ordered = ordered;
    this.#changed += changedPolicies + changedRules;
    if (changedPolicies === 0) return;
    for (const [old, next] of replaced) this.#context.expander.replace(old, next);
    this.#context.expander.setOrder(ordered);
    this.#views.update(new PolicyGroups(world.inventory.namespaces, ordered, this.#views.groups));
    for (const key of this.#tables.keys()) if (!this.#views.hasAll(key)) this.#tables.delete(key);
  }

  program(hostName: string): HostProgram {
    const subjects = this.#subjects(hostName);
    const views = subjects.map((subject) => this.#views.viewsOf(subject));
    const known = this.#tablesOf(views);
    const before = this.#programs.get(hostName);
    if (before?.known === known) return before.program;

    const sets = subjects.map(
      ({ endpoint }, id): PolicySet => ({ id, endpointKey: endpoint.key, match: id === 0 ? null : endpoint.match }),
    );
    const head = { formatVersion: PROGRAM_FORMAT_VERSION, hostName, sets } as const;
    const digest = programDigest(head, known.digest, this.#createSha256);
    const { decisions } = this.#context;
    const program = programOfColumns({ ...head, digest }, known.tables.columns, () =>
      listDecisions(known.tables, decisions),
    );
    this.#programs.set(hostName, { known, program });
    return program;
  }

  #tablesOf(views: readonly SetViews[]): KnownTables {
    const key = this.#views.keyOf(views);
    let known = this.#tables.get(key);
    if (known === undefined) {
      const tables = this.#assembler.assemble(views);
      known = { tables, digest: this.#digester.digest(tables) };
      this.#tables.set(key, known);
    }
    return known;
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
