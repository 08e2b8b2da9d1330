/**
 * Names of addresses, from the answers that this agent got to its own questions: for the names that policies of this host
 * speak of. Nobody's packets are read for it, so what programs ask for by themselves has no name here.
 */
import type { NameResolver } from "./nameResolver.ts";

/** Addresses are held for minutes: looking more often shows nothing new. */
const REBUILD_AFTER_MS = 5_000;

export class ObservedNames {
  readonly #resolver: Pick<NameResolver, "addresses">;
  readonly #nowMs: () => number;
  #byAddress: ReadonlyMap<string, string> = new Map();
  #builtAtMs = Number.NEGATIVE_INFINITY;

  constructor(resolver: Pick<NameResolver, "addresses">, nowMs: () => number) {
    this.#resolver = resolver;
    this.#nowMs = nowMs;
  }

  /** Empty when unknown. Of several names of one address the first in the alphabet. */
  nameOf(address: string): string {
    const nowMs = this.#nowMs();
    if (nowMs - this.#builtAtMs >= REBUILD_AFTER_MS) {
      this.#byAddress = invert(this.#resolver.addresses());
      this.#builtAtMs = nowMs;
    }
    return this.#byAddress.get(address) ?? "";
  }
}

function invert(addressesByName: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  const names = new Map<string, string>();
  for (const name of [...addressesByName.keys()].sort())
    for (const address of addressesByName.get(name) ?? []) if (!names.has(address)) names.set(address, name);
  return names;
}
