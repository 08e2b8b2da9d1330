/** Plan: what could be done about a fault, in the order in which it would be tried. The last is always to ask a person. */
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { Diagnosis } from "./analyse.ts";
import { type Fleet, isUp, peersUp, reportOf } from "./fleet.ts";
import { expectedRate, successRate } from "./knowledge.ts";
import {
  HealingAction,
  type HealingCandidate,
  type HealingPrecondition,
  type KnowledgeEntry,
  MAX_CANDIDATES,
  MeshFault,
  type MeshProvider,
} from "./model.ts";
import { addPeerPlaces, lacksPeers } from "./peer-places.ts";
import { providerName } from "./words.ts";

export interface PlanInput {
  readonly fleet: Fleet;
  readonly diagnosis: Diagnosis;
  readonly knowledge: readonly KnowledgeEntry[];
  readonly isFlapping: boolean;
  /** Of this target now; empty = it may be acted on. */
  readonly heldBack: string;
}

type Draft = Omit<HealingCandidate, "successRate" | "tried" | "heldBack" | "gatewayKey" | "peerUri"> & {
  readonly peerUri?: string;
};

/** How much less each further idea is worth than the one before it, before anything is known. */
const RANK_FACTOR = 0.8;

export function planFor(input: PlanInput): HealingCandidate[] {
  const drafts = draftsFor(input).slice(0, MAX_CANDIDATES - 1);
  const { knowledge, diagnosis, heldBack } = input;
  const known = (action: HealingAction) =>
    knowledge.find((entry) => entry.fault === diagnosis.fault && entry.action === action);
  const worth = drafts.map((draft, rank) => ({
    draft,
    value: RANK_FACTOR ** rank * expectedRate(known(draft.action)),
  }));
  const ordered = worth.sort((a, b) => b.value - a.value).map(({ draft }) => draft);
  return [...ordered, askPerson(input)].map((draft) => ({
    peerUri: "",
    gatewayKey: "",
    ...draft,
    preconditions: draft.action === HealingAction.ASK_PERSON ? [] : [...draft.preconditions, steady(input)],
    successRate: successRate(known(draft.action)),
    tried: known(draft.action)?.tried ?? 0,
    heldBack: draft.action === HealingAction.ASK_PERSON ? "" : heldBack,
  }));
}

function draftsFor(input: PlanInput): Draft[] {
  switch (input.diagnosis.fault) {
    case MeshFault.DAEMON_DOWN:
    case MeshFault.DAEMON_HUNG:
      return [restart(input)];
    case MeshFault.PEER_DOWN:
      return [...repeers(input), ...addPeers(input)];
    case MeshFault.LINK_DEGRADED:
    case MeshFault.ASYMMETRIC_LOSS:
      return repeers(input);
    case MeshFault.PARTITION:
    case MeshFault.REDUNDANCY_LOST:
      return addPeers(input);
    case MeshFault.GATEWAY_LOST:
      return [switchGateway(input)];
    case MeshFault.STORE_MEMBER_DOWN:
      return reelect(input);
    default:
      return [];
  }
}

function askPerson({ diagnosis: { hosts, provider } }: PlanInput): Draft {
  const host = hosts[0] ?? "";
  return { action: HealingAction.ASK_PERSON, host, provider, blastRadius: "Nothing is touched.", preconditions: [] };
}

function steady({ isFlapping }: PlanInput): HealingPrecondition {
  return isFlapping
    ? { sentence: "It goes up and down: nothing is done before it was quiet for a minute.", holds: false }
    : { sentence: "It does not go up and down.", holds: true };
}

function heard(fleet: Fleet, host: string): HealingPrecondition {
  const holds = fleet.hosts.get(host)?.isFresh ?? false;
  return { sentence: holds ? `The agent on ${host} is heard.` : `The agent on ${host} is not heard.`, holds };
}

/** What an adapter does not name it cannot do; one that is down may name nothing, and then the host finds out. */
function able(
  fleet: Fleet,
  host: string,
  provider: MeshProvider,
  capabilities: readonly string[],
): HealingPrecondition {
  const has = reportOf(fleet.hosts.get(host), provider)?.capabilities ?? [];
  const missing = has.length === 0 ? [] : capabilities.filter((name) => !has.includes(name));
  const mesh = `${providerName(provider)} on ${host}`;
  return missing.length === 0
    ? { sentence: `${mesh} can do it (${capabilities.join(", ")}).`, holds: true }
    : { sentence: `${mesh} cannot do it: ${missing.join(", ")} is missing.`, holds: false };
}

function restart({ fleet, diagnosis: { hosts, provider } }: PlanInput): Draft {
  const host = hosts[0]!;
  const state = reportOf(fleet.hosts.get(host), provider)?.state;
  const isOut = state === MeshProviderState.DOWN || state === MeshProviderState.UNRESPONSIVE;
  const carries = fleet.hosts.get(host)?.carriers?.includes(provider) ?? false;
  const isSafe = !carries || state === MeshProviderState.DOWN;
  const way = isSafe
    ? "It cuts nobody's way to the host."
    : "The console or the cluster reaches the host over this mesh: a person has to restart it.";
  return {
    ...{ action: HealingAction.RESTART_DAEMON, host, provider },
    blastRadius: `All connections of ${providerName(provider)} on ${host} for some seconds, and what goes through it.`,
    preconditions: [
      heard(fleet, host),
      { sentence: isOut ? "The daemon does not work now." : "The daemon works now.", holds: isOut },
      able(fleet, host, provider, ["restart"]),
      { sentence: way, holds: isSafe },
    ],
  };
}

function repeers({ fleet, diagnosis }: PlanInput): Draft[] {
  const isDown = diagnosis.fault === MeshFault.PEER_DOWN;
  return diagnosis.peers.flatMap(({ host, provider, uri }): Draft[] => {
    if (uri === "") return [];
    const others = peersUp(reportOf(fleet.hosts.get(host), provider)).filter((peer) => peer.uri !== uri).length;
    const isLinkDown = !peersUp(reportOf(fleet.hosts.get(host), provider)).some((peer) => peer.uri === uri);
    const spare: HealingPrecondition = isLinkDown
      ? { sentence: "The link is down: nothing goes over it.", holds: true }
      : {
          sentence:
            others > 0 ? `${host} has ${others} other peers meanwhile.` : `${host} has no other peer meanwhile.`,
          holds: others > 0 && !isDown && !(fleet.hosts.get(host)?.carriers?.includes(provider) ?? false),
        };
    return [
      {
        ...{ action: HealingAction.REPEER, host, provider, peerUri: uri },
        blastRadius: `This one link of ${host}; it is down in any case while that lasts.`,
        preconditions: [
          heard(fleet, host),
          works(fleet, host, provider),
          able(fleet, host, provider, ["add-peer", "remove-peer"]),
          spare,
        ],
      },
    ];
  });
}

function works(fleet: Fleet, host: string, provider: MeshProvider): HealingPrecondition {
  const holds = isUp(reportOf(fleet.hosts.get(host), provider));
  const mesh = `The daemon of ${providerName(provider)} on ${host}`;
  return { sentence: holds ? `${mesh} works.` : `${mesh} does not work.`, holds };
}

function addPeers({ fleet, diagnosis }: PlanInput): Draft[] {
  return addPeerPlaces(fleet, diagnosis).map(({ host, provider, uri, otherHost, isSameLink }): Draft => {
    const up = peersUp(reportOf(fleet.hosts.get(host), provider)).length;
    const isWanted = isSameLink || lacksPeers(fleet, diagnosis, host);
    const want = isSameLink
      ? "It is the same neighbour at another address."
      : isWanted
        ? `${host} has ${up} ${up === 1 ? "peer" : "peers"}: another way is of use.`
        : `${host} has ${up} peers already.`;
    return {
      ...{ action: HealingAction.ADD_PEER, host, provider, peerUri: uri },
      blastRadius: `One more link, from ${host} to ${otherHost}; taken back where it does not help.`,
      preconditions: [
        heard(fleet, host),
        works(fleet, host, provider),
        able(fleet, host, provider, ["add-peer"]),
        { sentence: want, holds: isWanted },
      ],
    };
  });
}

function switchGateway({ fleet, diagnosis: { hosts, provider } }: PlanInput): Draft {
  const host = hosts[0]!;
  const known = reportOf(fleet.hosts.get(host), provider)?.gateways.length ?? 0;
  const sentence = known > 0 ? `${known} other gateways are known.` : "No other gateway is known.";
  return {
    ...{ action: HealingAction.SWITCH_GATEWAY, host, provider },
    blastRadius: `What ${host} sends out of the mesh goes another way.`,
    preconditions: [heard(fleet, host), works(fleet, host, provider), { sentence, holds: known > 0 }],
  };
}

/** Only where the leader itself stands on the member that is down. */
function reelect({ fleet, diagnosis: { hosts, provider } }: PlanInput): Draft[] {
  const host = hosts[0] ?? "";
  if (host === "" || host !== fleet.coordinator) return [];
  const others = (fleet.world.storeMembers ?? []).filter((member) => member.isUp && member.host !== host).length;
  const sentence = others > 0 ? `${others} store members on other hosts answer.` : "No other store member answers.";
  return [
    {
      ...{ action: HealingAction.REELECT, host, provider },
      blastRadius: "Another candidate leads the cluster; decisions wait for some seconds.",
      preconditions: [{ sentence, holds: others > 0 }],
    },
  ];
}
