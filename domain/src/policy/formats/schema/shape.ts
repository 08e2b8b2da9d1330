/**
 * The one declaration of what a document may hold. Readers take their lists of known fields, words and bounds from it, the
 * JSON Schemas and the field tables of the reference page are generated from it, so the three cannot drift apart.
 */

/** A piece of a JSON Schema, for what the shapes below cannot say (one field that depends on another). */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

export interface TextShape {
  readonly type: "text";
  /** Without flags. What a pattern cannot say (addresses, dates) only the reader checks. */
  readonly pattern?: RegExp;
  readonly maxLength?: number;
}

export interface IntegerShape {
  readonly type: "integer";
  readonly minimum: number;
  readonly maximum: number;
}

export interface ChoiceShape<Word extends string = string> {
  readonly type: "choice";
  readonly words: readonly Word[];
}

export interface ListShape {
  readonly type: "list";
  readonly items: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** A mapping with keys that the writer chooses. */
export interface MapShape {
  readonly type: "map";
  readonly keys: RegExp;
  readonly values: Shape;
}

/** A mapping that means nothing here, with anything in it. */
export interface AnythingShape {
  readonly type: "anything";
}

export interface EitherShape {
  readonly type: "either";
  readonly options: readonly Shape[];
}

export interface ObjectShape<Name extends string = string> {
  readonly type: "object";
  /** What people call such a mapping: a heading of the reference page, and its name among the schema's definitions. */
  readonly title: string;
  readonly fields: Readonly<Record<Name, Field>>;
  /** For `ObjectReader.open`. */
  readonly known: {
    readonly fields: readonly Name[];
    readonly ignored: readonly string[];
    readonly foreign: ReadonlyMap<string, ForeignField>;
  };
  /** Exactly one of these fields stands in the mapping. */
  readonly exactlyOneOf: readonly Name[];
  /** Fields of one of these groups stand in the mapping, and of no other group. */
  readonly alternatives: readonly (readonly Name[])[];
  /** At least one of these fields stands in the mapping. */
  readonly atLeastOneOf: readonly Name[];
  readonly conditions: readonly JsonObject[];
}

export type Shape =
  | TextShape
  | IntegerShape
  | ChoiceShape
  | ListShape
  | MapShape
  | AnythingShape
  | EitherShape
  | ObjectShape;

export interface Field {
  readonly shape: Shape;
  /** Plain sentences; the editor shows them beside the field. */
  readonly description: string;
  readonly required?: boolean;
  /** An empty value counts as the empty list or mapping. */
  readonly nullable?: boolean;
  readonly default?: string | number;
  /** Values worth offering, as they would be written. */
  readonly examples?: readonly JsonValue[];
}

/** A field that has another name here and takes the same. */
export interface RenamedField {
  readonly renamedTo: string;
}

/** A field of another version of the format. */
export interface ForeignField {
  /** What to write instead, as a sentence. */
  readonly hint: string;
  /** Its name here, where a new name is all it needs. */
  readonly renamedTo: string | null;
}

function foreignField(instead: string | RenamedField): ForeignField {
  return typeof instead === "string"
    ? { hint: instead, renamedTo: null }
    : { hint: `It is called ${instead.renamedTo}.`, renamedTo: instead.renamedTo };
}

export interface ObjectOptions<Name extends string> {
  /** Fields that are accepted and mean nothing. */
  readonly ignored?: readonly string[];
  /** Fields that other versions of the format have here, with what to write instead. */
  readonly foreign?: Readonly<Record<string, string | RenamedField>>;
  readonly exactlyOneOf?: readonly Name[];
  readonly alternatives?: readonly (readonly Name[])[];
  readonly atLeastOneOf?: readonly Name[];
  readonly conditions?: readonly JsonObject[];
}

export function objectShape<Name extends string>(
  title: string,
  fields: Readonly<Record<Name, Field>>,
  options: ObjectOptions<Name> = {},
): ObjectShape<Name> {
  return {
    type: "object",
    title,
    fields,
    known: {
      fields: Object.keys(fields) as Name[],
      ignored: options.ignored ?? [],
      foreign: new Map(Object.entries(options.foreign ?? {}).map(([name, instead]) => [name, foreignField(instead)])),
    },
    exactlyOneOf: options.exactlyOneOf ?? [],
    alternatives: options.alternatives ?? [],
    atLeastOneOf: options.atLeastOneOf ?? [],
    conditions: options.conditions ?? [],
  };
}

export function listOf(items: Shape, bounds: Pick<ListShape, "minItems" | "maxItems"> = {}): ListShape {
  return { type: "list", items, ...bounds };
}

export function choiceOf<Word extends string>(words: readonly Word[]): ChoiceShape<Word> {
  return { type: "choice", words };
}

export const ANYTHING: AnythingShape = { type: "anything" };
export const TEXT: TextShape = { type: "text" };
