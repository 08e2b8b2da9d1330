/** Shapes that several kinds share. */
import { IGNORED_METADATA, NAME_RULES, type NameKind } from "../names.ts";
import { choiceOf, type Field, listOf, type ObjectShape, objectShape, type TextShape } from "./shape.ts";

export const SELECTOR_OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;
export const TRANSPORT_PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;
export const MAX_PORT = 65_535;

export function nameShape(kind: NameKind): TextShape {
  return { type: "text", pattern: NAME_RULES[kind].pattern, maxLength: NAME_RULES[kind].maxLength };
}

export const LABEL_KEY_PATTERN =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

export const LABELS = { type: "map", keys: LABEL_KEY_PATTERN, values: nameShape("labelValue") } as const;

const EXPRESSION_FIELDS: Readonly<Record<"key" | "operator" | "values", Field>> = {
  key: {
    shape: { type: "text", pattern: LABEL_KEY_PATTERN },
    description: "The label that is looked at.",
    required: true,
  },
  operator: {
    shape: choiceOf(SELECTOR_OPERATORS),
    description:
      "In and NotIn compare with the values; Exists and DoesNotExist take none. NotIn and DoesNotExist also hold without the label.",
    required: true,
  },
  values: {
    shape: listOf(nameShape("labelValue")),
    description: "At least one for In and NotIn, none otherwise.",
    nullable: true,
  },
};

export const EXPRESSION = objectShape("Label expression", EXPRESSION_FIELDS, {
  conditions: [
    {
      if: { properties: { operator: { enum: ["In", "NotIn"] } }, required: ["operator"] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
      then: { required: ["values"], properties: { values: { type: "array", minItems: 1 } } },
    },
    {
      if: { properties: { operator: { enum: ["Exists", "DoesNotExist"] } }, required: ["operator"] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
      then: { properties: { values: { type: ["array", "null"], maxItems: 0 } } },
    },
  ],
});

const SELECTOR_FIELDS = {
  matchLabels: {
    shape: LABELS,
    description: "Labels that must all be there with these values.",
    examples: [{ app: "web" }],
  },
  matchExpressions: { shape: listOf(EXPRESSION), description: "Conditions that must all hold." },
} satisfies Record<string, Field>;

/** What early drafts of the cluster-wide policies wrote where a plain label selector stands now. */
const DRAFT_SELECTOR_FIELDS = {
  namespaceSelector: "The labels stand directly below: write its matchLabels and matchExpressions here.",
  sameLabels: "Relations between namespaces were dropped; write the labels out, one policy for each value.",
  notSameLabels: "Relations between namespaces were dropped; write the labels out with NotIn.",
  related: "Relations between namespaces were dropped; write the labels out.",
  notSelf: "Relations between namespaces were dropped; write the labels out.",
};

export const SELECTOR = objectShape("Label selector", SELECTOR_FIELDS);
export const NAMESPACES_SELECTOR: ObjectShape = objectShape("Label selector", SELECTOR_FIELDS, {
  foreign: DRAFT_SELECTOR_FIELDS,
});

export const CIDR_TEXT: TextShape = { type: "text", pattern: /^[0-9A-Fa-f:.]+\/[0-9]{1,3}$/ };

export const IP_BLOCK = objectShape("Address block", {
  cidr: { shape: CIDR_TEXT, description: "A prefix, IPv4 or IPv6.", required: true, examples: ["10.0.0.0/8"] },
  except: {
    shape: listOf(CIDR_TEXT),
    description: "Prefixes inside it that are left out. This is no denial: another entry may still name them.",
  },
});

export const PORT_NUMBER = { type: "integer", minimum: 1, maximum: MAX_PORT } as const;

export function metadataShape(name: NameKind, namespaced: boolean, fixedName: string | null = null): ObjectShape {
  const fields: Record<string, Field> = {
    name: {
      shape: fixedName === null ? nameShape(name) : choiceOf([fixedName]),
      description: "The name, unique among documents of this kind and namespace.",
      required: true,
    },
    labels: { shape: LABELS, description: "Labels of the document itself.", nullable: true },
  };
  if (namespaced) {
    fields.namespace = {
      shape: nameShape("label"),
      description: "The namespace that it belongs to.",
      default: "default",
    };
  }
  return objectShape("Metadata", fields, { ignored: IGNORED_METADATA });
}
