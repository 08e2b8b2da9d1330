/**
 * What a host's kernel does to packets while the cluster around it breaks: one datagram a millisecond to a port that is open
 * and one to a port that is closed, from another host of the fleet.
 */
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { CLOSED_PORT, OPEN_PORT } from "./cluster-fleet.ts";

export interface Probed {
  readonly sent: number;
  /** At the open port: let in, whether it was read in time or not. */
  readonly arrived: number;
  /** At the closed port. */
  readonly leaked: number;
}

export class EnforcementProbe {
  readonly #target: FleetHost;
  readonly #inside: SocketPeer;
  readonly #toOpen: SocketPeer;
  readonly #toClosed: SocketPeer;

  private constructor(target: FleetHost, [inside, toOpen, toClosed]: [SocketPeer, SocketPeer, SocketPeer]) {
    this.#target = target;
    this.#inside = inside;
    this.#toOpen = toOpen;
    this.#toClosed = toClosed;
  }

  static async start(target: FleetHost, source: FleetHost): Promise<EnforcementProbe> {
    const peers = await Promise.all([target.startPeer(), source.startPeer(), source.startPeer()]);
    await Promise.all([OPEN_PORT, CLOSED_PORT].map((port) => peers[0].listenUdpSilently(port)));
    return new EnforcementProbe(target, peers);
  }

  /** What went on while `body` ran. */
  async during(body: () => Promise<void>): Promise<Probed> {
    const count = () => Promise.all([OPEN_PORT, CLOSED_PORT].map((port) => this.#inside.countUdp(port)));
    const before = await count();
    const address = this.#target.address[4];
    await Promise.all([this.#toOpen.startUdp(address, OPEN_PORT), this.#toClosed.startUdp(address, CLOSED_PORT)]);
    try {
      await body();
    } finally {
      await this.#toClosed.stopUdp();
    }
    const sent = await this.#toOpen.stopUdp();
    const after = await count();
    return { sent, arrived: (after[0] ?? 0) - (before[0] ?? 0), leaked: (after[1] ?? 0) - (before[1] ?? 0) };
  }

  close(): Promise<unknown> {
    return Promise.all([this.#inside, this.#toOpen, this.#toClosed].map((peer) => peer.close()));
  }
}
