/**
 * Whose a key is. A key belongs to the host that says it is its own. Where several say so, it stays with the one that said it
 * first of those whose word is fresh: who comes later gets no link of the other, and both are told of.
 */
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { HostRecord } from "./records.ts";

export class KeyClaims {
  /** In the order in which they claimed it. */
  readonly #claimants = new Map<string, HostRecord[]>();
  readonly #owners = new Map<string, HostRecord>();

  owner(provider: MeshProvider, key: string): HostRecord | undefined {
    return this.#owners.get(idOf(provider, key));
  }

  /** All that say it is theirs, the owner included. */
  claimants(provider: MeshProvider, key: string): readonly HostRecord[] {
    return this.#claimants.get(idOf(provider, key)) ?? [];
  }

  /** Returns whether the owner is another one now. */
  claim(provider: MeshProvider, key: string, host: HostRecord): boolean {
    const id = idOf(provider, key);
    const claimants = this.#claimants.get(id) ?? [];
    if (!claimants.includes(host)) claimants.push(host);
    this.#claimants.set(id, claimants);
    return this.#settle(id);
  }

  release(provider: MeshProvider, key: string, host: HostRecord): boolean {
    const id = idOf(provider, key);
    const claimants = (this.#claimants.get(id) ?? []).filter((other) => other !== host);
    if (claimants.length === 0) this.#claimants.delete(id);
    else this.#claimants.set(id, claimants);
    return this.#settle(id);
  }

  /** After a host's word became fresh or expired. */
  settle(provider: MeshProvider, key: string): boolean {
    return this.#settle(idOf(provider, key));
  }

  #settle(id: string): boolean {
    const before = this.#owners.get(id);
    const claimants = this.#claimants.get(id) ?? [];
    const owner = before?.isFresh && claimants.includes(before) ? before : (claimants.find(isFresh) ?? claimants[0]);
    if (owner === before) return false;
    if (owner === undefined) this.#owners.delete(id);
    else this.#owners.set(id, owner);
    return true;
  }
}

const isFresh = (host: HostRecord): boolean => host.isFresh;
const idOf = (provider: MeshProvider, key: string): string => `${provider}/${key}`;
