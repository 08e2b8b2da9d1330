/** The declarations of all kinds: JSON Schemas, and what an editor shows and offers. */
import { DOCUMENT_READERS } from "../registry.ts";
import type { DeclaredKind, ForeignKind } from "./json-schema.ts";

export type { DocumentSchema } from "./document-schema.ts";
export {
  type DeclaredKind,
  documentJsonSchema,
  type ForeignKind,
  INDEX_FILE,
  indexJsonSchema,
  SCHEMA_BASE,
  schemaFiles,
} from "./json-schema.ts";
export type { Field, JsonObject, JsonValue, ListShape, ObjectShape, Shape } from "./shape.ts";

/** Every kind with a declaration, in the order of the registry. */
export const DECLARED_KINDS: readonly DeclaredKind[] = DOCUMENT_READERS.flatMap(
  ({ apiVersion, kind, fields, schema }) => (schema ? [{ apiVersion, kind, fields, schema }] : []),
);
export { kindTables, sharedTables } from "./tables.ts";

/** Kinds of others that are read without a declaration here. */
export const FOREIGN_KINDS: readonly ForeignKind[] = DOCUMENT_READERS.filter(({ schema }) => !schema);
