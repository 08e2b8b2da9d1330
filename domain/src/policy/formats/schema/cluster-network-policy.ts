/** Shapes of `policy.networking.k8s.io/v1alpha2` (network-policy-api `apis/v1alpha2`). */
import { clusterRuleShape, EGRESS_PEER, INGRESS_PEER, PRIORITY, SUBJECT } from "./cluster-policy.ts";
import { metadataShape, nameShape, PORT_NUMBER } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, listOf, objectShape } from "./shape.ts";

const MAX_ENTRIES = 25;

export const DESTINATION_RANGE = objectShape("Port range", {
  start: { shape: PORT_NUMBER, description: "The first port.", required: true },
  end: { shape: PORT_NUMBER, description: "The last port, inclusive; above start.", required: true },
});

export const DESTINATION_PORT = objectShape(
  "Destination port",
  {
    number: { shape: PORT_NUMBER, description: "One port." },
    range: { shape: DESTINATION_RANGE, description: "A range of ports." },
  },
  { exactlyOneOf: ["number", "range"] },
);

export const TRANSPORT = objectShape("Transport protocol", {
  destinationPort: { shape: DESTINATION_PORT, description: "The port at the destination. Left out = every port." },
});

export const TRANSPORT_FIELDS = { tcp: "TCP", udp: "UDP", sctp: "SCTP" } as const;

export const CLUSTER_PROTOCOL = objectShape(
  "Protocol",
  {
    tcp: { shape: TRANSPORT, description: "TCP." },
    udp: { shape: TRANSPORT, description: "UDP." },
    sctp: { shape: TRANSPORT, description: "SCTP." },
    destinationNamedPort: {
      shape: nameShape("port"),
      description: "A port by its name, of any protocol: the subject's for ingress, the peer's for egress.",
    },
  },
  {
    exactlyOneOf: ["tcp", "udp", "sctp", "destinationNamedPort"],
    foreign: {
      portNumber: "Write tcp: {destinationPort: {number: …}}, or udp or sctp.",
      portRange: "Write tcp: {destinationPort: {range: {start: …, end: …}}}, or udp or sctp.",
      namedPort: { renamedTo: "destinationNamedPort" },
    },
  },
);

export const CLUSTER_PROTOCOLS = listOf(CLUSTER_PROTOCOL, { minItems: 1, maxItems: MAX_ENTRIES });

const COMMON = {
  actions: ["Accept", "Deny", "Pass"],
  actionMeaning: "Accept and Deny decide; Pass leaves the decision to the next tier.",
  portsName: "protocols",
  ports: CLUSTER_PROTOCOLS,
  portsMeaning: "Protocols and ports at the destination. Left out = every port and every protocol.",
  foreign: { ports: "It is called protocols, and an entry is tcp, udp, sctp or destinationNamedPort." },
} as const;

const PEERS = {
  ingress: listOf(INGRESS_PEER, { minItems: 1, maxItems: MAX_ENTRIES }),
  egress: listOf(EGRESS_PEER, { minItems: 1, maxItems: MAX_ENTRIES }),
};

const RULE = {
  ingress: clusterRuleShape("Ingress rule", { ...COMMON, peersName: "from", peers: PEERS.ingress }),
  egress: clusterRuleShape("Egress rule", { ...COMMON, peersName: "to", peers: PEERS.egress }),
};

export const CLUSTER_RULES = {
  peers: PEERS,
  peer: { ingress: INGRESS_PEER, egress: EGRESS_PEER },
  rule: RULE,
  rules: {
    ingress: listOf(RULE.ingress, { maxItems: MAX_ENTRIES }),
    egress: listOf(RULE.egress, { maxItems: MAX_ENTRIES }),
  },
};

const ORDER = "The first rule that matches counts. Without rules the policy says nothing about this direction.";

export const CLUSTER_TIERS = ["Admin", "Baseline"] as const;

export const CLUSTER_SPEC = objectShape("ClusterNetworkPolicy spec", {
  tier: {
    shape: choiceOf(CLUSTER_TIERS),
    description: "Admin is asked before every NetworkPolicy, Baseline where no NetworkPolicy isolates.",
    required: true,
  },
  priority: {
    shape: PRIORITY,
    description: "Lower comes first within the tier. Two policies with one priority should not overlap.",
    required: true,
  },
  subject: { shape: SUBJECT, description: "Whom the policy is about.", required: true },
  ingress: {
    shape: CLUSTER_RULES.rules.ingress,
    description: `Rules for connections to the subject. ${ORDER}`,
    nullable: true,
  },
  egress: {
    shape: CLUSTER_RULES.rules.egress,
    description: `Rules for connections that the subject opens. ${ORDER}`,
    nullable: true,
  },
});

export const CLUSTER_SCHEMA: DocumentSchema = {
  file: "cluster-network-policy.json",
  description: "Rules of the administrator, before or after the NetworkPolicies. The first match decides.",
  metadata: metadataShape("subdomain", false),
  spec: { shape: CLUSTER_SPEC, description: "The policy.", required: true },
};
