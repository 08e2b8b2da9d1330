/** What each action is on this host: calls of the mesh's adapter, and nothing else. */
import { HealingAction, HealingOutcome, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parsePeerUri } from "@wardline/domain/mesh";
import { actionPhrase, providerName } from "@wardline/domain/mesh/healing";
import type { HealingOrder, MeshProviderAdapter, PeerAddress } from "../ports.ts";

export interface HealingActsPorts {
  readonly hostName: string;
  readonly adapters: readonly MeshProviderAdapter[];
  readonly stepDown?: (signal: AbortSignal) => Promise<void>;
  /** Whether an order added this peer here. */
  readonly hasAdded: (shownUri: string) => boolean;
}

export interface ActResult {
  readonly outcome: HealingOutcome;
  readonly sentence: string;
  readonly evidence: readonly string[];
}

type Act = (signal: AbortSignal) => Promise<string>;

const READ_TIMEOUT_MS = 3_000;

export class HealingActs {
  readonly #ports: HealingActsPorts;

  constructor(ports: HealingActsPorts) {
    this.#ports = ports;
  }

  /** Never rejects. */
  async act(order: HealingOrder, signal: AbortSignal): Promise<ActResult> {
    try {
      const act = await this.#prepare(order);
      const sentence = await act(signal);
      return { outcome: HealingOutcome.DONE, sentence, evidence: await this.#stateOf(order.provider) };
    } catch (error) {
      return { ...outcomeOfError(error), evidence: await this.#stateOf(order.provider) };
    }
  }

  /** Everything but the act itself. Never rejects. */
  async rehearse(order: HealingOrder, _signal: AbortSignal): Promise<ActResult> {
    try {
      await this.#prepare(order);
      const sentence = `It can be done: to ${actionPhrase({ ...order, host: this.#ports.hostName })}.`;
      return { outcome: HealingOutcome.DONE, sentence, evidence: await this.#stateOf(order.provider) };
    } catch (error) {
      return { ...outcomeOfError(error), evidence: await this.#stateOf(order.provider) };
    }
  }

  /** What has to hold, without effects. Throws `Failure`. */
  async #prepare(order: HealingOrder): Promise<Act> {
    const { action, provider } = order;
    if (action === HealingAction.REELECT) return this.#reelect();
    const adapter = this.#ports.adapters.find((each) => each.provider === provider);
    if (!adapter) throw impossible(`${providerName(provider)} is not on this host.`);
    switch (action) {
      case HealingAction.RESTART_DAEMON:
        return restart(adapter);
      case HealingAction.REPEER:
        return repeer(adapter, await known(adapter, order.peerUri));
      case HealingAction.ADD_PEER:
        return addPeer(adapter, order.peerUri);
      case HealingAction.REMOVE_PEER:
        if (!this.#ports.hasAdded(order.peerUri)) throw skipped("No order added this peer here: it is left as it is.");
        return removePeer(adapter, checkedPeer(order.peerUri));
      case HealingAction.SWITCH_GATEWAY:
        return reselect(adapter);
      default:
        throw impossible("This agent does not know this action.");
    }
  }

  #reelect(): Act {
    const { stepDown } = this.#ports;
    if (!stepDown) throw impossible("This host does not lead a cluster.");
    return async (signal) => {
      await stepDown(signal);
      return "The leader stepped down.";
    };
  }

  async #stateOf(provider: MeshProvider): Promise<string[]> {
    const adapter = this.#ports.adapters.find((each) => each.provider === provider);
    if (!adapter || provider === MeshProvider.IP) return [];
    const { state, detail, peers } = await adapter.read(AbortSignal.timeout(READ_TIMEOUT_MS));
    const word = MeshProviderState[state]?.toLowerCase() ?? "unknown";
    const up = peers.filter((peer) => peer.up).length;
    const links = state === MeshProviderState.UP ? `, ${up} of ${peers.length} peers up` : "";
    return [`${providerName(provider)}: ${word}${links}${detail === "" ? "" : ` (${detail})`}`];
  }
}

function restart(adapter: MeshProviderAdapter): Act {
  if (!adapter.restartDaemon) throw impossible("Its daemon cannot be restarted from here.");
  return async (signal) => {
    await adapter.restartDaemon!(signal);
    return "The service manager says that the daemon runs.";
  };
}

/**
 * Put back also where the removal broke off, which may have taken it away by then, and where the first try to put it back fails: a
 * host is not left with one peer less, which its daemon would not dial again by itself.
 */
function repeer(adapter: MeshProviderAdapter, peer: PeerAddress): Act {
  if (!adapter.removePeer || !adapter.addPeer) throw impossible("Its peers cannot be changed from here.");
  return async (signal) => {
    const refusal: unknown = await adapter.removePeer!(peer, signal).then(
      () => null,
      (error: unknown) => error,
    );
    await adapter.addPeer!(peer, signal).catch((error: unknown) => {
      if (error instanceof Failure && error.code === ErrorCode.ALREADY_EXISTS) return undefined;
      return adapter.addPeer!(peer, AbortSignal.timeout(READ_TIMEOUT_MS));
    });
    const isGone = refusal instanceof Failure && refusal.code === ErrorCode.NOT_FOUND;
    if (refusal !== null && !isGone) throw refusal;
    return "The peer was removed and added again.";
  };
}

async function addPeer(adapter: MeshProviderAdapter, uri: string): Promise<Act> {
  const peer = checkedPeer(uri);
  if (!adapter.addPeer) throw impossible("Peers cannot be added from here.");
  if (await adapter.configuredPeer?.(uri)) throw skipped("The host has this peer already.");
  return async (signal) => {
    await adapter.addPeer!(peer, signal);
    return "The peer was added.";
  };
}

function removePeer(adapter: MeshProviderAdapter, peer: PeerAddress): Act {
  if (!adapter.removePeer) throw impossible("Peers cannot be removed from here.");
  return async (signal) => {
    await adapter.removePeer!(peer, signal);
    return "The peer that was added is removed again.";
  };
}

function reselect(adapter: MeshProviderAdapter): Act {
  if (!adapter.reselectGateway) throw impossible("Its gateway cannot be chosen from here.");
  return async (signal) => {
    await adapter.reselectGateway!(signal);
    return "The gateway is chosen anew.";
  };
}

/** With its secrets, where the daemon was given any. */
async function known(adapter: MeshProviderAdapter, uri: string): Promise<PeerAddress> {
  const checked = checkedPeer(uri);
  return (await adapter.configuredPeer?.(uri)) ?? checked;
}

function checkedPeer(uri: string): PeerAddress {
  const parsed = parsePeerUri(uri);
  if (!parsed.ok) throw skipped(parsed.problem);
  return { uri: parsed.peer.uri, interfaceName: "" };
}

/** Refused for what it asks, not for how things are. */
function skipped(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function impossible(message: string): Failure {
  return new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message });
}

const OUTCOMES: Readonly<Partial<Record<ErrorCode, HealingOutcome>>> = {
  [ErrorCode.HOST_UNSUPPORTED]: HealingOutcome.NOT_POSSIBLE,
  [ErrorCode.INVALID_ARGUMENT]: HealingOutcome.SKIPPED,
  [ErrorCode.ALREADY_EXISTS]: HealingOutcome.SKIPPED,
};

export function outcomeOfError(error: unknown): ActResult {
  if (!(error instanceof Failure)) {
    const reason = error instanceof Error ? error.message : String(error);
    return { outcome: HealingOutcome.FAILED, sentence: `It failed: ${reason}`, evidence: [] };
  }
  return { outcome: OUTCOMES[error.code] ?? HealingOutcome.FAILED, sentence: error.message, evidence: [] };
}
