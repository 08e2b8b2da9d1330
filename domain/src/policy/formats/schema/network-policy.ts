/** Shapes of `networking.k8s.io/v1` NetworkPolicy (k8s.io/api networking/v1 types.go). */
import { IP_BLOCK, metadataShape, nameShape, PORT_NUMBER, SELECTOR, TRANSPORT_PROTOCOLS } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, type Field, listOf, type ObjectShape, objectShape } from "./shape.ts";

export const POLICY_TYPES = ["Ingress", "Egress"] as const;

export const PEER: ObjectShape = objectShape(
  "Peer",
  {
    podSelector: {
      shape: SELECTOR,
      description: "Hosts and workloads by label. Alone: in the policy's namespace. {} is all of them.",
    },
    namespaceSelector: {
      shape: SELECTOR,
      description: "Namespaces by label. Alone: everybody in them. With podSelector in one entry: both must match.",
    },
    ipBlock: { shape: IP_BLOCK, description: "Addresses. Not together with a selector in one entry." },
  },
  { alternatives: [["podSelector", "namespaceSelector"], ["ipBlock"]] },
);

export const PORT = objectShape(
  "Port",
  {
    protocol: { shape: choiceOf(TRANSPORT_PROTOCOLS), description: "The protocol.", default: "TCP" },
    port: {
      shape: { type: "either", options: [PORT_NUMBER, nameShape("port")] },
      description:
        "A number, or the name of a port: the subject's for ingress, the peer's for egress. Left out = every port of the protocol.",
    },
    endPort: { shape: PORT_NUMBER, description: "The last port of a range that starts at port, inclusive." },
  },
  { conditions: [{ dependentRequired: { endPort: ["port"] } }] },
);

const PORTS: Field = { shape: listOf(PORT), description: "Left out = every port and every protocol." };

export const INGRESS_RULE = objectShape("Ingress rule", {
  from: { shape: listOf(PEER), description: "Who may connect: one of the entries must match. Left out = anybody." },
  ports: PORTS,
});

export const EGRESS_RULE = objectShape("Egress rule", {
  to: {
    shape: listOf(PEER),
    description: "Whom it may connect to: one of the entries must match. Left out = anybody.",
  },
  ports: PORTS,
});

export const NETWORK_POLICY_SPEC = objectShape("NetworkPolicy spec", {
  podSelector: {
    shape: SELECTOR,
    description: "Whom the policy is about, in its namespace. {} is everybody in it.",
    required: true,
  },
  policyTypes: {
    shape: listOf(choiceOf(POLICY_TYPES)),
    description:
      "The directions that the policy isolates. Left out: Ingress always, Egress when there is an egress rule.",
  },
  ingress: {
    shape: listOf(INGRESS_RULE),
    description: "What may connect to the subjects. An empty list allows nothing.",
    nullable: true,
  },
  egress: {
    shape: listOf(EGRESS_RULE),
    description: "What the subjects may connect to. An empty list allows nothing.",
    nullable: true,
  },
});

export const NETWORK_POLICY_SCHEMA: DocumentSchema = {
  file: "network-policy.json",
  description: "What may connect to the hosts and workloads that it selects, and what they may connect to.",
  metadata: metadataShape("subdomain", true),
  spec: { shape: NETWORK_POLICY_SPEC, description: "The policy.", required: true },
};
