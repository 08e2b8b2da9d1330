/** Which field of which kind a place is, by the declarations that the readers themselves use. */
import type { DocumentReader } from "../formats/document.ts";
import { DOCUMENT_READERS, findReader } from "../formats/registry.ts";
import { metadataShape } from "../formats/schema/common.ts";
import { choiceOf, type Field, type ObjectShape, type Shape } from "../formats/schema/shape.ts";
import type { Step } from "./place.ts";

/** What may stand at a place; a field can take one of several shapes. */
export interface Meaning {
  readonly shape: Shape;
  /** `null` for items of lists and values of mappings whose keys are free. */
  readonly field: Field | null;
  /** The mapping that the field belongs to. */
  readonly owner: ObjectShape | null;
}

export type Fields = Readonly<Record<string, Field>>;

const unique = (words: readonly string[]): readonly string[] => [...new Set(words)];

/** The fields of a document of this type. Before the type is known: those that say it. */
export function documentFields(apiVersion: string, kind: string): Fields {
  const reader = findReader(apiVersion, kind);
  const ofKind = DOCUMENT_READERS.filter((each) => each.kind === kind);
  const ofVersion = DOCUMENT_READERS.filter((each) => each.apiVersion === apiVersion);
  const versions = unique((ofKind.length > 0 ? ofKind : DOCUMENT_READERS).map((each) => each.apiVersion));
  const kinds = unique((ofVersion.length > 0 ? ofVersion : DOCUMENT_READERS).map((each) => each.kind));
  const header: Fields = {
    apiVersion: { shape: choiceOf(versions), description: "The version of the format.", required: true },
    kind: {
      shape: choiceOf(kinds),
      description: reader?.schema?.description ?? "What the document is.",
      required: true,
    },
  };
  const metadata =
    reader?.schema?.metadata ??
    metadataShape(reader?.metadata.name ?? "subdomain", reader?.metadata.namespaced ?? true);
  return {
    ...header,
    metadata: { shape: metadata, description: "Name and labels of the document.", required: true },
    ...(reader ? contentFields(reader) : {}),
  };
}

function contentFields({ schema, offered, fields }: DocumentReader): Fields {
  if (offered) return offered;
  return schema?.spec && fields.includes("spec") ? { spec: schema.spec } : {};
}

/** What may stand at a path below the document; empty when nothing is known of it. */
export function meaningsAt(fields: Fields, path: readonly Step[]): readonly Meaning[] {
  const [first, ...rest] = path;
  const field = typeof first === "string" && Object.hasOwn(fields, first) ? fields[first] : undefined;
  let meanings: readonly Meaning[] = field ? [{ shape: field.shape, field, owner: null }] : [];
  for (const step of rest) meanings = meanings.flatMap(({ shape }) => stepInto(shape, step));
  return meanings.flatMap(withOptions);
}

function withOptions(meaning: Meaning): readonly Meaning[] {
  const { shape } = meaning;
  return shape.type === "either"
    ? shape.options.flatMap((option) => withOptions({ ...meaning, shape: option }))
    : [meaning];
}

function stepInto(shape: Shape, step: Step): readonly Meaning[] {
  switch (shape.type) {
    case "either":
      return shape.options.flatMap((option) => stepInto(option, step));
    case "list":
      return typeof step === "number" ? [{ shape: shape.items, field: null, owner: null }] : [];
    case "map":
      return typeof step === "string" ? [{ shape: shape.values, field: null, owner: null }] : [];
    case "object": {
      const field = typeof step === "string" && Object.hasOwn(shape.fields, step) ? shape.fields[step] : undefined;
      return field ? [{ shape: field.shape, field, owner: shape }] : [];
    }
    default:
      return [];
  }
}

/** What a field takes, in words for people. */
export function describeShape(shape: Shape): string {
  switch (shape.type) {
    case "text":
      return shape.maxLength === undefined ? "text" : `text, up to ${shape.maxLength} characters`;
    case "integer":
      return `a number from ${shape.minimum} to ${shape.maximum}`;
    case "choice":
      return shape.words.slice(0, 12).join(" | ");
    case "list":
      return `a list of ${describeShape(shape.items)}`;
    case "map":
      return "a mapping of names to text";
    case "anything":
      return "anything";
    case "either":
      return shape.options.map(describeShape).join(", or ");
    case "object":
      return `a mapping (${Object.keys(shape.fields).join(", ")})`;
  }
}
