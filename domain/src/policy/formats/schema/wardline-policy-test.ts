/** Shapes of `wardline.io/v1` PolicyTest. */
import { RULE_NAME } from "./cluster-policy.ts";
import { metadataShape } from "./common.ts";
import type { DocumentSchema } from "./document-schema.ts";
import { choiceOf, type Field, listOf, type ObjectShape, objectShape } from "./shape.ts";
import {
  DESCRIPTION_TEXT,
  ENTITY_FIELD,
  HOSTS_FIELD,
  IP_BLOCK_FIELD,
  MESH_NODE_FIELD,
  NAMESPACE_SELECTOR_FIELD,
  SELECTOR_FIELD,
  SERVICE_FIELD,
  WARDLINE_PORTS,
} from "./wardline-common.ts";

export const VERDICTS = ["allow", "deny"] as const;

export const TEST_END = objectShape(
  "End of a test",
  {
    selector: SELECTOR_FIELD,
    namespaceSelector: NAMESPACE_SELECTOR_FIELD,
    hosts: HOSTS_FIELD,
    ipBlock: IP_BLOCK_FIELD,
    entity: ENTITY_FIELD,
    meshNode: MESH_NODE_FIELD,
    service: {
      ...SERVICE_FIELD,
      description: "Everybody whom a Service document stands for; one without domain names.",
    },
  },
  { alternatives: [["selector", "namespaceSelector"], ["hosts"], ["ipBlock"], ["entity"], ["meshNode"], ["service"]] },
);

export const VIA_POLICY_MAX_LENGTH = 400;

export const TEST_VIA: ObjectShape = objectShape(
  "Via",
  {
    policy: {
      shape: { type: "text", maxLength: VIA_POLICY_MAX_LENGTH, pattern: /^[^/]+(\/[^/]+){0,2}$/ },
      description:
        "The policy that must decide every packet: name, namespace/name, Kind/namespace/name, or Kind/name for kinds without a namespace.",
    },
    rule: {
      shape: RULE_NAME,
      description: "Only with policy: the rule that must decide, by its name or as ingress[0].",
    },
    selector: { ...SELECTOR_FIELD, description: "These are left out of from: the one way around a denial." },
    namespaceSelector: NAMESPACE_SELECTOR_FIELD,
  },
  {
    alternatives: [
      ["policy", "rule"],
      ["selector", "namespaceSelector"],
    ],
    conditions: [{ dependentRequired: { rule: ["policy"] } }],
  },
);

const END_SHAPE: Field["shape"] = { type: "either", options: [choiceOf(["any"]), TEST_END] };

export const TEST_CASE = objectShape("Test", {
  from: { shape: END_SHAPE, description: "Who opens the connections: any, or a group.", required: true },
  to: { shape: END_SHAPE, description: "Whom they go to: any, or a group.", required: true },
  ports: {
    shape: WARDLINE_PORTS,
    description:
      "Protocols and ports at the destination; names are those of the members of to. Left out = all of them.",
  },
  expect: {
    shape: choiceOf(VERDICTS),
    description: "What must hold for every member of from, every member of to and every port.",
    required: true,
  },
  via: { shape: TEST_VIA, description: "Which policy must decide, or who is the one exception." },
  because: { shape: DESCRIPTION_TEXT, description: "Why this is wanted; shown when the test fails." },
});

export const TEST_SPEC = objectShape("PolicyTest spec", {
  description: { shape: DESCRIPTION_TEXT, description: "What the tests are about, for people." },
  tests: { shape: listOf(TEST_CASE, { minItems: 1 }), description: "What must hold.", required: true },
});

export const POLICY_TEST_SCHEMA: DocumentSchema = {
  file: "policy-test.json",
  description: "What must hold for connections whatever the policies say. Tests change nothing that is enforced.",
  metadata: metadataShape("subdomain", true),
  spec: { shape: TEST_SPEC, description: "The tests.", required: true },
};
