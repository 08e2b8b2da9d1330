/** Which kinds the form edits: those of Wardline, of Kubernetes and of ZTAP that people write by hand. */

import { type FormPart, isMapping, readValue, type YamlNode, type YamlValue } from "@wardline/domain/policy/edit";
import { DECLARED_KINDS, type DocumentSchema } from "@wardline/domain/policy/formats/schema";
import { textOf } from "./words.ts";

const EDITED: readonly (readonly [version: RegExp, kinds: readonly string[]])[] = [
  [/^wardline\.io\/v1$/, ["Policy", "Host", "Workload", "Service", "PolicyTest"]],
  [/^networking\.k8s\.io\/v1$/, ["NetworkPolicy"]],
  [/^policy\.networking\.k8s\.io\/v1alpha1$/, ["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]],
  [/^policy\.networking\.k8s\.io\/v1alpha2$/, ["ClusterNetworkPolicy"]],
  [/^ztap\/v[0-9]+$/, ["NetworkPolicy"]],
];

export interface DocumentHead {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** `null` for kinds that only the text edits. */
  readonly schema: DocumentSchema | null;
}

/** Of documents as they were read: a file may have ten thousand, and all but one are as they were. */
const HEADS = new WeakMap<YamlNode, DocumentHead>();

export function headOf({ root }: FormPart): DocumentHead {
  const known = root && HEADS.get(root);
  if (known) return known;
  const head = readHead(root);
  if (root) HEADS.set(root, head);
  return head;
}

function readHead(root: YamlNode | null): DocumentHead {
  const value: YamlValue = root ? readValue(root) : null;
  const document = isMapping(value) ? value : {};
  const metadata = document.metadata !== undefined && isMapping(document.metadata) ? document.metadata : {};
  const apiVersion = textOf(document.apiVersion);
  const kind = textOf(document.kind);
  const isEdited = EDITED.some(([version, kinds]) => version.test(apiVersion) && kinds.includes(kind));
  const declared = DECLARED_KINDS.find(
    (each) =>
      each.kind === kind &&
      (each.apiVersion === apiVersion || (each.schema.apiVersionPattern?.test(apiVersion) ?? false)),
  );
  return {
    apiVersion,
    kind,
    name: textOf(metadata.name),
    namespace: textOf(metadata.namespace),
    schema: isEdited && declared ? declared.schema : null,
  };
}
