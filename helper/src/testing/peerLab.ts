/** Peer services of several members in one process, over real TLS connections on the loopback. */
import { create } from "@bufbuild/protobuf";
import { type ForwardRequest, type ForwardResponse, ForwardResponseSchema } from "@wardline/api/wardline/peer/v1/peer";
import { freePort } from "@wardline/domain/testing/machine";
import { pino } from "pino";
import { type Clock, systemClock } from "../agent/clock.ts";
import { PeerClient } from "../cluster/peers/peerClient.ts";
import { PeerServer } from "../cluster/peers/peerServer.ts";
import type { PeerCaller, PeerTarget } from "../cluster/peers/ports.ts";
import type { StoredIdentity } from "../identity/identityRecord.ts";
import type { MemberDirectory } from "../identity/ports.ts";
import type { RenewingIdentity } from "../identity/renewingIdentity.ts";
import { IdentityLab } from "./identityLab.ts";

export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

export interface PeerNode extends PeerTarget {
  readonly identity: RenewingIdentity;
  readonly directory: MemberDirectory;
  readonly server: PeerServer;
  readonly client: PeerClient;
}

export class PeerLab {
  readonly identities: IdentityLab;
  readonly clock: Clock;
  /** What Forward got, and what it answers with. */
  readonly forwarded: { readonly request: ForwardRequest; readonly caller: PeerCaller }[] = [];
  forward: (request: ForwardRequest, caller: PeerCaller) => Promise<ForwardResponse> = async () =>
    create(ForwardResponseSchema);
  readonly #closers: (() => unknown)[] = [];

  private constructor(identities: IdentityLab, clock: Clock) {
    this.identities = identities;
    this.clock = clock;
  }

  static async create(clock: Clock = systemClock): Promise<PeerLab> {
    return new PeerLab(await IdentityLab.create({ clock, peerAddress: await freeAddress() }), clock);
  }

  /** The first candidate, serving. */
  first(clock?: Clock): Promise<PeerNode> {
    const { identity, record } = this.identities.founding;
    return this.start(identity, record.peerAddress, clock);
  }

  async join(name: string, candidate = false, clock?: Clock): Promise<PeerNode> {
    const peerAddress = await freeAddress();
    return this.start(await this.identities.join(name, candidate, peerAddress), peerAddress, clock);
  }

  async start(stored: StoredIdentity, peerAddress: string, clock: Clock = this.clock): Promise<PeerNode> {
    const identity = await this.identities.identity(stored, this.identities.stateDirectory(), clock);
    const directory = this.identities.directory();
    const { admission } = this.identities;
    const log = pino({ enabled: false });
    const server = new PeerServer({
      identity,
      directory,
      clock,
      log,
      peerAddress,
      handlers: {
        join: (request, { remoteAddress }) => admission.join(request, remoteAddress),
        leave: () => Promise.reject(new Error("nobody leaves here")),
        renew: (request, caller) => admission.renew(request, caller.identity),
        forward: (request, caller) => {
          this.forwarded.push({ request, caller });
          return this.forward(request, caller);
        },
      },
    });
    await server.listen();
    const client = new PeerClient({ identity, directory, clock });
    this.#closers.push(
      () => client.close(),
      () => server.close(),
      () => identity.stop(),
    );
    return { name: stored.name, peerAddress, identity, directory, server, client };
  }

  onClose(close: () => unknown): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
    this.identities.close();
  }
}
