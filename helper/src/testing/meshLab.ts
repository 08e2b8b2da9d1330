/** Whole nodes of a simulation that also tell of their meshes, heal them, and may lead: with doubles of what does it on the host. */
import { create } from "@bufbuild/protobuf";
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  HealingOutcome,
  MeshObservationSchema,
  type MeshPeer,
  MeshPeerSchema,
  MeshProvider,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import type { KeptRun } from "@wardline/domain/mesh/healing";
import { toTimestamp } from "../agent/clock.ts";
import { Keys } from "../cluster/keys.ts";
import { DutyRunner } from "../cluster/leadership/dutyRunner.ts";
import { meshDuties } from "../cluster/mesh/meshDuties.ts";
import { MeshExchange } from "../cluster/mesh/meshExchange.ts";
import type { MeshSharing } from "../cluster/mesh/ports.ts";
import { decodeRun } from "../cluster/mesh/records.ts";
import type { HealingAccess, HealingExecutor, HealingOrder, HealingReceipt, ProbeTarget } from "../mesh/ports.ts";
import { MemberLab } from "./memberLab.ts";
import { MemoryClusterStore } from "./memoryClusterStore.ts";
import type { SimulatedMember } from "./simulatedMember.ts";

const keys = new Keys();
const silent = { info: () => {}, warn: () => {} };

/** What one host sees, and what happens there when something is ordered. */
export class MeshDouble implements MeshSharing, HealingExecutor {
  readonly #name: string;
  readonly #wallMs: () => number;
  readonly #listeners = new Set<(kind: "state" | "figures") => void>();
  state = MeshProviderState.UP;
  peers: MeshPeer[] = [];
  selfKey = "";
  selfAddress = "";
  /** Whatever the host would say of itself. */
  claims: string | null = null;
  targets: readonly ProbeTarget[] = [];
  healing: HealingAccess | null = null;
  readonly executed: HealingOrder[] = [];
  interruptions: HealingReceipt[] = [];
  /** What the act does, and how it ends. */
  act: (order: HealingOrder) => Promise<HealingOutcome> = async () => HealingOutcome.DONE;

  constructor(name: string, wallMs: () => number) {
    this.#name = name;
    this.#wallMs = wallMs;
  }

  readonly executor: HealingExecutor = this;
  readonly probes = {
    setTargets: (targets: readonly ProbeTarget[]) => {
      this.targets = targets;
    },
  };
  readonly view = {
    observation: () => {
      const report = create(MeshProviderReportSchema, {
        ...{ provider: MeshProvider.YGGDRASIL, state: this.state, generation: "0.5", peers: this.peers },
        capabilities: this.state === MeshProviderState.UP ? ["peers", "add-peer", "remove-peer", "restart"] : [],
        self: { key: this.selfKey, address: this.selfAddress },
      });
      const host = this.claims ?? this.#name;
      return create(MeshObservationSchema, { host, observedAt: toTimestamp(this.#wallMs()), providers: [report] });
    },
    onChange: (listener: (kind: "state" | "figures") => void) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
  };

  async interrupted(): Promise<readonly HealingReceipt[]> {
    return this.interruptions;
  }

  setClusterHealing(healing: HealingAccess | null): void {
    this.healing = healing;
  }

  become(state: MeshProviderState): void {
    this.state = state;
    this.tell("state");
  }

  tell(kind: "state" | "figures"): void {
    for (const listener of this.#listeners) listener(kind);
  }

  async execute(order: HealingOrder): Promise<HealingReceipt> {
    this.executed.push(order);
    const outcome = await this.act(order);
    return { orderId: order.id, outcome, sentence: "", evidence: [], atMs: this.#wallMs() };
  }
}

export function peer(key: string, uri: string, up: boolean): MeshPeer {
  return create(MeshPeerSchema, { key, uri, up, configured: true });
}

export interface MeshNode {
  readonly member: SimulatedMember;
  readonly mesh: MeshDouble;
  readonly exchange: MeshExchange;
  readonly duties: DutyRunner;
}

export class MeshLab extends MemberLab {
  readonly nodes: MeshNode[] = [];

  node(member: SimulatedMember, candidate = true): MeshNode {
    const { host, membership, leadership, name } = member;
    const mesh = new MeshDouble(name, () => host.wallMs());
    const store = new MemoryClusterStore(this.state, host);
    const common = { store, keys, clock: host, random: this.random, log: silent, memberName: name, membership };
    const isRegistered = () => membership.isRegistered;
    const storeProblem = () => member.session.problem;
    const exchange = new MeshExchange({ ...common, candidate, leadership, isRegistered, storeProblem, mesh });
    const duties = new DutyRunner({ ...common, leadership, duties: meshDuties(common) });
    exchange.start();
    duties.start();
    const node = { member, mesh, exchange, duties };
    this.nodes.push(node);
    return node;
  }

  async nodesNamed(...names: string[]): Promise<MeshNode[]> {
    const members = await this.started(names);
    const nodes = members.map((member) => this.node(member));
    await this.world.advance(1_500);
    return nodes;
  }

  leader(): MeshNode | undefined {
    return this.nodes.find(({ member }) => member.leadership.held() !== null);
  }

  runs(): KeptRun[] {
    return this.state.under(keys.meshRuns).flatMap(({ value }) => decodeRun(value) ?? []);
  }

  put(key: string, value: Uint8Array): void {
    this.state.transact({ compare: [], then: [{ kind: "put", key, value }] });
  }

  isGone(name: string): boolean {
    const members = this.leader()?.member.membership.members() ?? [];
    return members.some(({ record, state }) => record?.name === name && state === MemberState.GONE);
  }
}
