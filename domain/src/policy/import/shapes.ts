/**
 * What is read of the documents of Cilium, Calico and Kubernetes. The readers take their lists of known fields from here, and an
 * editor what it offers; fields that can only be refused are the readers' own.
 */
import { CIDR_TEXT, IP_BLOCK, nameShape, PORT_NUMBER, SELECTOR } from "../formats/schema/common.ts";
import { DOMAIN_OR_SERVICE_NAME } from "../formats/schema/domain-names.ts";
import {
  ANYTHING,
  choiceOf,
  type Field,
  listOf,
  type ObjectShape,
  objectShape,
  TEXT,
} from "../formats/schema/shape.ts";

const FLAG: Field["shape"] = { type: "anything" };
const PORT_TEXT: Field["shape"] = { type: "either", options: [PORT_NUMBER, nameShape("port")] };
const BYTE = { type: "integer", minimum: 0, maximum: 255 } as const;

// Cilium ------------------------------------------------------------------------------------------------------------------

export const CILIUM_SELECTOR: ObjectShape = objectShape("Label selector", SELECTOR.fields);

export const CILIUM_PORT_PROTOCOLS = ["ANY", "TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "VRRP", "IGMP"] as const;

export const CILIUM_PORT = objectShape("Port of Cilium", {
  port: { shape: PORT_TEXT, description: "A number, as text or not, or the name of a port. 0 = every port." },
  endPort: { shape: PORT_NUMBER, description: "The last port of a range that starts at port, inclusive." },
  protocol: {
    shape: choiceOf(CILIUM_PORT_PROTOCOLS),
    description: "The protocol; ANY is TCP, UDP and SCTP.",
    default: "ANY",
  },
});

export const CILIUM_TO_PORTS = objectShape("Ports of a Cilium rule", {
  ports: { shape: listOf(CILIUM_PORT, { minItems: 1 }), description: "Ports at the destination.", required: true },
});

export const CILIUM_ICMP_FIELD = objectShape("ICMP of Cilium", {
  family: { shape: choiceOf(["IPv4", "IPv6"]), description: "Which ICMP.", default: "IPv4" },
  type: {
    shape: { type: "either", options: [BYTE, TEXT] },
    description: "The message type, by number or name.",
    required: true,
  },
});

export const CILIUM_ICMP = objectShape("ICMP rule of Cilium", {
  fields: { shape: listOf(CILIUM_ICMP_FIELD), description: "Message types.", required: true },
});

export const CILIUM_DOMAIN = objectShape(
  "Domain name of Cilium",
  {
    matchName: { shape: DOMAIN_OR_SERVICE_NAME, description: "The addresses that this name has in DNS." },
    matchPattern: { shape: TEXT, description: "Only **. before a name is read: one or more labels before it." },
  },
  { exactlyOneOf: ["matchName", "matchPattern"] },
);

const CILIUM_PORTS = {
  toPorts: {
    shape: listOf(CILIUM_TO_PORTS),
    description: "Ports at the destination. Left out = every port and protocol.",
  },
  icmps: { shape: listOf(CILIUM_ICMP), description: "ICMP message types, in a rule of their own." },
} satisfies Record<string, Field>;

const SELECTORS = listOf(CILIUM_SELECTOR, { minItems: 1 });
const CILIUM_ENTITIES = listOf(choiceOf(["all", "world", "cluster", "host"]), { minItems: 1 });

function ciliumPeers(way: "from" | "to", who: string): Record<string, Field> {
  return {
    [`${way}Endpoints`]: { shape: SELECTORS, description: `${who}: hosts and workloads by label.` },
    [`${way}CIDR`]: { shape: listOf(CIDR_TEXT, { minItems: 1 }), description: `${who}: prefixes.` },
    [`${way}CIDRSet`]: { shape: listOf(IP_BLOCK, { minItems: 1 }), description: `${who}: prefixes without others.` },
    [`${way}Entities`]: { shape: CILIUM_ENTITIES, description: `${who}: places that have a name.` },
    [`${way}Nodes`]: { shape: SELECTORS, description: `${who}: hosts by label.` },
  };
}

const FROM = ciliumPeers("from", "Who may connect");
const TO = ciliumPeers("to", "Whom it may connect to");
const TO_NAMES: Record<string, Field> = {
  toFQDNs: { shape: listOf(CILIUM_DOMAIN, { minItems: 1 }), description: "Whom it may connect to, by name in DNS." },
};

/** Of each direction, what allows and what denies. */
export const CILIUM_RULES = {
  ingress: {
    allow: objectShape("Cilium ingress rule", { ...FROM, ...CILIUM_PORTS }),
    deny: objectShape("Cilium ingress denial", { ...FROM, ...CILIUM_PORTS }),
  },
  egress: {
    allow: objectShape("Cilium egress rule", { ...TO, ...TO_NAMES, ...CILIUM_PORTS }),
    deny: objectShape("Cilium egress denial", { ...TO, ...CILIUM_PORTS }),
  },
} as const;

export const CILIUM_DEFAULT_DENY = objectShape("Default denial", {
  ingress: { shape: FLAG, description: "Whether what no rule allows is denied there." },
  egress: { shape: FLAG, description: "Whether what no rule allows is denied there." },
});

const CILIUM_SPEC_FIELDS = {
  endpointSelector: {
    shape: CILIUM_SELECTOR,
    description: "Whom the policy is about; {} is everybody in its namespace.",
  },
  ingress: { shape: listOf(CILIUM_RULES.ingress.allow), description: "Who may connect to the subjects." },
  ingressDeny: { shape: listOf(CILIUM_RULES.ingress.deny), description: "Who may not; comes before every allowance." },
  egress: { shape: listOf(CILIUM_RULES.egress.allow), description: "Where the subjects may connect." },
  egressDeny: {
    shape: listOf(CILIUM_RULES.egress.deny),
    description: "Where they may not; comes before every allowance.",
  },
  enableDefaultDeny: {
    shape: CILIUM_DEFAULT_DENY,
    description: "Whether a direction is closed; left out = where it has rules.",
  },
  description: { shape: { type: "text", maxLength: 4096 }, description: "What the policy is for, for people." },
} satisfies Record<string, Field>;

const CILIUM_IGNORED = { ignored: ["labels", "log"] };

export const CILIUM_SPEC: ObjectShape = objectShape("Cilium spec", CILIUM_SPEC_FIELDS, CILIUM_IGNORED);
export const CILIUM_CLUSTERWIDE_SPEC: ObjectShape = objectShape(
  "Cilium clusterwide spec",
  {
    ...CILIUM_SPEC_FIELDS,
    nodeSelector: {
      shape: CILIUM_SELECTOR,
      description: "Hosts that the policy is about, instead of endpointSelector.",
    },
  },
  CILIUM_IGNORED,
);

export function ciliumDocument(spec: ObjectShape): Readonly<Record<string, Field>> {
  return {
    spec: { shape: spec, description: "The policy." },
    specs: { shape: listOf(spec, { minItems: 1 }), description: "Several policies in one document." },
  };
}

// Calico ------------------------------------------------------------------------------------------------------------------

const CALICO_SELECTOR: Field = {
  shape: TEXT,
  description:
    "Labels as an expression: app == 'web' && has(zone). Without namespaceSelector in the policy's namespace.",
  examples: ["app == 'web'"],
};
const CALICO_NAMESPACES: Field = { shape: TEXT, description: "Namespaces by label, as an expression." };
const CALICO_PORTS = listOf({ type: "either", options: [PORT_NUMBER, TEXT] });

const CALICO_WHO = {
  nets: { shape: listOf(CIDR_TEXT), description: "Prefixes." },
  notNets: { shape: listOf(CIDR_TEXT), description: "Every address but these." },
  selector: CALICO_SELECTOR,
  namespaceSelector: CALICO_NAMESPACES,
} satisfies Record<string, Field>;

const CALICO_WHERE = {
  ports: { shape: CALICO_PORTS, description: 'Ports: a number, a range such as "6040:6050", or a name.' },
  notPorts: { shape: CALICO_PORTS, description: "Every port but these." },
} satisfies Record<string, Field>;

/** All that an end of a rule can have. */
export const CALICO_PEER = objectShape("End of a Calico rule", { ...CALICO_WHO, ...CALICO_WHERE });

/** What can be said of it here: nothing of the end that the policy is for but its ports, and only of a destination. */
const CALICO_ENDS = {
  ingress: {
    source: objectShape("Source of a Calico ingress rule", CALICO_WHO),
    destination: objectShape("Destination of a Calico ingress rule", CALICO_WHERE),
  },
  egress: { source: objectShape("Source of a Calico egress rule", {}), destination: CALICO_PEER },
} as const;

export const CALICO_ICMP = objectShape("ICMP of Calico", {
  type: { shape: BYTE, description: "The message type." },
  code: { shape: BYTE, description: "The code within the type." },
});

export const CALICO_PROTOCOLS = ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "UDPLite"] as const;

function calicoRule(direction: "ingress" | "egress"): ObjectShape {
  return objectShape(
    `Calico ${direction} rule`,
    {
      action: {
        shape: choiceOf(["Allow", "Deny"]),
        description: "Deny only in policies with an order below 1000.",
        required: true,
      },
      protocol: {
        shape: { type: "either", options: [choiceOf(CALICO_PROTOCOLS), BYTE] },
        description: "The protocol.",
      },
      icmp: { shape: CALICO_ICMP, description: "Message types, with the protocol ICMP or ICMPv6." },
      ipVersion: {
        shape: { type: "integer", minimum: 4, maximum: 6 },
        description: "4 or 6: only that version of IP.",
      },
      source: { shape: CALICO_ENDS[direction].source, description: "Where the connection comes from." },
      destination: { shape: CALICO_ENDS[direction].destination, description: "Where it goes to; its ports." },
    },
    { ignored: ["metadata"] },
  );
}

export const CALICO_RULES = { ingress: calicoRule("ingress"), egress: calicoRule("egress") } as const;

export const CALICO_SPEC = objectShape(
  "Calico spec",
  {
    selector: { ...CALICO_SELECTOR, description: "Whom the policy is about, as an expression; all() is everybody." },
    namespaceSelector: CALICO_NAMESPACES,
    tier: { shape: choiceOf(["default"]), description: "Only the default tier is read." },
    order: {
      shape: { type: "integer", minimum: -999, maximum: 1_000_000 },
      description: "Below 1000 it comes before the Kubernetes policies and may deny.",
    },
    types: { shape: listOf(choiceOf(["Ingress", "Egress"])), description: "The directions that the policy closes." },
    ingress: { shape: listOf(CALICO_RULES.ingress), description: "Rules for connections to the subjects." },
    egress: { shape: listOf(CALICO_RULES.egress), description: "Rules for connections that the subjects open." },
  },
  { ignored: ["performanceHints"] },
);

export const CALICO_DOCUMENT: Readonly<Record<string, Field>> = {
  spec: { shape: CALICO_SPEC, description: "The policy.", required: true },
};

// Inventory of Kubernetes -------------------------------------------------------------------------------------------------
// Its other fields belong to the API server: they are accepted and not offered.

const CONTAINER = objectShape("Container", {
  name: { shape: TEXT, description: "For people." },
  ports: {
    shape: listOf(
      objectShape("Container port", {
        name: { shape: nameShape("port"), description: "The name that policies use." },
        containerPort: { shape: PORT_NUMBER, description: "The port number." },
        protocol: { shape: choiceOf(["TCP", "UDP", "SCTP"]), description: "The protocol.", default: "TCP" },
      }),
    ),
    description: "Ports that policies may call by name.",
  },
});

export const POD_DOCUMENT: Readonly<Record<string, Field>> = {
  spec: {
    shape: objectShape("Pod spec", {
      nodeName: { shape: nameShape("subdomain"), description: "The host that it runs on." },
      hostNetwork: { shape: ANYTHING, description: "true: it has the addresses of its host." },
      containers: { shape: listOf(CONTAINER), description: "Their named ports." },
      initContainers: { shape: listOf(CONTAINER), description: "Their named ports." },
    }),
    description: "Where it runs, and its ports.",
  },
  status: {
    shape: objectShape("Pod status", {
      phase: { shape: TEXT, description: "Succeeded and Failed pods have no address any more." },
      podIP: { shape: TEXT, description: "Its address, where podIPs is empty." },
      podIPs: {
        shape: listOf(objectShape("Pod address", { ip: { shape: TEXT, description: "An address." } })),
        description: "Its addresses.",
      },
    }),
    description: "Its addresses.",
  },
};

export const NODE_DOCUMENT: Readonly<Record<string, Field>> = {
  status: {
    shape: objectShape("Node status", {
      addresses: {
        shape: listOf(
          objectShape("Node address", {
            type: { shape: choiceOf(["InternalIP", "ExternalIP"]), description: "Others are left out." },
            address: { shape: TEXT, description: "The address." },
          }),
        ),
        description: "Its addresses.",
      },
    }),
    description: "Its addresses.",
  },
};
