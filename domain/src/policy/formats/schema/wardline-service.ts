/** Shapes of `wardline.io/v1` Service. */
import { metadataShape, nameShape, TRANSPORT_PROTOCOLS } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, listOf, type ObjectShape, objectShape } from "./shape.ts";
import {
  DESCRIPTION_TEXT,
  DOMAIN_NAMES_FIELD,
  END_PORT_FIELD,
  NAMESPACE_SELECTOR_FIELD,
  PORT_FIELD,
  SELECTOR_FIELD,
} from "./wardline-common.ts";

export const SERVICE_PORT = objectShape("Service port", {
  name: { shape: nameShape("port"), description: "What the port is for, for people." },
  protocol: { shape: choiceOf(TRANSPORT_PROTOCOLS), description: "The protocol.", default: "TCP" },
  port: {
    ...PORT_FIELD,
    description: "A number from 1 to 65535, or the name of a port of those whom the service picks.",
    required: true,
  },
  endPort: END_PORT_FIELD,
});

export const SERVICE_SPEC: ObjectShape = objectShape(
  "Service spec",
  {
    description: { shape: DESCRIPTION_TEXT, description: "What the service is, for people." },
    selector: SELECTOR_FIELD,
    namespaceSelector: NAMESPACE_SELECTOR_FIELD,
    addresses: {
      shape: listOf({ type: "text", pattern: /^[0-9A-Fa-f:.]+(\/[0-9]{1,3})?$/ }, { minItems: 1 }),
      description: "Addresses and prefixes.",
      examples: [["192.0.2.53", "198.51.100.0/24"]],
    },
    domainNames: {
      ...DOMAIN_NAMES_FIELD,
      description: `${DOMAIN_NAMES_FIELD.description} Such a service can only be used in egress rules that allow.`,
    },
    ports: {
      shape: listOf(SERVICE_PORT, { minItems: 1 }),
      description:
        "The ports that it listens on. An egress rule that names the service and no ports covers just these. Left out = every port and protocol.",
    },
  },
  { atLeastOneOf: ["selector", "namespaceSelector", "addresses", "domainNames"] },
);

export const SERVICE_SCHEMA: DocumentSchema = {
  file: "service.json",
  description: "A name for a group of hosts, addresses or domain names, with the ports they listen on.",
  metadata: metadataShape("subdomain", true),
  spec: { shape: SERVICE_SPEC, description: "The service.", required: true },
};
