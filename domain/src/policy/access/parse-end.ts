/** From what a person types to an end of a question. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import { yggdrasilAddress } from "../../mesh/yggdrasil-address.ts";
import { cidrOfAddress, parseAddress, parseCidr } from "../address.ts";
import { ENTITIES, type Endpoint, type Inventory, type LabelRequirement, type NamespaceMatch } from "../model.ts";
import type { AccessEnd } from "./member-groups.ts";

const MAX_TEXT_LENGTH = 2_000;
const LABEL_KEY = "[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?";
const LABEL_VALUE = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";

/** What {@link parseAccessEnd} reads, for help and errors. */
export const ACCESS_END_HELP =
  "labels (app=web,tier!=db,zone in (a,b),!legacy), labels@namespace or @namespace, a name, namespace/name or key, " +
  "an address or prefix, the key of a mesh node, world, cluster, mesh or any";

/**
 * Reads a group: `any`; an entity; a label selector as kubectl writes it, with `@namespace` behind it for one namespace;
 * an address or a prefix; the public key of a mesh node, for its address; the key, `namespace/name` or name of an endpoint.
 *
 * Throws `INVALID_ARGUMENT` for text that is none of these and for a name that several endpoints have, `NOT_FOUND` for
 * one that nobody has.
 */
export function parseAccessEnd(inventory: Inventory, typed: string): AccessEnd {
  const text = typed.trim();
  if (text.length > MAX_TEXT_LENGTH)
    throw invalid(`A group of more than ${MAX_TEXT_LENGTH} characters cannot be meant.`);
  if (text === "any") return { kind: "any" };
  const entity = ENTITIES.find((name) => name === text);
  if (entity === "host") throw invalid('"host" stands for something else at each end; name the host.');
  if (entity) return { kind: "entity", entity };
  const addresses = parseAddresses(yggdrasilAddress(text) ?? text);
  if (addresses) return addresses;
  if (/[=!@(]|\s/.test(text)) return parseSelector(text);
  return { kind: "keys", keys: [endpointNamed(inventory, text).key] };
}

function parseAddresses(text: string): AccessEnd | null {
  if (!/^[\da-fA-F.:]+(\/\d+)?$/.test(text) || !/[.:]/.test(text)) return null;
  const address = parseAddress(text);
  if (address.ok) return { kind: "addresses", cidr: cidrOfAddress(address), except: [] };
  const prefix = parseCidr(text);
  if (prefix.ok) return { kind: "addresses", cidr: prefix.cidr, except: [] };
  if (text.includes("/") || text.includes(":")) throw invalid(`"${text}" ${prefix.message}.`);
  return null;
}

function parseSelector(text: string): AccessEnd {
  const at = text.lastIndexOf("@");
  const namespace = at < 0 ? null : text.slice(at + 1).trim();
  const labels = at < 0 ? text : text.slice(0, at).trim();
  if (namespace !== null && !new RegExp(`^${LABEL_VALUE}$`).test(namespace)) {
    throw invalid(`"${namespace}" is not the name of a namespace.`);
  }
  const namespaces: NamespaceMatch = namespace === null ? { kind: "any" } : { kind: "name", name: namespace };
  const requirements = labels === "" ? [] : splitOutside(labels).map(parseRequirement);
  return { kind: "endpoints", selector: { namespaces, endpoints: { requirements } } };
}

/** At commas that are not in parentheses. */
function splitOutside(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === "(") depth += 1;
    else if (text[index] === ")") depth -= 1;
    else if (text[index] === "," && depth === 0) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  return [...parts, text.slice(start)].map((part) => part.trim());
}

const EQUALS = new RegExp(`^(${LABEL_KEY})\\s*(==?|!=)\\s*(${LABEL_VALUE})$`);
const AMONG = new RegExp(`^(${LABEL_KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const EXISTS = new RegExp(`^(!?)\\s*(${LABEL_KEY})$`);

function parseRequirement(text: string): LabelRequirement {
  const equals = EQUALS.exec(text);
  if (equals) {
    const [, key = "", operator, value = ""] = equals;
    return { key, operator: operator === "!=" ? "NotIn" : "In", values: [value] };
  }
  const among = AMONG.exec(text);
  if (among) {
    const [, key = "", word, list = ""] = among;
    const values = list.split(",").map((value) => value.trim());
    if (values.every((value) => new RegExp(`^${LABEL_VALUE}$`).test(value))) {
      return { key, operator: word === "in" ? "In" : "NotIn", values };
    }
  }
  const exists = EXISTS.exec(text);
  if (exists) return { key: exists[2] ?? "", operator: exists[1] === "!" ? "DoesNotExist" : "Exists", values: [] };
  throw invalid(`"${text}" is not a label requirement.`);
}

function endpointNamed(inventory: Inventory, text: string): Endpoint {
  const byKey = inventory.endpoints.find(({ key }) => key === text);
  if (byKey) return byKey;
  const found = inventory.endpoints.filter(({ namespace, name }) => name === text || `${namespace}/${name}` === text);
  const [only] = found;
  if (only && found.length === 1) return only;
  if (found.length > 1) {
    const keys = found.slice(0, 5).map(({ key }) => key);
    const more = found.length > keys.length ? ` and ${found.length - keys.length} more` : "";
    throw invalid(`"${text}" can be ${keys.join(", ")}${more}.`, "Give one of these keys.");
  }
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `No host or workload is called "${text}".`,
    hint: `Give ${ACCESS_END_HELP}.`,
  });
}

function invalid(message: string, hint = `Give ${ACCESS_END_HELP}.`): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
