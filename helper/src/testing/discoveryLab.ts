/** What discovery needs of a cluster, without one: members by hand, and terms that begin and end by hand on a real fence. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Member,
  MemberSchema,
  MemberState,
  type ServiceInstance,
  ServiceInstanceSchema,
} from "@wardline/api/wardline/v1/cluster";
import { Keys } from "../cluster/keys.ts";
import type { HeldTerm, LeadershipView, MembershipView } from "../cluster/ports.ts";
import type { ClusterStore } from "../cluster/store/clusterStore.ts";

export const KEYS = new Keys();

/** Waits until it holds; throws with what was seen last. */
export async function eventually<T>(look: () => T | Promise<T>, holds: (seen: T) => boolean, withinMs = 10_000) {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > endMs) throw new Error(`not in ${withinMs} ms: ${JSON.stringify(seen, plain)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value instanceof Map ? [...value] : value;
}

export function memberOf(
  name: string,
  addresses: readonly string[],
  { labels = {}, state = MemberState.HEALTHY, admittedAtMs = 1_000 } = {} as {
    labels?: Record<string, string>;
    state?: MemberState;
    admittedAtMs?: number;
  },
): Member {
  const presence = state === MemberState.GONE ? {} : { presence: { name, addresses: [...addresses] } };
  const record = { name, labels, admittedAt: timestampFromMs(admittedAtMs) };
  return create(MemberSchema, { record, ...presence, state });
}

export function instanceOf(fields: MessageInitShape<typeof ServiceInstanceSchema>): ServiceInstance {
  return create(ServiceInstanceSchema, { service: "db", address: "10.0.0.5", port: 5432, ...fields });
}

export class HandMembership implements MembershipView {
  #members: readonly Member[] = [];
  readonly #listeners = new Set<() => void>();

  members(): readonly Member[] {
    return this.#members;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(...members: readonly Member[]): void {
    this.#members = members;
    for (const listener of this.#listeners) listener();
  }
}

/** Who leads is said by hand; the fence is real. */
export class HandLeadership implements LeadershipView {
  readonly #store: ClusterStore;
  readonly #listeners = new Set<() => void>();
  #held: { readonly term: HeldTerm; readonly controller: AbortController } | null = null;
  #number = 0n;

  constructor(store: ClusterStore) {
    this.#store = store;
  }

  held(): HeldTerm | null {
    return this.#held?.term ?? null;
  }

  leader(): { readonly name: string; readonly term: bigint } | null {
    return this.#held === null ? null : { name: "leader", term: this.#number };
  }

  terms(): readonly [] {
    return [];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A new term; what the one before still writes is refused by the store. */
  async elect(): Promise<HeldTerm> {
    this.end();
    this.#number += 1n;
    const key = KEYS.leader;
    const value = Buffer.from(String(this.#number));
    await this.#store.transact({
      compare: [],
      then: [
        { kind: "delete", key },
        { kind: "put", key: KEYS.newestTerm, value },
      ],
    });
    await this.#store.transact({ compare: [], then: [{ kind: "put", key, value }] });
    const { item } = await this.#store.get(key);
    const controller = new AbortController();
    const fence = [{ key, target: "create", operator: "=", number: item?.createRevision ?? 0n }] as const;
    const term: HeldTerm = { number: this.#number, fence, signal: controller.signal };
    this.#held = { term, controller };
    for (const listener of this.#listeners) listener();
    return term;
  }

  end(): void {
    this.#held?.controller.abort();
    this.#held = null;
    for (const listener of this.#listeners) listener();
  }
}
