/** Whole nodes of a simulation on one store: who is let in, started, stopped and killed, and what the others say then. */
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import { Keys } from "../cluster/keys.ts";
import type { MemberEvent } from "../cluster/membership/membership.ts";
import { readPresence, writeRecord } from "../cluster/membership/messages.ts";
import { MemoryStoreState } from "./memoryClusterStore.ts";
import { seededRandom } from "./seededRandom.ts";
import { SimulatedClock } from "./simulatedClock.ts";
import { SimulatedHost } from "./simulatedHost.ts";
import { memberRecord, SimulatedMember, type SimulatedMemberOptions } from "./simulatedMember.ts";

export const LEASE_MS = 5_000;
const keys = new Keys();

export class MemberLab {
  readonly world = new SimulatedClock();
  readonly service = { hasMajority: true };
  readonly state = new MemoryStoreState(this.world);
  readonly random = seededRandom(11);

  admit(...names: string[]): void {
    for (const name of names) {
      const value = writeRecord(memberRecord(name, this.world.wallMs()));
      this.state.transact({ compare: [], then: [{ kind: "put", key: keys.member(name), value }] });
    }
  }

  start(name: string, options: Partial<SimulatedMemberOptions> = {}): SimulatedMember {
    const host = new SimulatedHost(this.world, this.service);
    const { state, random } = this;
    const member = new SimulatedMember({ name, host, state, random, leaseMs: LEASE_MS, ...options });
    member.start();
    return member;
  }

  async started(names: readonly string[], options: Partial<SimulatedMemberOptions> = {}): Promise<SimulatedMember[]> {
    this.admit(...names);
    const members: SimulatedMember[] = [];
    for (const name of names) {
      members.push(this.start(name, options));
      await this.world.advance(300);
    }
    await this.world.advance(1_000);
    return members;
  }

  async stop(member: SimulatedMember): Promise<void> {
    const stopped = member.stop();
    await this.world.advance(3_000);
    await stopped;
  }

  /** Ends without a word, at once. */
  kill({ host }: SimulatedMember): void {
    host.isCut = true;
    host.pause();
  }

  presence(name: string) {
    const item = this.state.get(keys.presence(name));
    return item ? readPresence(item.value) : null;
  }

  async until(isReached: () => boolean, withinMs: number): Promise<number> {
    const fromMs = this.world.wallMs();
    while (!isReached() && this.world.wallMs() - fromMs < withinMs) await this.world.advance(20);
    if (!isReached()) throw new Error(`not within ${withinMs} ms: ${isReached}`);
    return this.world.wallMs() - fromMs;
  }
}

/** Everything that a member tells, from now until the signal is aborted. */
export function follow({ membership }: SimulatedMember, signal: AbortSignal): MemberEvent[] {
  const seen: MemberEvent[] = [];
  void (async () => {
    for await (const event of membership.watch(signal)) seen.push(event);
  })();
  return seen;
}

/** How this member sees the others: `{ a: "HEALTHY" }`. */
export function states({ membership }: SimulatedMember): Record<string, string> {
  return Object.fromEntries(membership.members().map(({ record, state }) => [record?.name, MemberState[state]]));
}
