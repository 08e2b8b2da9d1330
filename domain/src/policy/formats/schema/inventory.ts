/** Shapes of `wardline.io/v1` Host and Workload, and of `v1` Namespace. */
import { metadataShape, nameShape, PORT_NUMBER, TRANSPORT_PROTOCOLS } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, type Field, listOf, type ObjectShape, objectShape } from "./shape.ts";
import { MESH_KEY_FIELD } from "./wardline-common.ts";

export const NAMED_PORT = objectShape("Named port", {
  name: { shape: nameShape("port"), description: "The name that policies use.", required: true },
  protocol: { shape: choiceOf(TRANSPORT_PROTOCOLS), description: "The protocol.", default: "TCP" },
  port: { shape: PORT_NUMBER, description: "The port number.", required: true },
});

const ADDRESSES: Field = {
  shape: listOf({ type: "text", pattern: /^[0-9A-Fa-f:.]+$/ }),
  description: "Addresses under which others see it, IPv4 and IPv6, without prefix length or zone.",
  examples: [["192.0.2.10", "2001:db8::10"]],
};

const PORTS: Field = {
  shape: listOf(NAMED_PORT),
  description: "Ports that policies may call by name. One name may stand once for each protocol.",
};

export const HOST_SPEC = objectShape("Host spec", {
  addresses: ADDRESSES,
  ports: PORTS,
  meshKey: {
    ...MESH_KEY_FIELD,
    description:
      "The public key of its node of the overlay, 64 hexadecimal digits. The node's own address then counts among the addresses; one key belongs to one host.",
  },
});

const USER_ID = { type: "integer", minimum: 0, maximum: 9_999_999_999 } as const;

export const MATCH_FIELDS = ["systemdUnit", "cgroupPath", "container", "user"] as const;

export const WORKLOAD_MATCH: ObjectShape<(typeof MATCH_FIELDS)[number]> = objectShape(
  "Match",
  {
    systemdUnit: {
      shape: { type: "text", maxLength: 256 },
      description: "A systemd unit by its full name.",
      examples: ["nginx.service"],
    },
    cgroupPath: {
      shape: { type: "text", maxLength: 1024 },
      description: "A path from the cgroup root.",
      examples: ["/system.slice/nginx.service"],
    },
    container: { shape: { type: "text", maxLength: 128 }, description: "A container by name or id." },
    user: {
      shape: { type: "either", options: [{ type: "text", maxLength: 32 }, USER_ID] },
      description: "A user by name or number.",
    },
  },
  { exactlyOneOf: MATCH_FIELDS },
);

export const WORKLOAD_SPEC = objectShape(
  "Workload spec",
  {
    host: {
      shape: nameShape("subdomain"),
      description: "The host that it runs on. Without it the workload exists only as a peer.",
    },
    match: {
      shape: WORKLOAD_MATCH,
      description: "How its processes are found on that host; only together with host.",
    },
    addresses: { ...ADDRESSES, description: "Its own addresses. Without any it shares those of its host." },
    ports: PORTS,
  },
  { conditions: [{ dependentRequired: { match: ["host"] } }] },
);

export const HOST_SCHEMA: DocumentSchema = {
  file: "host.json",
  description: "A machine with an agent, or any machine whose addresses policies should know by label.",
  metadata: metadataShape("subdomain", true),
  spec: { shape: HOST_SPEC, description: "What is known of the host." },
};

export const WORKLOAD_SCHEMA: DocumentSchema = {
  file: "workload.json",
  description: "A part of a host that has policies of its own, or something elsewhere that is known by address.",
  metadata: metadataShape("subdomain", true),
  spec: { shape: WORKLOAD_SPEC, description: "What is known of the workload.", required: true },
};

export const NAMESPACE_SCHEMA: DocumentSchema = {
  file: "namespace.json",
  description: "The labels of a namespace.",
  metadata: metadataShape("label", false),
  spec: null,
};
