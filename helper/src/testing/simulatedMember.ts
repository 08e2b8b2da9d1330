/** A whole node of a simulation: session, leadership, membership and the leader's duties over one simulated machine. */

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type MemberRecord, MemberRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { Keys } from "../cluster/keys.ts";
import { DutyRunner } from "../cluster/leadership/dutyRunner.ts";
import { Leadership } from "../cluster/leadership/leadership.ts";
import { Session } from "../cluster/leadership/session.ts";
import { Membership, type MembershipPorts } from "../cluster/membership/membership.ts";
import { MemoryClusterStore, type MemoryStoreState } from "./memoryClusterStore.ts";
import type { SimulatedHost } from "./simulatedHost.ts";

const silent = { info: () => {}, warn: () => {} };
const keys = new Keys();

export interface SimulatedMemberOptions extends Partial<Pick<MembershipPorts, "measureClock" | "retention">> {
  readonly name: string;
  readonly host: SimulatedHost;
  readonly state: MemoryStoreState;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly candidate?: boolean;
  readonly address?: string;
}

export class SimulatedMember {
  readonly name: string;
  readonly host: SimulatedHost;
  readonly session: Session;
  readonly leadership: Leadership;
  readonly membership: Membership;
  readonly duties: DutyRunner;
  addresses: readonly string[];

  constructor(options: SimulatedMemberOptions) {
    const { name, host, state, leaseMs, random, candidate = true, address = "10.0.0.1" } = options;
    this.name = name;
    this.host = host;
    this.addresses = [address];
    const common = { store: new MemoryClusterStore(state, host), keys, clock: host, random, log: silent };
    this.session = new Session({ ...common, leaseMs });
    const { session } = this;
    this.leadership = new Leadership({
      ...common,
      ...{ session, name, candidate },
      mayCampaign: () => this.membership.isRegistered,
    });
    this.membership = new Membership({
      ...common,
      ...options,
      ...{ session, leadership: this.leadership },
      self: { name, agentVersion: "1.0.0", addresses: () => this.addresses },
    });
    this.membership.onChange(() => this.leadership.reconsider());
    this.duties = new DutyRunner({ ...common, leadership: this.leadership, duties: this.membership.duties() });
  }

  start(): void {
    this.session.start();
    this.leadership.start();
    this.membership.start();
    this.duties.start();
  }

  async stop(): Promise<void> {
    await this.duties.stop();
    await this.leadership.stop();
    await this.membership.stop();
    await this.session.stop();
  }
}

export function memberRecord(name: string, admittedAtMs: number): MemberRecord {
  return create(MemberRecordSchema, {
    name,
    candidate: true,
    admittedAt: timestampFromMs(admittedAtMs),
    admittedBy: "alice (uid 1000) on a",
    spiffeId: `spiffe://test/host/${name}`,
  });
}
