/** Records of members by name: what this node has heard, and the store for whom it has not. */
import type { MemberRecord } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { MemberDirectory } from "../../identity/ports.ts";
import { readMemberRecord } from "./clusterRecord.ts";
import type { LinkSurroundings } from "./links.ts";

export class NodeDirectory implements MemberDirectory {
  #surroundings: LinkSurroundings | null = null;
  #byName = new Map<string, MemberRecord>();
  /** Asked for and newer than what the list says. */
  readonly #fresh = new Map<string, MemberRecord>();
  readonly #listeners = new Set<() => void>();
  #unsubscribe: () => void = () => {};

  get surroundings(): LinkSurroundings | null {
    return this.#surroundings;
  }

  begin(surroundings: LinkSurroundings): void {
    this.#surroundings = surroundings;
    this.#unsubscribe = surroundings.membership.onChange(() => this.#reread());
    this.#reread();
  }

  end(): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  find(name: string): MemberRecord | null {
    return this.#fresh.get(name) ?? this.#byName.get(name) ?? null;
  }

  candidates(): readonly MemberRecord[] {
    return [...this.#byName.values()].filter(({ candidate }) => candidate);
  }

  async refresh(name: string): Promise<MemberRecord | null> {
    // Not to know is not to know of somebody that there is none.
    if (this.#surroundings === null) throw notYet();
    const read = await readMemberRecord(this.#surroundings.store, name);
    if (read === null) {
      this.#fresh.delete(name);
      this.#byName.delete(name);
      return null;
    }
    this.#fresh.set(name, read.record);
    return read.record;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #reread(): void {
    const records = this.#surroundings?.membership.members().flatMap(({ record }) => (record ? [record] : [])) ?? [];
    this.#byName = new Map(records.map((record) => [record.name, record]));
    // The list has caught up with what was asked for, or is about to; asking again is cheap.
    this.#fresh.clear();
    for (const listener of [...this.#listeners]) listener();
  }
}

function notYet(): Failure {
  return new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "This host does not work yet.", retryable: true });
}
