/** The parts that work now, with what is asked of them. */
import type { ClusterStatus, StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import type { ClusterReads } from "../service/clusterAccess.ts";
import { leaderActions } from "./leaderActions.ts";
import { ClusterParts, type PartsPlan } from "./parts.ts";
import { ClusterStatusReader } from "./statusReader.ts";
import { WriteDesk } from "./writeDesk.ts";

export interface WorkingPorts {
  /** Of the whole node. */
  readonly status: () => Promise<ClusterStatus>;
  readonly moveTo: (store: StoreConfiguration) => Promise<void>;
}

export class Working {
  readonly parts: ClusterParts;
  readonly desk: WriteDesk;
  readonly status: ClusterStatusReader;
  readonly reads: ClusterReads;

  constructor(plan: PartsPlan, { status, moveTo }: WorkingPorts) {
    const { ports, candidate, links } = plan;
    const parts = new ClusterParts(plan);
    this.parts = parts;
    this.desk = new WriteDesk({
      leadership: parts.leadership,
      actions: leaderActions({ parts, status, moveTo }),
      trail: ports.trail,
      hostName: ports.hostName,
      candidate,
      links,
      storeProblem: () => parts.session.problem,
    });
    this.status = new ClusterStatusReader(parts, ports.clock);
    const { desired, discovery, notes, signal } = parts;
    this.reads = { desired, registry: discovery.registry, resolver: discovery.resolver, notes, signal };
  }

  /** Returns without waiting for the store. */
  async start(): Promise<void> {
    const { store, membership, plan } = this.parts;
    await this.parts.start();
    await plan.links?.start({ store, membership, answer: (request, peer) => this.desk.answer(request, peer) });
  }

  /** Resolves when this node leads and its own list of terms says so, or when the time is over. */
  async leading(withinMs: number): Promise<void> {
    const { leadership, signal } = this.parts;
    const until = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    const isShown = () => {
      const held = leadership.held();
      return held !== null && leadership.terms()[0]?.number === held.number;
    };
    while (!isShown() && !until.aborted) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          unsubscribe();
          until.removeEventListener("abort", finish);
          resolve();
        };
        const unsubscribe = leadership.onChange(finish);
        until.addEventListener("abort", finish, { once: true });
      });
    }
  }
}
