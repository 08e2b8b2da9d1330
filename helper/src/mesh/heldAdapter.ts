/** A mesh that may come and go, for who holds on to it from the start. */
import { create } from "@bufbuild/protobuf";
import {
  type MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { MeshProviderAdapter, PeerAddress } from "./ports.ts";

type Verb = "addPeer" | "removePeer" | "restartDaemon" | "reselectGateway";

export class HeldAdapter implements MeshProviderAdapter {
  readonly provider: MeshProvider;
  readonly #current: () => MeshProviderAdapter | null;

  constructor(provider: MeshProvider, current: () => MeshProviderAdapter | null) {
    this.provider = provider;
    this.#current = current;
  }

  async read(signal: AbortSignal): Promise<MeshProviderReport> {
    const adapter = this.#current();
    if (adapter) return adapter.read(signal);
    return create(MeshProviderReportSchema, { provider: this.provider, state: MeshProviderState.ABSENT });
  }

  async addPeer(peer: PeerAddress, signal: AbortSignal): Promise<void> {
    await this.#having("addPeer").addPeer(peer, signal);
  }

  async removePeer(peer: PeerAddress, signal: AbortSignal): Promise<void> {
    await this.#having("removePeer").removePeer(peer, signal);
  }

  async restartDaemon(signal: AbortSignal): Promise<void> {
    await this.#having("restartDaemon").restartDaemon(signal);
  }

  async reselectGateway(signal: AbortSignal): Promise<void> {
    await this.#having("reselectGateway").reselectGateway(signal);
  }

  async configuredPeer(shownUri: string): Promise<PeerAddress | null> {
    return (await this.#current()?.configuredPeer?.(shownUri)) ?? null;
  }

  async removalProblem(shownUri: string): Promise<string> {
    return (await this.#current()?.removalProblem?.(shownUri)) ?? "";
  }

  #having<Name extends Verb>(verb: Name): MeshProviderAdapter & Required<Pick<MeshProviderAdapter, Name>> {
    const adapter = this.#current();
    if (adapter?.[verb] !== undefined) {
      return adapter as MeshProviderAdapter & Required<Pick<MeshProviderAdapter, Name>>;
    }
    const message = adapter ? "This mesh has nothing of the kind to be done." : "This mesh is not on this host.";
    throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message });
  }
}
