/** A text for the history of flows that means what one edge of a picture is about. */
import { MAX_QUERY_LENGTH } from "@wardline/domain/flows";
import { canonicalAddress, effectiveAddresses, type Inventory, MESH_PREFIX } from "@wardline/domain/policy";
import type { PictureNode } from "@wardline/domain/policy/picture";

const MAX_ADDRESSES = 40;

/** As exact as the language allows; a group of many addresses is named by one of its labels. */
export function flowQueryOf(inventory: Inventory, source: PictureNode, destination: PictureNode): string {
  const text = [endText(inventory, source, "src"), endText(inventory, destination, "dst")].filter(Boolean).join(" ");
  return text.length < MAX_QUERY_LENGTH ? text : "";
}

function endText(inventory: Inventory, { kind, members, networks, labels }: PictureNode, field: "src" | "dst"): string {
  if (kind === "world") return "";
  if (kind === "mesh") return `${field}:${MESH_PREFIX}`;
  if (kind === "network") return networks.length > MAX_ADDRESSES ? "" : `${field}:${networks.join(",")}`;
  const addresses = new Set(
    members.flatMap((member) => effectiveAddresses(inventory, member).flatMap((text) => canonicalAddress(text) ?? [])),
  );
  if (addresses.size > 0 && addresses.size <= MAX_ADDRESSES) return `${field}:${[...addresses].join(",")}`;
  const [label] = labels;
  return label ? `label:${JSON.stringify(label.join("="))}` : "";
}
