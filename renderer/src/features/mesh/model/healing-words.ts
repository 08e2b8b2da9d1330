/** How faults, actions and the steps of healing read, as a person would say it. */
import {
  HealingAction,
  type HealingCandidate,
  HealingMode,
  HealingOutcome,
  HealingPhase,
  type HealingRun,
  HealingState,
  MeshFault,
} from "@wardline/api/wardline/v1/mesh";
import { durationMs } from "../../../data/hosts-snapshot.ts";
import { type NoticeTone, type VerdictShape, visibleText } from "../../../ui/index.ts";
import { PROVIDER_NAMES } from "./words.ts";

export const FAULT_NAMES: Record<MeshFault, string> = {
  [MeshFault.UNSPECIFIED]: "unknown fault",
  [MeshFault.PEER_DOWN]: "peer down",
  [MeshFault.LINK_DEGRADED]: "link degraded",
  [MeshFault.ASYMMETRIC_LOSS]: "loss in one direction",
  [MeshFault.LINK_FLAPPING]: "link flapping",
  [MeshFault.DAEMON_DOWN]: "daemon down",
  [MeshFault.DAEMON_HUNG]: "daemon hung",
  [MeshFault.DAEMON_UNSUPPORTED]: "daemon not understood",
  [MeshFault.HOST_GONE]: "host gone",
  [MeshFault.PARTITION]: "mesh in parts",
  [MeshFault.GATEWAY_LOST]: "gateway lost",
  [MeshFault.AGENT_GONE]: "agent gone",
  [MeshFault.STORE_MEMBER_DOWN]: "store member down",
  [MeshFault.VERSION_SPLIT]: "versions that cannot peer",
  [MeshFault.REDUNDANCY_LOST]: "redundancy lost",
};

/** What each fault is, in a sentence. */
export const FAULT_EXPLANATIONS: Record<MeshFault, string> = {
  [MeshFault.UNSPECIFIED]: "This console does not know the fault: it is older than the agent.",
  [MeshFault.PEER_DOWN]: "A peer that should be there does not answer, and nothing larger explains it.",
  [MeshFault.LINK_DEGRADED]: "A link works, but much worse than it did.",
  [MeshFault.ASYMMETRIC_LOSS]: "One direction loses packets and the other does not.",
  [MeshFault.LINK_FLAPPING]:
    "A link went up and down three times within a minute. Nothing is done to it until it was quiet for one.",
  [MeshFault.DAEMON_DOWN]: "The mesh daemon of a host does not run; that explains every peer it lost.",
  [MeshFault.DAEMON_HUNG]: "The mesh daemon runs and does not answer.",
  [MeshFault.DAEMON_UNSUPPORTED]: "The daemon answers in a shape that is not known: nothing is guessed from it.",
  [MeshFault.HOST_GONE]: "Nobody hears the host any more; that explains its daemon and its links.",
  [MeshFault.PARTITION]: "Nodes that belong together cannot reach each other.",
  [MeshFault.GATEWAY_LOST]: "The way out of the mesh that was in use is gone.",
  [MeshFault.AGENT_GONE]: "Other hosts reach it, and its agent is not heard.",
  [MeshFault.STORE_MEMBER_DOWN]: "A member of the cluster's store is out of reach.",
  [MeshFault.VERSION_SPLIT]: "Yggdrasil 0.4 and 0.5 cannot peer with each other.",
  [MeshFault.REDUNDANCY_LOST]: "Everything works, but one more fault would take the mesh apart.",
};

export const RUN_STATES: Record<
  HealingState,
  { readonly words: string; readonly shape: VerdictShape; readonly tone: NoticeTone }
> = {
  [HealingState.UNSPECIFIED]: { words: "unknown", shape: "unknown", tone: "unknown" },
  [HealingState.WATCHING]: { words: "watched", shape: "unknown", tone: "unknown" },
  [HealingState.WAITING_FOR_APPROVAL]: { words: "waits for you", shape: "observed", tone: "observed" },
  [HealingState.EXECUTING]: { words: "being repaired", shape: "observed", tone: "info" },
  [HealingState.VERIFYING]: { words: "being verified", shape: "observed", tone: "info" },
  [HealingState.ROLLING_BACK]: { words: "being taken back", shape: "observed", tone: "info" },
  [HealingState.HEALED]: { words: "healed, verified", shape: "allow", tone: "allow" },
  [HealingState.CLEARED]: { words: "went by itself", shape: "allow", tone: "unknown" },
  [HealingState.ESCALATED]: { words: "not recovered", shape: "deny", tone: "deny" },
  [HealingState.STOPPED]: { words: "stopped", shape: "unknown", tone: "unknown" },
};

export const PHASE_NAMES: Record<HealingPhase, string> = {
  [HealingPhase.UNSPECIFIED]: "Step",
  [HealingPhase.MONITOR]: "Monitor",
  [HealingPhase.ANALYSE]: "Analyse",
  [HealingPhase.PLAN]: "Plan",
  [HealingPhase.EXECUTE]: "Execute",
  [HealingPhase.VERIFY]: "Verify",
  [HealingPhase.KNOWLEDGE]: "Learn",
};

export const OUTCOMES: Record<HealingOutcome, { readonly words: string; readonly tone: NoticeTone }> = {
  [HealingOutcome.UNSPECIFIED]: { words: "", tone: "unknown" },
  [HealingOutcome.DONE]: { words: "done", tone: "allow" },
  [HealingOutcome.FAILED]: { words: "failed", tone: "deny" },
  [HealingOutcome.SKIPPED]: { words: "skipped", tone: "unknown" },
  [HealingOutcome.NOT_POSSIBLE]: { words: "not possible here", tone: "unknown" },
  [HealingOutcome.INTERRUPTED]: { words: "interrupted: what became of it is not known", tone: "observed" },
};

export const MODES: Record<HealingMode, { readonly name: string; readonly sentence: string }> = {
  [HealingMode.UNSPECIFIED]: { name: "Not known", sentence: "Nobody has said yet what is done about faults." },
  [HealingMode.OBSERVE]: {
    name: "Observe",
    sentence: "Faults are recognised and told. Nothing is done about them.",
  },
  [HealingMode.SUGGEST]: {
    name: "Suggest",
    sentence: "What would help is worked out and waits for a person. Nothing is done without your word.",
  },
  [HealingMode.ACT]: {
    name: "Act",
    sentence:
      "What helps is done at once by the host it concerns, and taken back when it does not help. You are told of everything.",
  },
};

/** As a button or a setting names it. */
export const ACTION_NAMES: Record<HealingAction, string> = {
  [HealingAction.UNSPECIFIED]: "Unknown action",
  [HealingAction.RESTART_DAEMON]: "Restart the daemon",
  [HealingAction.REPEER]: "Peer again",
  [HealingAction.ADD_PEER]: "Add another peer",
  [HealingAction.SWITCH_GATEWAY]: "Switch the gateway",
  [HealingAction.REELECT]: "Elect another leader",
  [HealingAction.ASK_PERSON]: "Ask a person",
  [HealingAction.REMOVE_PEER]: "Remove the added peer",
};

export const SETTABLE_ACTIONS = [
  HealingAction.RESTART_DAEMON,
  HealingAction.REPEER,
  HealingAction.ADD_PEER,
  HealingAction.SWITCH_GATEWAY,
  HealingAction.REELECT,
] as const;

/** `Restart the Yggdrasil daemon on web-1`. */
export function candidateSentence({ action, host, provider, peerUri, gatewayKey }: HealingCandidate): string {
  const on = host === "" ? "" : ` on ${visibleText(host)}`;
  const peer = peerUri === "" ? "" : ` ${visibleText(peerUri)}`;
  switch (action) {
    case HealingAction.RESTART_DAEMON:
      return `Restart the ${PROVIDER_NAMES[provider]} daemon${on}`;
    case HealingAction.REPEER:
      return `Remove the peer${peer} and add it again${on}`;
    case HealingAction.ADD_PEER:
      return `Add the peer${peer}${on}: another way`;
    case HealingAction.REMOVE_PEER:
      return `Remove the peer${peer}${on}`;
    case HealingAction.SWITCH_GATEWAY:
      return `Use the gateway ${visibleText(gatewayKey)}${on}`;
    case HealingAction.REELECT:
      return `Have the cluster elect another leader${on}`;
    case HealingAction.ASK_PERSON:
      return "Ask a person: nothing that the loop may do would help";
    default:
      return `An action that this console does not know${on}`;
  }
}

/** `4.2 s`, `1 min 12 s`: how long a repair took. */
export function repairTimeText(duration: HealingRun["timeToRepair"]): string | null {
  if (!duration) return null;
  const ms = durationMs(duration);
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
