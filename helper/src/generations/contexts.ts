/** What is needed to explain an event (the program that decided it and whose addresses are whose), and to keep it true. */
import { mergeDiscovered } from "@wardline/domain/cluster";
import type { Endpoint, HostProgram, Inventory } from "@wardline/domain/policy";
import type { Circumstances, Dependencies } from "../agent/policyEngine.ts";
import type { Compiled } from "./switching.ts";

export interface GenerationContext {
  readonly program: HostProgram;
  /** Display names (`web` for a host, `shop/web` for a workload) by canonical address. */
  readonly nameByAddress: ReadonlyMap<string, string>;
  readonly nameByKey: ReadonlyMap<string, string>;
  /** As the policies declare it. */
  readonly inventory: Inventory;
  readonly circumstances: Circumstances;
  readonly dependencies: Dependencies;
}

/** What an enforced generation depends on: enough to keep it true, not to explain its events. */
export type Upkeep = Pick<GenerationContext, "circumstances" | "dependencies">;

/** Events of a generation arrive for a moment after it was left; more than a few are never in flight. */
const KEPT_CONTEXTS = 4;
/** Of all that are kept: each takes some kilobytes. The one that decides and the one before it are kept whatever they take. */
const KEPT_RULES = 200_000;
const ALWAYS_KEPT = 2;

function displayName(endpoint: Endpoint): string {
  return endpoint.kind === "host" ? endpoint.name : `${endpoint.namespace}/${endpoint.name}`;
}

/** An address shared by several endpoints gets the name of their host: by address alone they cannot be told apart. */
function namesByAddress(endpoints: readonly Endpoint[]): Map<string, string> {
  const names = new Map<string, string>();
  const hostsFirst = endpoints.toSorted((a, b) => Number(b.kind === "host") - Number(a.kind === "host"));
  for (const endpoint of hostsFirst) {
    for (const address of endpoint.addresses) {
      if (!names.has(address)) names.set(address, displayName(endpoint));
    }
  }
  return names;
}

const idsByProgram = new WeakMap<HostProgram, readonly string[]>();

/** Stable ids of a program's decisions by index; `null` when it is not the program of that digest. */
export function decisionIds(program: HostProgram | undefined, digest: string): readonly string[] | null {
  if (program === undefined || program.digest !== digest) return null;
  const ids = idsByProgram.get(program) ?? program.decisions.map(({ id }) => id);
  idsByProgram.set(program, ids);
  return ids;
}

export class GenerationContexts {
  readonly #byGeneration = new Map<number, GenerationContext>();
  readonly #ruleCounts = new WeakMap<GenerationContext, number>();
  #foreign: { readonly generation: number; readonly upkeep: Upkeep } | null = null;

  /**
   * `from`: the generation that decides until then, to which everything may return. It is kept however many others were left
   * meanwhile: nobody notices that a policy of a forgotten one expires.
   */
  remember(generation: number, compiled: Compiled, from = generation): void {
    const { program, world, circumstances, dependencies } = compiled;
    const { inventory } = world;
    const present = this.#byGeneration.get(from);
    this.#byGeneration.delete(from);
    if (present !== undefined) this.#byGeneration.set(from, present);
    const { endpoints } = mergeDiscovered(inventory, circumstances.discovered).inventory;
    this.#byGeneration.delete(generation);
    const context: GenerationContext = {
      program,
      nameByAddress: namesByAddress(endpoints),
      nameByKey: new Map(endpoints.map((endpoint) => [endpoint.key, displayName(endpoint)])),
      inventory,
      circumstances,
      dependencies,
    };
    this.#byGeneration.set(generation, context);
    this.#ruleCounts.set(
      context,
      world.policies.reduce((sum, { rules }) => sum + rules.length, 0),
    );
    this.#forgetOldest();
  }

  #forgetOldest(): void {
    let rules = 0;
    for (const [age, [generation, context]] of [...this.#byGeneration].reverse().entries()) {
      rules += this.#ruleCounts.get(context) ?? 0;
      const isTooMuch = age >= ALWAYS_KEPT && rules > KEPT_RULES;
      if (isTooMuch || age >= KEPT_CONTEXTS) this.#byGeneration.delete(generation);
    }
  }

  /** The generation that decides has tables of another version of Wardline: its policies expire, its events have no names. */
  rememberForeign(generation: number, { circumstances, dependencies }: Upkeep): void {
    this.#foreign = { generation, upkeep: { circumstances, dependencies } };
  }

  get(generation: number): GenerationContext | undefined {
    return this.#byGeneration.get(generation);
  }

  upkeep(generation: number): Upkeep | undefined {
    const foreign = this.#foreign?.generation === generation ? this.#foreign.upkeep : undefined;
    return this.#byGeneration.get(generation) ?? foreign;
  }
}
