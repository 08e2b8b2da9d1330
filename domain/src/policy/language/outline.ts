/** The documents and rules of a text, for an outline that follows the cursor; works while it is typed. */
import { documentSpans } from "./place.ts";
import { child, childText, type TreeNode } from "./tree.ts";
import { readTree } from "./tree-block.ts";

export interface OutlineEntry {
  readonly kind: string;
  /** `namespace/name`, the rule's own name, or its position. */
  readonly name: string;
  readonly detail: string;
  readonly from: number;
  readonly to: number;
  readonly children: readonly OutlineEntry[];
}

const MAX_DOCUMENTS = 5_000;
const MAX_CHILDREN = 500;
const LISTS = ["ingress", "egress", "ingressDeny", "egressDeny", "tests"];

export function outlineOf(text: string): readonly OutlineEntry[] {
  return documentSpans(text)
    .slice(0, MAX_DOCUMENTS)
    .flatMap(({ from, to }) => {
      const root = readTree(text, from, to, null);
      const items = child(root, "items");
      if (items?.kind === "list") return items.items.flatMap((item) => documentEntry(item));
      return documentEntry(root);
    });
}

function documentEntry(root: TreeNode): readonly OutlineEntry[] {
  if (root.kind !== "map") return [];
  const metadata = child(root, "metadata");
  const namespace = childText(metadata, "namespace");
  const name = childText(metadata, "name") || "without a name";
  const spec = child(root, "spec");
  return [
    {
      kind: childText(root, "kind") || "document",
      name: namespace === "" ? name : `${namespace}/${name}`,
      detail: childText(root, "apiVersion"),
      from: root.from,
      to: root.to,
      children: LISTS.flatMap((list) => listEntries(list, child(spec, list))),
    },
  ];
}

function listEntries(list: string, node: TreeNode | null): readonly OutlineEntry[] {
  return (node?.kind === "list" ? node.items : []).slice(0, MAX_CHILDREN).map((item, index) => ({
    kind: list,
    name: childText(item, "name") || `${list}[${index}]`,
    detail: childText(item, "action") || childText(item, "expect"),
    from: item.from,
    to: item.to,
    children: [],
  }));
}
