import { isNull, type MapNode, type Span } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import type { ForeignField } from "./schema/shape.ts";
import { nearestWord } from "./suggest.ts";
import { fieldPath, type Located, LocatedPart, reportWrongType } from "./values.ts";

export * from "./values.ts";

export interface ObjectShape {
  /** The fields that may appear. */
  readonly fields: readonly string[];
  /** Fields of the same kind elsewhere that are accepted and mean nothing here. */
  readonly ignored?: readonly string[];
  /** Fields that another version of the format has here, with what to write instead. */
  readonly foreign?: ReadonlyMap<string, ForeignField>;
}

/** Reads the fields of one mapping and reports those that it does not know. */
export class ObjectReader {
  readonly report: Reporter;
  readonly node: MapNode;
  readonly anchor: Span;
  readonly #value: Omit<Located, "node">;
  #hasUnknown = false;

  private constructor(report: Reporter, node: MapNode, value: Omit<Located, "node">) {
    this.report = report;
    this.node = node;
    this.anchor = value.anchor;
    this.#value = value;
  }

  get path(): string {
    return this.#value.path;
  }

  /** For a first look at a mapping whose shape is not known yet. */
  static unchecked(report: Reporter, node: MapNode, value: Omit<Located, "node">): ObjectReader {
    return new ObjectReader(report, node, value);
  }

  /** `null` when the value is no mapping, which is reported. */
  static open(report: Reporter, value: Located, shape: ObjectShape): ObjectReader | null {
    if (value.node.kind !== "map") {
      reportWrongType(report, value, "a mapping");
      return null;
    }
    const reader = new ObjectReader(report, value.node, value);
    reader.#reportUnknown(shape);
    return reader;
  }

  has(name: string): boolean {
    for (const entry of this.node.entries) if (entry.key === name) return true;
    return false;
  }

  /** The field, or `null` when it is absent. A field without a value is reported and counts as absent. */
  get(name: string): Located | null {
    const value = this.getNullable(name);
    if (!value || !isNull(value.node)) return value;
    const message = `${value.path} has no value. Write one, or remove the line.`;
    this.report.report("WL221", value.anchor, message);
    return null;
  }

  /** The field with its value, which may be null. */
  getNullable(name: string): Located | null {
    for (const entry of this.node.entries) {
      if (entry.key === name) return new LocatedPart(entry.value, entry.keySpan, this, name);
    }
    return null;
  }

  /** As `get`, and reports the field when the mapping lacks it. */
  require(name: string, hint = ""): Located | null {
    if (!this.has(name)) this.missing(name, hint);
    return this.get(name);
  }

  missing(name: string, hint = ""): void {
    this.report.report("WL202", this.anchor, `${this.pathOf(name)} is missing.${hint === "" ? "" : ` ${hint}`}`);
  }

  pathOf(name: string): string {
    return fieldPath(this.path, name);
  }

  /** Of some fields of which exactly one must be there, that one; `null` (reported) when it is none or several. */
  exactlyOne<Name extends string>(names: readonly Name[]): { readonly name: Name; readonly field: Located } | null {
    const given = names.filter((name) => this.has(name));
    const [name, second] = given;
    if (second !== undefined) {
      const message = `${this.path} takes exactly one of ${names.join(", ")}; two alternatives are two list entries.`;
      this.report.report("WL212", this.getNullable(second)!.anchor, message);
      return null;
    }
    if (name === undefined) {
      // An unknown field is already reported, and probably the one that was meant.
      if (this.node.entries.length === 0) {
        this.report.report("WL219", this.anchor, `${this.path} is empty. Write one of ${names.join(", ")}.`);
      } else if (!this.#hasUnknown) {
        this.report.report("WL202", this.anchor, `${this.path} needs one of ${names.join(", ")}.`);
      }
      return null;
    }
    const field = this.get(name);
    return field && { name, field };
  }

  /** The group of fields that the mapping uses; `null` (reported) when it uses none or several. */
  oneAlternative<Name extends string>(groups: readonly (readonly Name[])[]): readonly Name[] | null {
    const used = groups.filter((group) => group.some((name) => this.has(name)));
    const [first, second] = used;
    if (first !== undefined && second === undefined) return first;
    const described = groups.map((group) => group.join(" and ")).join(", ");
    if (second !== undefined) {
      const place = this.getNullable(second.find((name) => this.has(name))!)!;
      const message = `${place.path} cannot stand beside ${first!.find((name) => this.has(name))}; two alternatives are two list entries.`;
      this.report.report("WL212", place.anchor, message);
    } else if (this.node.entries.length === 0) {
      this.report.report("WL219", this.anchor, `${this.path} is empty. Write one of ${described}.`);
    } else if (!this.#hasUnknown) {
      this.report.report("WL202", this.anchor, `${this.path} needs one of ${described}.`);
    }
    return null;
  }

  #reportUnknown({ fields, ignored = [], foreign }: ObjectShape): void {
    for (const { key, keySpan } of this.node.entries) {
      if (fields.includes(key) || ignored.includes(key)) continue;
      this.#hasUnknown = true;
      const shown = key.length > 60 ? `${key.slice(0, 60)}…` : key;
      const place = this.path === "" ? "the document" : this.path;
      const instead = foreign?.get(key);
      if (instead !== undefined) {
        this.#reportForeign(keySpan, `"${shown}" is not a field of ${place} in this version. ${instead.hint}`, instead);
        continue;
      }
      const nearest = nearestWord(
        key,
        fields.filter((field) => !this.has(field)),
      );
      if (nearest === null) {
        const known = fields.length === 0 ? "It takes no fields." : `Known here: ${fields.join(", ")}.`;
        this.report.report("WL201", keySpan, `"${shown}" is not a field of ${place}. ${known}`);
        continue;
      }
      const message = `"${shown}" is not a field of ${place}. Did you mean "${nearest}"?`;
      this.#reportRenamed("WL201", keySpan, message, nearest);
    }
  }

  #reportForeign(keySpan: Span, message: string, { renamedTo }: ForeignField): void {
    if (renamedTo === null || this.has(renamedTo)) this.report.report("WL223", keySpan, message);
    else this.#reportRenamed("WL223", keySpan, message, renamedTo);
  }

  #reportRenamed(code: "WL201" | "WL223", keySpan: Span, message: string, name: string): void {
    const quote = /^["']/.exec(this.report.textOf(keySpan))?.[0] ?? "";
    this.report.reportFixable(code, keySpan, message, `Change to ${name}`, `${quote}${name}${quote}`);
  }
}
