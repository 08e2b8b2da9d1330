/** `v1` Namespace: only its labels matter here. */
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { DocumentInput, DocumentReader, ReadObject } from "./document.ts";
import { NAMESPACE_SCHEMA } from "./schema/inventory.ts";

export const kubernetesNamespace: DocumentReader = {
  apiVersion: "v1",
  kind: "Namespace",
  tier: null,
  metadata: { name: "label", namespaced: false },
  fields: ["spec", "status"],
  schema: NAMESPACE_SCHEMA,
  key: ({ name }) => `Namespace/${name}`,
  read,
};

function read({ report, document, metadata }: DocumentInput): ReadObject | null {
  const given = metadata.labels.get(NAMESPACE_NAME_LABEL);
  if (given !== undefined && given !== metadata.name) {
    const message = `The label ${NAMESPACE_NAME_LABEL} is always the namespace's own name, "${metadata.name}"; "${given.slice(0, 60)}" is ignored.`;
    report.report("WL320", document.getNullable("metadata")?.anchor ?? document.anchor, message);
  }
  const labels = new Map([...metadata.labels, [NAMESPACE_NAME_LABEL, metadata.name]]);
  return { kind: "namespace", namespace: { name: metadata.name, labels } };
}
