/** The field tables of docs/policy-reference.md, from the declarations. */
import { IP_BLOCK, SELECTOR } from "./common.ts";
import type { DeclaredKind } from "./json-schema.ts";
import type { Field, ObjectShape, Shape } from "./shape.ts";
import { SERVICE_REFERENCE, WARDLINE_PORT } from "./wardline-common.ts";

/** Parts that several kinds share; the page explains them once. */
const SHARED_PARTS: readonly ObjectShape[] = [SELECTOR, IP_BLOCK, SERVICE_REFERENCE, WARDLINE_PORT];
const SHARED_TITLES = new Set(SHARED_PARTS.map(({ title }) => title));

/** The tables of one kind: what is below `spec`, part by part. */
export function kindTables({ schema }: DeclaredKind): string {
  if (!schema.spec) return "";
  const shared = new Set(SHARED_PARTS.map((shape) => shape.fields));
  return tablesOf([schema.spec.shape], (shape) => shared.has(shape.fields));
}

/** The tables of the parts that several kinds share. */
export function sharedTables(): string {
  return tablesOf(SHARED_PARTS, () => false);
}

function tablesOf(roots: readonly ObjectShape[], isElsewhere: (shape: ObjectShape) => boolean): string {
  const queue: ObjectShape[] = [...roots];
  const tables: string[] = [];
  for (const shape of queue) {
    const isRoot = roots.includes(shape);
    if (!isRoot && isElsewhere(shape)) continue;
    tables.push(table(shape));
    for (const field of Object.values(shape.fields)) {
      for (const inner of objectsIn(field.shape)) {
        if (!queue.some(({ fields }) => fields === inner.fields)) queue.push(inner);
      }
    }
  }
  return tables.join("\n\n");
}

function table(shape: ObjectShape): string {
  const rows = Object.entries(shape.fields).map(([name, field]) => row(name, field));
  const rule = groupRule(shape);
  return [`**${shape.title}**${rule}`, "", "| Field | Takes | Meaning |", "|---|---|---|", ...rows].join("\n");
}

function groupRule(shape: ObjectShape): string {
  const names = (list: readonly string[], word: string): string => list.map((name) => `\`${name}\``).join(` ${word} `);
  if (shape.exactlyOneOf.length > 0) return " takes exactly one of these fields.";
  if (shape.alternatives.length > 0) {
    return ` takes exactly one of ${shape.alternatives.map((group) => names(group, "with or without")).join(", ")}.`;
  }
  if (shape.atLeastOneOf.length > 0) return ` needs ${names(shape.atLeastOneOf, "or")}.`;
  return "";
}

function row(name: string, field: Field): string {
  const required = field.required ? "**required**, " : "";
  const byDefault = field.default === undefined ? "" : `; \`${field.default}\` when left out`;
  const description = field.description.replaceAll("|", "\\|");
  return `| \`${name}\` | ${required}${takes(field.shape)}${byDefault} | ${description} |`;
}

function takes(shape: Shape): string {
  switch (shape.type) {
    case "text":
      return shape.maxLength === undefined ? "text" : `text, up to ${shape.maxLength} characters`;
    case "integer":
      return `${shape.minimum} to ${shape.maximum}`;
    case "choice":
      return shape.words.map((word) => `\`${word}\``).join(", ");
    case "list":
      return `list${bounds(shape)} of ${takes(shape.items)}`;
    case "map":
      return "mapping of names to text";
    case "anything":
      return "anything";
    case "either":
      return shape.options.map(takes).join(", or ");
    case "object":
      return SHARED_TITLES.has(shape.title) && sharedPart(shape)
        ? `[${shape.title.toLowerCase()}](#parts-that-several-kinds-share)`
        : shape.title.toLowerCase();
  }
}

function sharedPart(shape: ObjectShape): boolean {
  return SHARED_PARTS.some(({ fields }) => fields === shape.fields);
}

function bounds({ minItems, maxItems }: { readonly minItems?: number; readonly maxItems?: number }): string {
  if (maxItems !== undefined) return ` (${minItems ?? 0} to ${maxItems})`;
  return minItems === undefined ? "" : ` (at least ${minItems})`;
}

function objectsIn(shape: Shape): readonly ObjectShape[] {
  switch (shape.type) {
    case "object":
      return [shape];
    case "list":
      return objectsIn(shape.items);
    case "either":
      return shape.options.flatMap(objectsIn);
    default:
      return [];
  }
}
