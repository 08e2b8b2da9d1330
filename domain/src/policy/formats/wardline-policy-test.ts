/** `wardline.io/v1` PolicyTest: what must hold whatever the policies say. */
import type { EndpointSelector, PolicyTestCase, TestEnd, TestVia } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";
import type {
  CaseReferences,
  DocumentInput,
  DocumentReader,
  PolicyReference,
  ReadObject,
  ServiceReference,
} from "./document.ts";
import { type Located, ObjectReader, readBoundedList, readChoice, readLimitedText } from "./object-reader.ts";
import { RULE_NAME } from "./schema/cluster-policy.ts";
import { DESCRIPTION_TEXT, WARDLINE_API_VERSION } from "./schema/wardline-common.ts";
import {
  POLICY_TEST_SCHEMA,
  TEST_CASE,
  TEST_END,
  TEST_SPEC,
  TEST_VIA,
  VERDICTS,
  VIA_POLICY_MAX_LENGTH,
} from "./schema/wardline-policy-test.ts";
import { readGroup, readSelectorPair } from "./wardline-peers.ts";
import { readDescription } from "./wardline-policy.ts";
import { readWardlinePorts } from "./wardline-ports.ts";

export const wardlinePolicyTest: DocumentReader = {
  apiVersion: WARDLINE_API_VERSION,
  kind: "PolicyTest",
  tier: null,
  metadata: { name: "subdomain", namespaced: true },
  fields: ["spec", "status"],
  schema: POLICY_TEST_SCHEMA,
  key: ({ namespace, name }) => `PolicyTest/${namespace}/${name}`,
  read,
};

function read({ report, document, metadata, source }: DocumentInput): ReadObject | null {
  const specField = document.require("spec");
  const spec = specField && ObjectReader.open(report, specField, TEST_SPEC.known);
  if (!spec) return null;
  const namespace = metadata.namespace ?? "default";
  const description = readDescription(report, spec);
  const testsField = spec.require("tests");
  const entries = testsField ? (readBoundedList(report, testsField, { minItems: 1 }) ?? []) : [];
  const read = entries.flatMap((entry, index) => readCase(report, entry, index, namespace) ?? []);
  return {
    kind: "test",
    references: read.map(({ references }) => references),
    test: {
      key: wardlinePolicyTest.key(metadata),
      name: metadata.name,
      namespace,
      description,
      cases: read.map(({ testCase }) => testCase),
      source,
    },
  };
}

interface ReadCase {
  readonly testCase: PolicyTestCase;
  readonly references: CaseReferences;
}

function readCase(report: Reporter, value: Located, index: number, namespace: string): ReadCase | null {
  const fields = ObjectReader.open(report, value, TEST_CASE.known);
  if (!fields) return null;
  const fromField = fields.require("from", "Write any for everybody.");
  const toField = fields.require("to", "Write any for everybody.");
  const from = fromField && readEnd(report, fromField, namespace);
  const to = toField && readEnd(report, toField, namespace);
  const ports = readWardlinePorts(report, fields);
  const expectField = fields.require("expect");
  const expect = expectField && readChoice(report, expectField, VERDICTS);
  const viaField = fields.get("via");
  const via = viaField ? readVia(report, viaField, namespace) : null;
  const becauseField = fields.get("because");
  const because = becauseField && readLimitedText(report, becauseField, DESCRIPTION_TEXT.maxLength!);
  if (!from || !to || expect === null) return null;
  return {
    references: { caseIndex: index, from: from.service, to: to.service, policy: via?.policy ?? null },
    testCase: {
      index,
      from: from.end,
      to: to.end,
      ports,
      expect,
      via: via?.via ?? null,
      because,
      source: report.range(fields.node),
    },
  };
}

interface ReadEnd {
  /** `any` where a service stands, until it is looked up. */
  readonly end: TestEnd;
  readonly service: ServiceReference | null;
}

function readEnd(report: Reporter, value: Located, namespace: string): ReadEnd | null {
  if (value.node.kind === "scalar") {
    return readChoice(report, value, ["any"]) === null ? null : { end: { kind: "any" }, service: null };
  }
  const fields = ObjectReader.open(report, value, TEST_END.known);
  const group = fields?.oneAlternative(TEST_END.alternatives as readonly (readonly string[])[]);
  const read = fields && group ? readGroup(report, fields, group, namespace) : null;
  if (!read) return null;
  switch (read.kind) {
    case "endpoints":
      return { end: { kind: "endpoints", selector: read.selector }, service: null };
    case "addresses":
      return { end: { kind: "addresses", cidr: read.block.cidr, except: read.block.except }, service: null };
    case "entity":
      return { end: { kind: "entity", entity: read.entity }, service: null };
    case "service":
      return { end: { kind: "any" }, service: read.reference };
  }
}

interface ReadVia {
  readonly via: TestVia;
  readonly policy: PolicyReference | null;
}

function readVia(report: Reporter, value: Located, namespace: string): ReadVia | null {
  const fields = ObjectReader.open(report, value, TEST_VIA.known);
  const group = fields?.oneAlternative(TEST_VIA.alternatives as readonly (readonly string[])[]);
  if (!fields || !group) return null;
  if (group[0] === "selector") {
    const selector: EndpointSelector | null = readSelectorPair(report, fields, namespace);
    return selector && { via: { kind: "through", selector }, policy: null };
  }
  const policyField = fields.require("policy", "A rule needs the policy that it belongs to.");
  const text = policyField && readLimitedText(report, policyField, VIA_POLICY_MAX_LENGTH);
  const ruleField = fields.get("rule");
  const rule = ruleField && readLimitedText(report, ruleField, RULE_NAME.maxLength!);
  if (!policyField || text === null) return null;
  return {
    via: { kind: "decision", policyKey: text, rule },
    policy: {
      text,
      namespace,
      source: report.range(policyField.node),
      rule: ruleField && rule !== null ? { text: rule, source: report.range(ruleField.node) } : null,
    },
  };
}
