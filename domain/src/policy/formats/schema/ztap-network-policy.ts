/** Shapes of `ztap/v1` NetworkPolicy, both its forms. */
import { IP_BLOCK, metadataShape, nameShape, PORT_NUMBER, SELECTOR } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, type Field, listOf, type ObjectShape, objectShape } from "./shape.ts";

export const ZTAP_PROTOCOLS = ["TCP", "UDP", "ICMP"] as const;

export const ZTAP_PEER: ObjectShape = objectShape(
  "Peer",
  {
    podSelector: { shape: SELECTOR, description: "Hosts and workloads by at least one label or expression." },
    namespaceSelector: { shape: SELECTOR, description: "Namespaces by label. Left out = every namespace." },
    ipBlock: { shape: IP_BLOCK, description: "Addresses. Not together with a selector." },
  },
  { alternatives: [["podSelector", "namespaceSelector"], ["ipBlock"]] },
);

export const ZTAP_PORT = objectShape(
  "Port",
  {
    protocol: { shape: choiceOf(ZTAP_PROTOCOLS), description: "The protocol; there is no default.", required: true },
    port: {
      shape: {
        type: "either",
        options: [PORT_NUMBER, { type: "text", pattern: /^[1-9][0-9]{0,4}$/ }, nameShape("port")],
      },
      description: "A number, the number in quotes, or the name of a port. Required except for ICMP.",
    },
    endPort: { shape: PORT_NUMBER, description: "The last port of a range that starts at port, inclusive." },
  },
  {
    conditions: [
      {
        if: { properties: { protocol: { const: "ICMP" } }, required: ["protocol"] },
        else: { required: ["port"] },
      },
    ],
  },
);

const PORTS: Field = { shape: listOf(ZTAP_PORT, { minItems: 1 }), description: "At least one.", required: true };

export const ZTAP_INGRESS_RULE = objectShape("Ingress rule", {
  from: { shape: ZTAP_PEER, description: "Who may connect: one mapping, not a list.", required: true },
  ports: PORTS,
});

export const ZTAP_EGRESS_RULE = objectShape("Egress rule", {
  to: { shape: ZTAP_PEER, description: "Whom it may connect to: one mapping, not a list.", required: true },
  ports: PORTS,
});

export const ZTAP_SPEC = objectShape("NetworkPolicy spec", {
  podSelector: {
    shape: SELECTOR,
    description: "Whom the policy is about, in every namespace: at least one label or expression.",
    required: true,
  },
  ingress: {
    shape: listOf(ZTAP_INGRESS_RULE),
    description: "What may connect to the subjects. The list isolates ingress, even if it is empty.",
    nullable: true,
  },
  egress: {
    shape: listOf(ZTAP_EGRESS_RULE),
    description: "What the subjects may connect to. The list isolates egress, even if it is empty.",
    nullable: true,
  },
});

export const ZTAP_SCHEMA: DocumentSchema = {
  file: "ztap-network-policy.json",
  description: "The format of ZTAP. Any number after ztap/v is read alike.",
  apiVersionPattern: /^ztap\/v[0-9]+$/,
  metadata: metadataShape("label", false),
  spec: { shape: ZTAP_SPEC, description: "The policy.", required: true },
};
