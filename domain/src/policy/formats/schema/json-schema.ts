/** JSON Schema (draft 2020-12) from the declarations. */
import type { DocumentReader } from "../document.ts";
import type { DocumentSchema } from "./document-schema.ts";
import type { Field, JsonObject, JsonValue, ObjectShape, Shape } from "./shape.ts";

const DIALECT = "https://json-schema.org/draft/2020-12/schema";
export const SCHEMA_BASE = "https://wardline.io/schema/";
export const INDEX_FILE = "index.json";

/** A kind with its declaration. */
export type DeclaredKind = Pick<DocumentReader, "apiVersion" | "kind" | "fields"> & { readonly schema: DocumentSchema };

/** The schema of one kind: one document, not a List. */
export function documentJsonSchema({ apiVersion, kind, fields, schema }: DeclaredKind): JsonObject {
  const definitions = new Definitions();
  const properties: Record<string, JsonValue> = {
    apiVersion: { ...versionSchema(apiVersion, schema), description: "The version of the format." },
    kind: { const: kind, description: schema.description },
    metadata: { description: "Name and labels of the document.", ...definitions.shape(schema.metadata) },
  };
  for (const name of fields) {
    if (name === "spec" && schema.spec) properties.spec = definitions.field(schema.spec);
    else properties[name] = { description: "Accepted and ignored." };
  }
  return {
    $schema: DIALECT,
    $id: `${SCHEMA_BASE}${schema.file}`,
    title: `${apiVersion} ${kind}`,
    description: schema.description,
    type: "object",
    properties,
    required: ["apiVersion", "kind", "metadata", ...(schema.spec?.required ? ["spec"] : [])],
    additionalProperties: false,
    $defs: definitions.all(),
  };
}

/** A kind that is read and has no schema here: the formats of others. */
export type ForeignKind = Pick<DocumentReader, "apiVersion" | "kind">;

/** Picks the schema of a document by its apiVersion and kind; Lists of documents as well. */
export function indexJsonSchema(kinds: readonly DeclaredKind[], foreign: readonly ForeignKind[]): JsonObject {
  const header = ({ apiVersion, kind, schema }: DeclaredKind): JsonObject => ({
    properties: { apiVersion: versionSchema(apiVersion, schema), kind: { const: kind } },
    required: ["apiVersion", "kind"],
  });
  const list: JsonObject = {
    properties: {
      apiVersion: { enum: [...new Set(["v1", ...versionsOf([...kinds, ...foreign])])] },
      kind: { enum: ["List", ...new Set([...kinds, ...foreign].map(({ kind }) => `${kind}List`))] },
      metadata: { description: "Accepted and ignored." },
      items: { type: "array", items: { $ref: "#" }, description: "The documents." },
    },
    required: ["apiVersion", "kind", "items"],
    additionalProperties: false,
  };
  return {
    $schema: DIALECT,
    $id: `${SCHEMA_BASE}${INDEX_FILE}`,
    title: "Wardline policy file",
    description: "Any document that Wardline reads, by its apiVersion and kind.",
    type: "object",
    properties: {
      apiVersion: { type: "string", description: "The version of the format.", examples: versionsOf(kinds) },
      kind: {
        type: "string",
        description: "What the document is.",
        examples: [...new Set(kinds.map(({ kind }) => kind))],
      },
    },
    required: ["apiVersion", "kind"],
    anyOf: [...kinds.map(header), ...foreign.map(foreignHeader), list],
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
    allOf: kinds.map((kind) => ({ if: header(kind), then: { $ref: kind.schema.file } })),
  };
}

/** Every file of assets/schema by name. */
export function schemaFiles(
  kinds: readonly DeclaredKind[],
  foreign: readonly ForeignKind[],
): ReadonlyMap<string, JsonObject> {
  const files = new Map(kinds.map((kind) => [kind.schema.file, documentJsonSchema(kind)]));
  return files.set(INDEX_FILE, indexJsonSchema(kinds, foreign));
}

function foreignHeader({ apiVersion, kind }: ForeignKind): JsonObject {
  return { properties: { apiVersion: { const: apiVersion }, kind: { const: kind } }, required: ["apiVersion", "kind"] };
}

function versionsOf(kinds: readonly ForeignKind[]): readonly string[] {
  return [...new Set(kinds.map(({ apiVersion }) => apiVersion))];
}

function versionSchema(apiVersion: string, { apiVersionPattern }: DocumentSchema): JsonObject {
  return apiVersionPattern
    ? { type: "string", pattern: apiVersionPattern.source, examples: [apiVersion] }
    : { const: apiVersion };
}

/** Object shapes become definitions, each once. */
class Definitions {
  readonly #names = new Map<ObjectShape, string>();
  readonly #schemas = new Map<string, JsonObject>();

  all(): JsonObject {
    return Object.fromEntries(this.#schemas);
  }

  field({ shape, description, default: byDefault, examples, nullable }: Field): JsonObject {
    const schema = this.shape(shape);
    return {
      description,
      ...(byDefault === undefined ? {} : { default: byDefault }),
      ...(examples === undefined ? {} : { examples }),
      ...schema,
      ...(nullable && typeof schema.type === "string" ? { type: [schema.type, "null"] } : {}),
    };
  }

  shape(shape: Shape): JsonObject {
    switch (shape.type) {
      case "text":
        return {
          type: "string",
          ...(shape.pattern ? { pattern: shape.pattern.source } : {}),
          ...(shape.maxLength === undefined ? {} : { maxLength: shape.maxLength }),
        };
      case "integer":
        return { type: "integer", minimum: shape.minimum, maximum: shape.maximum };
      case "choice":
        return { enum: shape.words };
      case "list":
        return {
          type: "array",
          items: this.shape(shape.items),
          ...(shape.minItems === undefined ? {} : { minItems: shape.minItems }),
          ...(shape.maxItems === undefined ? {} : { maxItems: shape.maxItems }),
        };
      case "map":
        return {
          type: "object",
          propertyNames: { pattern: shape.keys.source },
          additionalProperties: this.shape(shape.values),
        };
      case "anything":
        return {};
      case "either":
        return { anyOf: shape.options.map((option) => this.shape(option)) };
      case "object":
        return { $ref: `#/$defs/${this.#define(shape)}` };
    }
  }

  #define(shape: ObjectShape): string {
    const known = this.#names.get(shape);
    if (known !== undefined) return known;
    const base = shape.title.replaceAll(/[^A-Za-z0-9]+(.)/g, (_, letter: string) => letter.toUpperCase());
    let name = base;
    for (let count = 2; this.#schemas.has(name); count += 1) name = `${base}${count}`;
    this.#names.set(shape, name);
    this.#schemas.set(name, {});
    this.#schemas.set(name, this.#object(shape));
    return name;
  }

  #object(shape: ObjectShape): JsonObject {
    const entries = Object.entries(shape.fields);
    const required = entries.filter(([, field]) => field.required).map(([name]) => name);
    const has = (name: string): JsonObject => ({ required: [name] });
    const choices: JsonObject[] = [...shape.conditions];
    if (shape.exactlyOneOf.length > 0) choices.push({ oneOf: shape.exactlyOneOf.map(has) });
    if (shape.atLeastOneOf.length > 0) choices.push({ anyOf: shape.atLeastOneOf.map(has) });
    if (shape.alternatives.length > 0) {
      choices.push({ oneOf: shape.alternatives.map((group) => ({ anyOf: group.map(has) })) });
    }
    const { ignored } = shape.known;
    return {
      title: shape.title,
      type: "object",
      properties: Object.fromEntries(entries.map(([name, field]) => [name, this.field(field)])),
      // As a pattern, so that editors do not offer them.
      ...(ignored.length > 0 ? { patternProperties: { [`^(${ignored.join("|")})$`]: {} } } : {}),
      ...(required.length > 0 ? { required } : {}),
      additionalProperties: false,
      ...(choices.length > 0 ? { allOf: choices } : {}),
    };
  }
}
