/** What the readers of foreign policies share: refusing by name, and policies in the form of the model. */
import type { Metadata } from "../formats/names.ts";
import type { Located, ObjectReader } from "../formats/object-reader.ts";
import type { EndpointSelector, Policy, PolicyRule, SourceRange } from "../model.ts";
import type { Reporter } from "../yaml/reporter.ts";

/** Reports each of the fields that is there; a list or mapping without anything in it says nothing. */
export function refuseFields(reader: ObjectReader, reasons: Readonly<Record<string, string>>): void {
  for (const [name, reason] of Object.entries(reasons)) {
    const field = reader.getNullable(name);
    if (!field || saysNothing(field)) continue;
    reader.report.report("WL250", field.anchor, `${field.path} cannot be imported: ${reason}.`);
  }
}

/** `null`, `false`, and empty text, lists and mappings, which serializers write for what was never set. */
export function saysNothing({ node }: Pick<Located, "node">): boolean {
  if (node.kind === "list") return node.items.length === 0;
  if (node.kind === "map") return node.entries.length === 0;
  return node.value === null || node.value === false || node.value === "";
}

/** The field, unless it is absent or says nothing. */
export function given(reader: ObjectReader, name: string): Located | null {
  const field = reader.getNullable(name);
  return field && !saysNothing(field) ? field : null;
}

export function refuseValue(report: Reporter, value: Located, reason: string): null {
  report.report("WL251", value.anchor, `${value.path} cannot be imported: ${reason}.`);
  return null;
}

export interface PolicyFrame {
  readonly key: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly description: string | null;
  readonly subject: EndpointSelector;
  readonly source: SourceRange;
}

export interface PolicyContent {
  /** What comes after the document's key; empty for the document itself. */
  readonly suffix: string;
  readonly tier: Policy["tier"];
  readonly priority: number;
  readonly isolates: Policy["isolates"];
  readonly rules: readonly PolicyRule[];
}

export function makePolicy(frame: PolicyFrame, content: PolicyContent): Policy {
  const { key, apiVersion, kind, metadata, description, subject, source } = frame;
  const { suffix, ...rest } = content;
  return {
    ...rest,
    key: `${key}${suffix}`,
    apiVersion,
    kind,
    name: metadata.name,
    namespace: metadata.namespace,
    mode: "enforce",
    description,
    expiresAtUnixMs: null,
    subject,
    source,
  };
}
