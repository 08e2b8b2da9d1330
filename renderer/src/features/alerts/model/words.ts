import {
  type AlertRule,
  AlertSource,
  ClusterCondition,
  type Delivery,
  DeliveryResult,
  HostCondition,
  MeshCondition,
  type Receiver,
} from "@wardline/api/wardline/console/v1/alerts";
import { formatAge, formatCount, SEVERITY_NAMES } from "../../../ui/index.ts";

const HOST_CONDITIONS: Record<HostCondition, string> = {
  [HostCondition.UNSPECIFIED]: "an unknown state",
  [HostCondition.UNREACHABLE]: "is not reachable",
  [HostCondition.DRIFTED]: "enforces something else than it should",
  [HostCondition.ROLLED_BACK]: "rolled back by itself",
  [HostCondition.NOT_ENFORCING]: "enforces nothing",
  [HostCondition.EVENTS_LOST]: "loses flow events",
};

const CLUSTER_CONDITIONS: Record<ClusterCondition, string> = {
  [ClusterCondition.UNSPECIFIED]: "an unknown state",
  [ClusterCondition.NO_LEADER]: "has no leader",
  [ClusterCondition.STORE_UNAVAILABLE]: "has no store to write to",
  [ClusterCondition.MEMBER_UNHEALTHY]: "has an unhealthy member",
  [ClusterCondition.SET_REFUSED]: "has a member that refused the set",
};

const MESH_CONDITIONS: Record<MeshCondition, string> = {
  [MeshCondition.UNSPECIFIED]: "is in an unknown state",
  [MeshCondition.ESCALATED]: "has a fault that could not be healed",
  [MeshCondition.WAITING_FOR_APPROVAL]: "has healing that waits for approval",
  [MeshCondition.PARTITIONED]: "fell apart",
};

/** `a finding of high severity or worse`, `100 denied packets in 1 min: dst:10.0.0.0/8`. */
export function ruleText(rule: AlertRule): string {
  const lasting = rule.forSeconds > 0 ? ` for ${formatAge(rule.forSeconds * 1000)}` : "";
  switch (rule.source) {
    case AlertSource.FINDING:
      return `a finding of ${SEVERITY_NAMES[rule.minSeverity]} severity or worse`;
    case AlertSource.DENIES: {
      const query = rule.query ? `: ${rule.query}` : "";
      return `${formatCount(rule.threshold)} denied packets in ${formatAge(rule.windowSeconds * 1000)}${query}`;
    }
    case AlertSource.HOST:
      return `a host ${HOST_CONDITIONS[rule.hostCondition]}${lasting}`;
    case AlertSource.CLUSTER:
      return `a cluster ${CLUSTER_CONDITIONS[rule.clusterCondition]}${lasting}`;
    case AlertSource.MESH:
      return `a mesh ${MESH_CONDITIONS[rule.meshCondition]}${lasting}`;
    case AlertSource.UNSPECIFIED:
      return "something that this console does not know";
  }
}

export function receiverText({ kind }: Receiver): string {
  switch (kind.case) {
    case "desktop":
      return "this desktop";
    case "email":
      return `e-mail to ${kind.value.to.join(", ")} through ${kind.value.server}:${kind.value.port}`;
    case "webhook":
      return `webhook ${kind.value.url}`;
    case "alertmanager":
      return `Alertmanager ${kind.value.url}`;
    case undefined:
      return "unknown";
  }
}

export const DELIVERY_NAMES: Record<DeliveryResult, string> = {
  [DeliveryResult.UNSPECIFIED]: "not known",
  [DeliveryResult.ACCEPTED]: "accepted",
  [DeliveryResult.HANDED_OVER]: "handed over",
  [DeliveryResult.FAILED]: "failed",
  [DeliveryResult.RETRYING]: "trying again",
};

export function deliveryTone({ result }: Delivery): "allow" | "deny" | "observed" | "unknown" {
  if (result === DeliveryResult.ACCEPTED) return "allow";
  if (result === DeliveryResult.FAILED) return "deny";
  return result === DeliveryResult.RETRYING ? "observed" : "unknown";
}
