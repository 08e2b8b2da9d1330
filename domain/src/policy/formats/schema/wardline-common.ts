/** Shapes that the kinds of `wardline.io/v1` share. */
import { ENTITIES } from "../../model.ts";
import { IP_BLOCK, MAX_PORT, nameShape, PORT_NUMBER, SELECTOR, TRANSPORT_PROTOCOLS } from "./common.ts";
import { DOMAIN_OR_SERVICE_NAME } from "./domain-names.ts";
import { choiceOf, type Field, listOf, type ObjectShape, objectShape, type TextShape } from "./shape.ts";

export const WARDLINE_API_VERSION = "wardline.io/v1";
export const DESCRIPTION_TEXT: TextShape = { type: "text", maxLength: 4096 };

export const SELECTOR_FIELD: Field = {
  shape: SELECTOR,
  description:
    "Hosts and workloads by label. Without namespaceSelector those of the document's own namespace; {} is all of them.",
  examples: [{ matchLabels: { app: "web" } }],
};

export const NAMESPACE_SELECTOR_FIELD: Field = {
  shape: SELECTOR,
  description: "Namespaces by label; {} is every namespace. Alone: everybody in them.",
};

export const HOSTS_FIELD: Field = {
  shape: SELECTOR,
  description: "Only hosts, of any namespace, by label; {} is every host.",
};

export const SERVICE_REFERENCE = objectShape("Service reference", {
  name: { shape: nameShape("subdomain"), description: "The name of a Service document.", required: true },
  namespace: {
    shape: nameShape("label"),
    description: "Its namespace. Left out = the namespace of this document.",
  },
});

export const IP_BLOCK_FIELD: Field = {
  shape: IP_BLOCK,
  description: "Addresses: a prefix without the prefixes in except.",
};

export const ENTITY_FIELD: Field = {
  shape: choiceOf(ENTITIES),
  description:
    "world: every address that is neither of a declared host or workload nor of the mesh. cluster: every address of a declared host or workload. host: the subject's own host. mesh: the overlay's addresses, 200::/7.",
};

/** Which addresses of a mesh node are meant: its own, or the prefix that the overlay routes to it. */
export const MESH_NODE_PARTS = ["address", "subnet"] as const;

export const MESH_KEY_TEXT: TextShape = { type: "text", pattern: /^[0-9A-Fa-f]{64}$/ };
/** Public keys of examples: nobody holds the private ones. */
const EXAMPLE_MESH_KEY = "6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a";

export const MESH_KEY_FIELD: Field = {
  shape: MESH_KEY_TEXT,
  description: "The public key of a node of the overlay: 64 hexadecimal digits.",
  examples: [EXAMPLE_MESH_KEY],
};

export const MESH_NODE = objectShape("Mesh node", {
  key: { ...MESH_KEY_FIELD, required: true },
  part: {
    shape: choiceOf(MESH_NODE_PARTS),
    description:
      "address: the node's own address, in 200::/8. subnet: the prefix of 64 bits that the overlay routes to it, in 300::/8. Both are computed from the key.",
    default: "address",
  },
});

export const MESH_NODE_FIELD: Field = {
  shape: MESH_NODE,
  description:
    "A node of the overlay by its key, wherever it is. Only what comes through the overlay's interface is its.",
};

export const SERVICE_FIELD: Field = {
  shape: SERVICE_REFERENCE,
  description: "What a Service document stands for.",
};

export const DOMAIN_NAMES_FIELD: Field = {
  shape: listOf(DOMAIN_OR_SERVICE_NAME, { minItems: 1 }),
  description:
    "The addresses that these names have in DNS. *.example.org stands for one or more labels before example.org; _db._tcp.example.org for the targets of that service.",
  examples: [["example.org"]],
};

export const ICMP_PROTOCOLS = ["ICMP", "ICMPv6"] as const;
export const PROTOCOL_WORDS = [...TRANSPORT_PROTOCOLS, ...ICMP_PROTOCOLS] as const;
export const BYTE = { type: "integer", minimum: 0, maximum: 255 } as const;

export const PORT_FIELD: Field = {
  shape: { type: "either", options: [PORT_NUMBER, nameShape("port")] },
  description: `A number from 1 to ${MAX_PORT}, or the name of a port: the subject's for ingress, the peer's for egress. Left out = every port.`,
};

export const END_PORT_FIELD: Field = {
  shape: PORT_NUMBER,
  description: "The last port of a range that starts at port, inclusive.",
};

export const WARDLINE_PORT: ObjectShape = objectShape(
  "Port",
  {
    protocol: {
      shape: { type: "either", options: [choiceOf(PROTOCOL_WORDS), BYTE] },
      description: "The protocol by name or by its IP protocol number. ICMP and ICMPv6 are two protocols.",
      default: "TCP",
    },
    port: PORT_FIELD,
    endPort: END_PORT_FIELD,
    type: { shape: BYTE, description: "ICMP and ICMPv6 only: the message type. Left out = every type." },
    code: { shape: BYTE, description: "ICMP and ICMPv6 only: the code within the type. Left out = every code." },
  },
  {
    atLeastOneOf: ["protocol", "port"],
    conditions: [
      { dependentRequired: { endPort: ["port"], code: ["type"], type: ["protocol"] } },
      { not: { required: ["port", "type"] } },
      {
        if: { properties: { protocol: { enum: [...ICMP_PROTOCOLS] } }, required: ["protocol"] },
        // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
        then: { not: { required: ["port"] } },
      },
    ],
  },
);

export const WARDLINE_PORTS = listOf(WARDLINE_PORT, { minItems: 1 });
