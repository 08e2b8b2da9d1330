/** Shapes of the cluster-wide Kubernetes policies (network-policy-api v0.2). */
import { CIDR_TEXT, NAMESPACES_SELECTOR, SELECTOR } from "./common.ts";
import { DOMAIN_NAME } from "./domain-names.ts";
import { choiceOf, type Field, listOf, objectShape, type RenamedField, type Shape, type TextShape } from "./shape.ts";

export const PRIORITY = { type: "integer", minimum: 0, maximum: 1000 } as const;
export const RULE_NAME: TextShape = { type: "text", maxLength: 100 };

const SELECT_EVERYWHERE = "An empty selector picks all of them.";

export const POD_PEER = objectShape(
  "Pods",
  {
    namespaceSelector: {
      shape: SELECTOR,
      description: `The namespaces, by label. ${SELECT_EVERYWHERE}`,
      required: true,
    },
    podSelector: {
      shape: SELECTOR,
      description: `Hosts and workloads in these namespaces, by label. ${SELECT_EVERYWHERE}`,
      required: true,
    },
  },
  {
    foreign: {
      namespaces: "Write namespaceSelector with the labels directly below it.",
      pods: "Write podSelector with the labels directly below it.",
    },
  },
);

const NAMESPACES: Field = {
  shape: NAMESPACES_SELECTOR,
  description: `Everybody in the namespaces with these labels, hosts included. ${SELECT_EVERYWHERE}`,
  examples: [{ matchLabels: { "kubernetes.io/metadata.name": "default" } }],
};
const PODS: Field = {
  shape: POD_PEER,
  description: "Hosts and workloads by their own labels and those of their namespace.",
};

const FOREIGN_SUBJECT = {
  namespaceSelector: { renamedTo: "namespaces" },
  namespaceAndPodSelector: { renamedTo: "pods" },
};

export const SUBJECT = objectShape(
  "Subject",
  { namespaces: NAMESPACES, pods: PODS },
  { exactlyOneOf: ["namespaces", "pods"], foreign: FOREIGN_SUBJECT },
);

const FOREIGN_PEER = {
  ...FOREIGN_SUBJECT,
  namespacedPods: { renamedTo: "pods" },
  sameLabels: "Relations between namespaces were dropped; write the labels out, one policy for each value.",
  notSameLabels: "Relations between namespaces were dropped; write the labels out with NotIn.",
};

export const INGRESS_PEER = objectShape(
  "Ingress peer",
  { namespaces: NAMESPACES, pods: PODS },
  { exactlyOneOf: ["namespaces", "pods"], foreign: FOREIGN_PEER },
);

export const MAX_NETWORKS = 25;
export const NETWORKS = listOf(CIDR_TEXT, { minItems: 1, maxItems: MAX_NETWORKS });
export const DOMAIN_NAMES = listOf(DOMAIN_NAME, { minItems: 1, maxItems: MAX_NETWORKS });

const NODES: Field = { shape: SELECTOR, description: `Hosts of any namespace, by label. ${SELECT_EVERYWHERE}` };
const NETWORKS_FIELD: Field = {
  shape: NETWORKS,
  description: "Prefixes. They also match hosts and workloads whose addresses are inside.",
  examples: [["10.0.0.0/8"]],
};
const DOMAIN_NAMES_FIELD: Field = {
  shape: DOMAIN_NAMES,
  description:
    "The addresses that these names have in DNS, only in rules that allow. *.example.org stands for one or more labels before example.org.",
  examples: [["*.example.org"]],
};

/** With domain names, where the kind can allow by name. */
export const EGRESS_PEER = objectShape(
  "Egress peer",
  {
    namespaces: NAMESPACES,
    pods: PODS,
    nodes: NODES,
    networks: NETWORKS_FIELD,
    domainNames: DOMAIN_NAMES_FIELD,
  },
  { exactlyOneOf: ["namespaces", "pods", "nodes", "networks", "domainNames"], foreign: FOREIGN_PEER },
);

export const BASELINE_EGRESS_PEER = objectShape(
  "Egress peer",
  { namespaces: NAMESPACES, pods: PODS, nodes: NODES, networks: NETWORKS_FIELD },
  {
    exactlyOneOf: ["namespaces", "pods", "nodes", "networks"],
    foreign: { ...FOREIGN_PEER, domainNames: "Only AdminNetworkPolicy has domain names." },
  },
);

/** Peers without port names. */
export const NAMED_TARGETS = ["nodes", "networks", "domainNames"] as const;

export interface RuleShapeOptions {
  readonly actions: readonly string[];
  readonly actionMeaning: string;
  readonly peersName: "from" | "to";
  readonly peers: Shape;
  readonly portsName: "ports" | "protocols";
  readonly ports: Shape;
  readonly portsMeaning: string;
  readonly foreign?: Readonly<Record<string, string | RenamedField>>;
}

export function clusterRuleShape(title: string, options: RuleShapeOptions) {
  const fields: Record<string, Field> = {
    name: { shape: RULE_NAME, description: "A name for people; decisions show it." },
    action: { shape: choiceOf(options.actions), description: options.actionMeaning, required: true },
    [options.peersName]: {
      shape: options.peers,
      description: "The other end of the connection: one of the entries must match.",
      required: true,
    },
    [options.portsName]: { shape: options.ports, description: options.portsMeaning },
  };
  const conditions =
    options.peersName === "to"
      ? [
          {
            if: { properties: { action: { enum: ["Deny", "Pass"] } }, required: ["action"] },
            // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
            then: { properties: { to: { items: { not: { required: ["domainNames"] } } } } },
          },
        ]
      : [];
  return objectShape(title, fields, { foreign: options.foreign ?? {}, conditions });
}
