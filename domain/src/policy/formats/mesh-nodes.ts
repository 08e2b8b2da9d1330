/** Nodes of the overlay by their key, in peers and in hosts. */
import { canonicalMeshKey, yggdrasilAddress, yggdrasilSubnetCidr } from "../../mesh/yggdrasil-address.ts";
import { cidrOfAddress, parseAddress } from "../address.ts";
import type { Cidr, Peer } from "../model.ts";
import type { ScalarNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { type Located, ObjectReader, quoteLike, readChoice, readText } from "./object-reader.ts";
import { MESH_NODE, MESH_NODE_PARTS } from "./schema/wardline-common.ts";

const KEY_DIGITS = 64;
const PRIVATE_KEY_DIGITS = 128;
/** What people paste between or before the digits of a key. */
const DECORATION = /^0x|[\s:_-]/gi;

/** The key in lower case, or `null` (reported). The message never repeats the text: it may be a private key. */
export function readMeshKey(report: Reporter, value: Located): string | null {
  const { node } = value;
  // A key can look like a number: its text is what counts.
  const isNumber = node.kind === "scalar" && typeof node.value === "number";
  const text = isNumber ? node.source : readText(report, value);
  if (text === null) return null;
  const key = canonicalMeshKey(text);
  if (key === null) reportMalformed(report, value, node as ScalarNode, text);
  return key;
}

function reportMalformed(report: Reporter, value: Located, node: ScalarNode, text: string): void {
  const start = `${value.path} is not the public key of a node`;
  const digits = text.replaceAll(DECORATION, "");
  const isHexadecimal = /^[0-9A-Fa-f]+$/.test(digits);
  if (isHexadecimal && digits.length === KEY_DIGITS) {
    const message = `${start}: write its ${KEY_DIGITS} hexadecimal digits without anything between them.`;
    report.reportFixable("WL233", node, message, "Write only the digits", quoteLike(node, digits.toLowerCase()));
  } else if (isHexadecimal && digits.length === PRIVATE_KEY_DIGITS) {
    const publicKey = digits.slice(-KEY_DIGITS).toLowerCase();
    const message = `${start}: with ${PRIVATE_KEY_DIGITS} digits it is a private key, which belongs in no policy. Its last ${KEY_DIGITS} digits are the public key. Whoever has seen this file can pose as the node.`;
    report.reportFixable("WL233", node, message, "Keep only the public key", quoteLike(node, publicKey));
  } else if (parseAddress(text.replace(/\/.*/, "")).ok) {
    report.report("WL233", node, `${start}: it is an address. Write the key, or an ipBlock for the address.`);
  } else {
    const what = isHexadecimal ? `it has ${digits.length} hexadecimal digits` : `it is not hexadecimal`;
    report.report("WL233", node, `${start}: ${what}, and a key has ${KEY_DIGITS}.`);
  }
}

/** The addresses that a key stands for, as a peer; `null` when it cannot be read (reported). */
export function readMeshNode(report: Reporter, value: Located): Extract<Peer, { readonly kind: "addresses" }> | null {
  const fields = ObjectReader.open(report, value, MESH_NODE.known);
  if (!fields) return null;
  const keyField = fields.require("key");
  const partField = fields.get("part");
  const key = keyField && readMeshKey(report, keyField);
  const part = partField ? readChoice(report, partField, MESH_NODE_PARTS) : "address";
  if (!keyField || !key || part === null) return null;
  const cidr = part === "subnet" ? yggdrasilSubnetCidr(key) : meshNodeCidr(key);
  return cidr && { kind: "addresses", cidr, except: [], source: report.range(keyField.node) };
}

/** The prefix of exactly the node's own address; `null` when the text is not a key. */
function meshNodeCidr(key: string): Cidr | null {
  const parsed = parseAddress(yggdrasilAddress(key) ?? "");
  return parsed.ok ? cidrOfAddress(parsed) : null;
}
