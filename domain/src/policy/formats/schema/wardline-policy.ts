/** Shapes of `wardline.io/v1` Policy. */
import { PRIORITY, RULE_NAME } from "./cluster-policy.ts";
import { metadataShape } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, type Field, listOf, objectShape, TEXT } from "./shape.ts";
import {
  DESCRIPTION_TEXT,
  DOMAIN_NAMES_FIELD,
  ENTITY_FIELD,
  HOSTS_FIELD,
  IP_BLOCK_FIELD,
  MESH_NODE_FIELD,
  NAMESPACE_SELECTOR_FIELD,
  SELECTOR_FIELD,
  SERVICE_FIELD,
  WARDLINE_PORTS,
} from "./wardline-common.ts";

export const TIERS = ["admin", "app", "application", "baseline"] as const;
export const MODES = ["enforce", "observe"] as const;
export const ACTIONS = ["allow", "deny", "pass"] as const;
export const DIRECTIONS = ["ingress", "egress"] as const;
export const DEFAULT_PRIORITY = 500;

export const POLICY_SUBJECT = objectShape(
  "Subject",
  { selector: SELECTOR_FIELD, namespaceSelector: NAMESPACE_SELECTOR_FIELD, hosts: HOSTS_FIELD },
  {
    conditions: [{ not: { required: ["hosts", "selector"] } }, { not: { required: ["hosts", "namespaceSelector"] } }],
    foreign: {
      podSelector: { renamedTo: "selector" },
      matchLabels: "Write selector: {matchLabels: …}.",
      matchExpressions: "Write selector: {matchExpressions: …}.",
    },
  },
);

const PEER_FIELDS = {
  selector: SELECTOR_FIELD,
  namespaceSelector: NAMESPACE_SELECTOR_FIELD,
  hosts: HOSTS_FIELD,
  ipBlock: IP_BLOCK_FIELD,
  entity: ENTITY_FIELD,
  meshNode: MESH_NODE_FIELD,
  service: SERVICE_FIELD,
};

const INGRESS_ALTERNATIVES = [
  ["selector", "namespaceSelector"],
  ["hosts"],
  ["ipBlock"],
  ["entity"],
  ["meshNode"],
  ["service"],
] as const;

const FOREIGN_PEER = {
  podSelector: { renamedTo: "selector" },
  matchLabels: "Write selector: {matchLabels: …}.",
  cidr: "Write ipBlock: {cidr: …}.",
};

export const POLICY_INGRESS_PEER = objectShape("Ingress peer", PEER_FIELDS, {
  alternatives: INGRESS_ALTERNATIVES,
  foreign: FOREIGN_PEER,
});

export const POLICY_EGRESS_PEER = objectShape(
  "Egress peer",
  {
    ...PEER_FIELDS,
    domainNames: {
      ...DOMAIN_NAMES_FIELD,
      description: `${DOMAIN_NAMES_FIELD.description} Only in rules that allow.`,
    },
  },
  { alternatives: [...INGRESS_ALTERNATIVES, ["domainNames"]], foreign: FOREIGN_PEER },
);

const COMMON_RULE_FIELDS = {
  name: { shape: RULE_NAME, description: "A name for people; decisions show it." },
  action: {
    shape: choiceOf(ACTIONS),
    description:
      "allow and deny decide; pass leaves the decision to the next tier. The app tier knows only allow: what no policy allows is denied there.",
    default: "allow",
  },
  ports: {
    shape: WARDLINE_PORTS,
    description:
      "Protocols and ports at the destination. Left out = every port and protocol, except that a service in an egress rule then brings its own ports.",
  },
} satisfies Record<string, Field>;

const PEERS_MEANING = "one of the entries must match. Left out = anybody.";

export const POLICY_INGRESS_RULE = objectShape("Ingress rule", {
  ...COMMON_RULE_FIELDS,
  from: {
    shape: listOf(POLICY_INGRESS_PEER, { minItems: 1 }),
    description: `Who opens the connection: ${PEERS_MEANING}`,
  },
});

export const POLICY_EGRESS_RULE = objectShape(
  "Egress rule",
  {
    ...COMMON_RULE_FIELDS,
    to: {
      shape: listOf(POLICY_EGRESS_PEER, { minItems: 1 }),
      description: `Whom the connection goes to: ${PEERS_MEANING}`,
    },
  },
  {
    conditions: [
      {
        if: { properties: { action: { enum: ["deny", "pass"] } }, required: ["action"] },
        // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
        then: { properties: { to: { items: { not: { required: ["domainNames"] } } } } },
      },
    ],
  },
);

const ONLY_ALLOW = { items: { properties: { action: { const: "allow" } } } };

export const POLICY_SPEC = objectShape(
  "Policy spec",
  {
    description: { shape: DESCRIPTION_TEXT, description: "What the policy is for, for people." },
    tier: {
      shape: choiceOf(TIERS),
      description:
        "admin is asked first, app next, baseline last. In admin and baseline the first matching rule counts; in app the allows of all policies add up, and what none of them allows is denied. application is the same as app.",
      default: "app",
    },
    priority: {
      shape: PRIORITY,
      description:
        "Lower comes first; tiers admin and baseline only. Two policies with one priority should not overlap.",
      default: DEFAULT_PRIORITY,
    },
    mode: {
      shape: choiceOf(MODES),
      description: "observe = decisions are only recorded as what would have happened.",
      default: "enforce",
    },
    expires: {
      shape: TEXT,
      description: "From this moment on the policy counts as absent: date, time and offset, as in RFC 3339.",
      examples: ["2027-01-31T18:00:00Z"],
    },
    subject: {
      shape: POLICY_SUBJECT,
      description: "Whom the policy is about; {} is everybody in its namespace.",
      required: true,
    },
    isolate: {
      shape: listOf(choiceOf(DIRECTIONS)),
      description:
        "App tier only: the directions in which the subjects may do only what policies allow. Left out = the directions whose list of rules is there, even if it is empty.",
    },
    ingress: {
      shape: listOf(POLICY_INGRESS_RULE),
      description: "Rules for connections to the subject.",
      nullable: true,
    },
    egress: {
      shape: listOf(POLICY_EGRESS_RULE),
      description: "Rules for connections that the subject opens.",
      nullable: true,
    },
  },
  {
    foreign: {
      podSelector: "Write subject: {selector: …}.",
      policyTypes: "Write isolate: [ingress, egress].",
    },
    conditions: [
      {
        if: { properties: { tier: { enum: ["admin", "baseline"] } }, required: ["tier"] },
        // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
        then: { not: { required: ["isolate"] } },
        else: {
          not: { required: ["priority"] },
          properties: { ingress: ONLY_ALLOW, egress: ONLY_ALLOW },
        },
      },
    ],
  },
);

export const POLICY_SCHEMA: DocumentSchema = {
  file: "policy.json",
  description: "Who may talk to whom, in any tier, with allow, deny and pass.",
  metadata: metadataShape("subdomain", true),
  spec: { shape: POLICY_SPEC, description: "The policy.", required: true },
};
