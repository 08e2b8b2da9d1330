/** Shapes of `policy.networking.k8s.io/v1alpha1` (network-policy-api `apis/v1alpha1`). */
import {
  BASELINE_EGRESS_PEER,
  clusterRuleShape,
  EGRESS_PEER,
  INGRESS_PEER,
  PRIORITY,
  SUBJECT,
} from "./cluster-policy.ts";
import { metadataShape, nameShape, PORT_NUMBER, TRANSPORT_PROTOCOLS } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, type Field, listOf, objectShape } from "./shape.ts";

const MAX_ENTRIES = 100;

const PROTOCOL_FIELD: Field = { shape: choiceOf(TRANSPORT_PROTOCOLS), description: "The protocol.", default: "TCP" };

export const PORT_NUMBER_ENTRY = objectShape("Port number", {
  protocol: PROTOCOL_FIELD,
  port: { shape: PORT_NUMBER, description: "The port at the destination.", required: true },
});

export const PORT_RANGE_ENTRY = objectShape("Port range", {
  protocol: PROTOCOL_FIELD,
  start: { shape: PORT_NUMBER, description: "The first port.", required: true },
  end: { shape: PORT_NUMBER, description: "The last port, inclusive; above start.", required: true },
});

export const ADMIN_PORT = objectShape(
  "Port",
  {
    portNumber: { shape: PORT_NUMBER_ENTRY, description: "One port." },
    portRange: { shape: PORT_RANGE_ENTRY, description: "A range of ports." },
    namedPort: {
      shape: nameShape("port"),
      description: "A port by its name, of any protocol: the subject's for ingress, the peer's for egress.",
    },
  },
  {
    exactlyOneOf: ["portNumber", "portRange", "namedPort"],
    foreign: {
      allPorts: "To mean every port, leave ports out.",
      port: "Write portNumber: {protocol: TCP, port: …}, portRange or namedPort.",
      protocol: "It stands inside portNumber or portRange.",
      endPort: "Write portRange: {protocol: TCP, start: …, end: …}.",
    },
  },
);

export const ADMIN_PORTS = listOf(ADMIN_PORT, { minItems: 1, maxItems: MAX_ENTRIES });

const PORTS_MEANING = "The ports at the destination. Left out = every port and every protocol.";
const ADMIN_ACTIONS =
  "Allow and Deny decide; Pass leaves the decision to the NetworkPolicies, or else to the baseline.";
const BASELINE_ACTIONS = "Allow and Deny decide.";

function rules(
  actions: readonly string[],
  actionMeaning: string,
  egressPeer: typeof EGRESS_PEER | typeof BASELINE_EGRESS_PEER,
) {
  const common = {
    actions,
    actionMeaning,
    portsName: "ports",
    ports: ADMIN_PORTS,
    portsMeaning: PORTS_MEANING,
  } as const;
  const peers = {
    ingress: listOf(INGRESS_PEER, { minItems: 1, maxItems: MAX_ENTRIES }),
    egress: listOf(egressPeer, { minItems: 1, maxItems: MAX_ENTRIES }),
  };
  const rule = {
    ingress: clusterRuleShape("Ingress rule", { ...common, peersName: "from", peers: peers.ingress }),
    egress: clusterRuleShape("Egress rule", { ...common, peersName: "to", peers: peers.egress }),
  };
  return {
    peers,
    peer: { ingress: INGRESS_PEER, egress: egressPeer },
    rule,
    rules: {
      ingress: listOf(rule.ingress, { maxItems: MAX_ENTRIES }),
      egress: listOf(rule.egress, { maxItems: MAX_ENTRIES }),
    },
  };
}

export const ADMIN_RULES = rules(["Allow", "Deny", "Pass"], ADMIN_ACTIONS, EGRESS_PEER);
export const BASELINE_RULES = rules(["Allow", "Deny"], BASELINE_ACTIONS, BASELINE_EGRESS_PEER);

function ruleFields({ rules: { ingress, egress } }: typeof ADMIN_RULES | typeof BASELINE_RULES) {
  const order = "The first rule that matches counts. Without rules the policy says nothing about this direction.";
  return {
    ingress: { shape: ingress, description: `Rules for connections to the subject. ${order}`, nullable: true },
    egress: { shape: egress, description: `Rules for connections that the subject opens. ${order}`, nullable: true },
  };
}

const SUBJECT_FIELD: Field = { shape: SUBJECT, description: "Whom the policy is about.", required: true };

export const ADMIN_SPEC = objectShape("AdminNetworkPolicy spec", {
  priority: {
    shape: PRIORITY,
    description: "Lower comes first. Two policies with one priority should not overlap.",
    required: true,
  },
  subject: SUBJECT_FIELD,
  ...ruleFields(ADMIN_RULES),
});

export const BASELINE_SPEC = objectShape(
  "BaselineAdminNetworkPolicy spec",
  { subject: SUBJECT_FIELD, ...ruleFields(BASELINE_RULES) },
  { foreign: { priority: "There is only one baseline, so it has no priority." } },
);

export const BASELINE_NAME = "default";

export const ADMIN_SCHEMA: DocumentSchema = {
  file: "admin-network-policy.json",
  description: "Rules of the administrator, asked before every NetworkPolicy. The first match decides.",
  metadata: metadataShape("subdomain", false),
  spec: { shape: ADMIN_SPEC, description: "The policy.", required: true },
};

export const BASELINE_SCHEMA: DocumentSchema = {
  file: "baseline-admin-network-policy.json",
  description: "Rules for whom no NetworkPolicy isolates. There is one, with the name default.",
  metadata: metadataShape("subdomain", false, BASELINE_NAME),
  spec: { shape: BASELINE_SPEC, description: "The policy.", required: true },
};
