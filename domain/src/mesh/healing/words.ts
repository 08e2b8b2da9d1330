/** How people are told of meshes, faults and actions. */
import { HealingAction, MeshFault, MeshProvider } from "./model.ts";

const PROVIDERS: Readonly<Record<MeshProvider, string>> = {
  [MeshProvider.UNSPECIFIED]: "the mesh",
  [MeshProvider.YGGDRASIL]: "Yggdrasil",
  [MeshProvider.BATMAN]: "batman-adv",
  [MeshProvider.IP]: "the plain network",
};

/** Parts of targets. */
const SLUGS: Readonly<Record<MeshProvider, string>> = {
  [MeshProvider.UNSPECIFIED]: "any",
  [MeshProvider.YGGDRASIL]: "yggdrasil",
  [MeshProvider.BATMAN]: "batman",
  [MeshProvider.IP]: "ip",
};

export const providerName = (provider: MeshProvider): string => PROVIDERS[provider] ?? "a mesh";
export const providerSlug = (provider: MeshProvider): string => SLUGS[provider] ?? "any";

/** A target out of its parts: printable, without blanks, bounded. */
export function targetOf(...parts: readonly string[]): string {
  return parts
    .map((part) => part.replace(/[^\x21-\x7e]/g, "_").slice(0, 120))
    .join("/")
    .slice(0, 300);
}

export const shortKey = (key: string): string => (key.length > 12 ? `${key.slice(0, 12)}…` : key);

export function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;
}

export const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

export function list(names: readonly string[]): string {
  if (names.length <= 1) return names[0] ?? "nobody";
  const shown = names.slice(0, 5);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more`;
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

const FAULTS: Readonly<Record<MeshFault, string>> = {
  [MeshFault.UNSPECIFIED]: "fault",
  [MeshFault.PEER_DOWN]: "peer down",
  [MeshFault.LINK_DEGRADED]: "link degraded",
  [MeshFault.ASYMMETRIC_LOSS]: "loss in one direction",
  [MeshFault.LINK_FLAPPING]: "link flapping",
  [MeshFault.DAEMON_DOWN]: "daemon down",
  [MeshFault.DAEMON_HUNG]: "daemon hung",
  [MeshFault.DAEMON_UNSUPPORTED]: "daemon not understood",
  [MeshFault.HOST_GONE]: "host gone",
  [MeshFault.PARTITION]: "partition",
  [MeshFault.GATEWAY_LOST]: "gateway lost",
  [MeshFault.AGENT_GONE]: "agent gone",
  [MeshFault.STORE_MEMBER_DOWN]: "store member down",
  [MeshFault.VERSION_SPLIT]: "versions that do not mix",
  [MeshFault.REDUNDANCY_LOST]: "redundancy lost",
};
export const faultName = (fault: MeshFault): string => FAULTS[fault] ?? "fault";

export interface ActionWords {
  readonly action: HealingAction;
  readonly host: string;
  readonly provider: MeshProvider;
  readonly peerUri: string;
}

/** `restart the daemon of Yggdrasil on web-1`: after "would", "was told to", "is to". */
export function actionPhrase({ action, host, provider, peerUri }: ActionWords): string {
  const mesh = providerName(provider);
  switch (action) {
    case HealingAction.RESTART_DAEMON:
      return `restart the daemon of ${mesh} on ${host}`;
    case HealingAction.REPEER:
      return `remove the peer ${peerUri} on ${host} and add it again`;
    case HealingAction.ADD_PEER:
      return `add the peer ${peerUri} on ${host}`;
    case HealingAction.REMOVE_PEER:
      return `remove the peer ${peerUri} on ${host} again`;
    case HealingAction.SWITCH_GATEWAY:
      return `let ${mesh} on ${host} choose its gateway anew`;
    case HealingAction.REELECT:
      return `let the leader on ${host} step down`;
    default:
      return "ask a person";
  }
}
