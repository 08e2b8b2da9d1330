/** Peers added and removed for a person: what it would do is said first, and what would cut the host off is refused. */
import { endianness } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { type MeshPeer, type MeshProviderReport, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { meshAddressOwner } from "@wardline/domain/mesh";
import type { Accept } from "../generations/controllerTypes.ts";
import type { MeshHost } from "./meshHost.ts";
import { overlayConnections } from "./overlayConnections.ts";
import type { PeerEdit } from "./peerRequest.ts";
import type { MeshProviderAdapter } from "./ports.ts";

export interface AddedPeer {
  readonly effects: readonly string[];
  /** `null` = it has not come up yet, or nothing was done. */
  readonly peer: MeshPeer | null;
}

export interface RemovePeerEdit extends PeerEdit {
  readonly allowCutOff: boolean;
}

/** How long an added peer is given to come up before the answer goes out without it. */
const COMES_UP_LIMIT_MS = 4_000;
const LOOK_PAUSE_MS = 250;

type Mesh = Pick<MeshHost, "observation" | "adapter" | "refresh">;

export class PeerEditor {
  readonly #mesh: Mesh;
  readonly #connections: () => Promise<readonly string[]>;

  constructor(mesh: Mesh, connections: () => Promise<readonly string[]> = overlayConnections) {
    this.#mesh = mesh;
    this.#connections = endianness() === "LE" ? connections : async () => [];
  }

  /** Throws `Failure`; then nothing was changed. */
  async add(edit: PeerEdit, accept: Accept, signal: AbortSignal): Promise<AddedPeer> {
    const { report, adapter } = await this.#ready(edit, "add-peer");
    const { shown } = edit.peer;
    if (dialled(report, edit).length > 0) {
      throw new Failure({ code: ErrorCode.ALREADY_EXISTS, message: `${shown} is a peer of this host already.` });
    }
    const effects = [
      `The daemon dials ${shown}${edit.interfaceName === "" ? "" : ` through ${edit.interfaceName}`}, now and whenever the link is down.`,
      "Who answers there becomes a neighbour: traffic of others may run over this host.",
      "The agent keeps the peer and tells the daemon again after each start of it. The daemon's configuration is not changed.",
    ];
    if (edit.dryRun) return { effects, peer: null };
    await accept();
    await adapter.addPeer!({ uri: edit.peer.uri, interfaceName: edit.interfaceName }, signal);
    return { effects, peer: await this.#comesUp(edit, signal) };
  }

  /** Throws `Failure` WOULD_LOCK_OUT where it would cut the host off and that was not allowed; then nothing was changed. */
  async remove(edit: RemovePeerEdit, accept: Accept, signal: AbortSignal): Promise<readonly string[]> {
    const { report, adapter } = await this.#ready(edit, "remove-peer");
    const removed = dialled(report, edit);
    if (removed.length === 0) {
      const hint = "Only peers that this host dials can be removed, by the URI under which they are listed.";
      const message = `${edit.peer.shown} is no peer that this host dials.`;
      throw new Failure({ code: ErrorCode.NOT_FOUND, message, hint });
    }
    const problem = (await adapter.removalProblem?.(edit.peer.shown)) ?? "";
    if (problem !== "") {
      const hint = "Take it out of the configuration and restart the daemon.";
      throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: problem, hint });
    }
    const cutOff = await this.#cutOff(report, removed);
    if (cutOff !== "" && !edit.allowCutOff) {
      const hint = "Add another peer first, or say that the host may be cut off.";
      throw new Failure({ code: ErrorCode.WOULD_LOCK_OUT, message: cutOff, hint });
    }
    const effects = [...removeEffects(report, removed, edit), ...(cutOff === "" ? [] : [cutOff])];
    if (edit.dryRun) return effects;
    await accept();
    await adapter.removePeer!({ uri: edit.peer.uri, interfaceName: edit.interfaceName }, signal);
    await this.#mesh.refresh();
    return effects;
  }

  async #ready({ provider }: PeerEdit, capability: string) {
    await this.#mesh.refresh();
    const report = this.#report(provider);
    const adapter = this.#mesh.adapter(provider);
    if (report === null || adapter === null || report.state === MeshProviderState.ABSENT) {
      throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: "This mesh is not on this host." });
    }
    checkState(report);
    if (!report.capabilities.includes(capability) || !canEdit(adapter)) {
      const message = `This daemon (it speaks as ${report.generation}) cannot change its peers while it runs.`;
      throw new Failure({
        code: ErrorCode.HOST_UNSUPPORTED,
        message,
        hint: "Change its configuration and restart it.",
      });
    }
    return { report, adapter };
  }

  #report(provider: PeerEdit["provider"]): MeshProviderReport | null {
    return this.#mesh.observation().providers.find((each) => each.provider === provider) ?? null;
  }

  async #comesUp(edit: PeerEdit, signal: AbortSignal): Promise<MeshPeer | null> {
    const until = performance.now() + COMES_UP_LIMIT_MS;
    while (!signal.aborted) {
      await this.#mesh.refresh();
      const report = this.#report(edit.provider);
      const peer = report && dialled(report, edit).find(({ up }) => up);
      if (peer) return peer;
      if (performance.now() > until) return null;
      await sleep(LOOK_PAUSE_MS);
    }
    return null;
  }

  /** A sentence; empty = the host stays in reach. */
  async #cutOff({ peers }: MeshProviderReport, removed: readonly MeshPeer[]): Promise<string> {
    const lost = removed.filter(({ up }) => up);
    if (lost.length === 0) return "";
    if (!peers.some((peer) => peer.up && !removed.includes(peer))) {
      return "It is the last peer of this host that is up: the host would leave the mesh.";
    }
    const keys = new Set(lost.map(({ key }) => key));
    const stays = peers.some((peer) => peer.up && !removed.includes(peer) && keys.has(peer.key));
    if (stays) return "";
    const remote = await this.#connections();
    const count = remote.filter((address) => [...keys].some((key) => meshAddressOwner(key, address) !== null)).length;
    if (count === 0) return "";
    const connections = count === 1 ? "a connection" : `${count} connections`;
    return `This host has ${connections} with that node over the mesh, and this console's may be among them.`;
  }
}

function canEdit(adapter: MeshProviderAdapter): boolean {
  return adapter.addPeer !== undefined && adapter.removePeer !== undefined;
}

/** Those that this host dials under this URI. */
function dialled({ peers }: MeshProviderReport, { peer, interfaceName }: PeerEdit): readonly MeshPeer[] {
  const named = peers.filter(({ uri, inbound }) => uri === peer.shown && !inbound);
  return interfaceName === "" ? named : named.filter((each) => each.interfaceName === interfaceName);
}

function checkState({ state, detail }: MeshProviderReport): void {
  if (state === MeshProviderState.UP) return;
  if (state === MeshProviderState.UNRESPONSIVE) {
    throw new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message: detail, retryable: true });
  }
  if (state === MeshProviderState.UNSUPPORTED) throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: detail });
  const hint = "Start the daemon on the host, then try again.";
  throw new Failure({ code: ErrorCode.NOT_FOUND, message: detail, hint, retryable: true });
}

function removeEffects(
  { peers }: MeshProviderReport,
  removed: readonly MeshPeer[],
  { peer }: RemovePeerEdit,
): readonly string[] {
  const stay = peers.filter((each) => each.up && !removed.includes(each)).length;
  const isUp = removed.some(({ up }) => up);
  return [
    isUp ? `The link to ${peer.shown} ends.` : `The daemon dials ${peer.shown} no more; the link is down now.`,
    `${stay === 1 ? "One other peer is" : `${stay} other peers are`} up.`,
    "The agent keeps it away after each start of the daemon as well. The daemon's configuration is not changed.",
  ];
}
