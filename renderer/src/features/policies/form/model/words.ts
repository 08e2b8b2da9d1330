/** How the form calls the fields of the formats, and what it begins with when something is added. */

import { isList, isMapping, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, ObjectShape, Shape } from "@wardline/domain/policy/formats/schema";

const LABELS: Readonly<Record<string, string>> = {
  podSelector: "Labels",
  selector: "Labels",
  namespaceSelector: "Namespaces",
  hosts: "Hosts only",
  ipBlock: "Addresses",
  cidr: "Prefix",
  entity: "Well-known group",
  meshNode: "Mesh node",
  domainNames: "Domain names",
  policyTypes: "Isolates",
  isolate: "Isolates",
  ingress: "Incoming",
  egress: "Outgoing",
  from: "From",
  to: "To",
  except: "Except",
  endPort: "Last port",
  matchLabels: "Labels",
  matchExpressions: "Conditions",
  systemdUnit: "systemd unit",
  cgroupPath: "cgroup path",
  meshKey: "Mesh key",
  via: "Decided by",
  subject: "About whom",
};

/** `Named port` for `namedPort`. */
export function labelOf(name: string): string {
  const words = LABELS[name] ?? name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What one item of a list is called on buttons. */
const ITEMS: Readonly<Record<string, string>> = {
  ingress: "rule",
  egress: "rule",
  from: "peer",
  to: "peer",
  ports: "port",
  tests: "case",
  except: "prefix",
  addresses: "address",
  domainNames: "name",
  matchExpressions: "condition",
  values: "value",
};

export function itemWord(name: string): string {
  return ITEMS[name] ?? "entry";
}

export function isSelector(shape: Shape): boolean {
  return shape.type === "object" && "matchLabels" in shape.fields && "matchExpressions" in shape.fields;
}

export function groupsOf(shape: ObjectShape): readonly (readonly string[])[] {
  return shape.exactlyOneOf.length > 0 ? shape.exactlyOneOf.map((name) => [name]) : shape.alternatives;
}

const OPENING_FIELDS = ["from", "to", "ports", "protocols", "destinationPort"];

/**
 * What a new entry begins with. It never opens anything by itself: what must be filled in is there and empty, so that the
 * check asks for it.
 */
export function starterValue(shape: Shape): YamlValue {
  switch (shape.type) {
    case "text":
    case "integer":
      return "";
    case "choice":
      return shape.words.includes("world") ? "" : (shape.words[0] ?? "");
    case "list":
      return [starterValue(shape.items)];
    case "map":
    case "anything":
      return {};
    case "either": {
      const object = shape.options.find((option) => option.type === "object");
      return object ? starterValue(object) : "";
    }
    case "object":
      return isSelector(shape) ? { matchLabels: { app: "" } } : starterObject(shape);
  }
}

function starterObject(shape: ObjectShape): YamlValue {
  const fields: Readonly<Record<string, Field>> = shape.fields;
  const group = groupsOf(shape)[0]?.[0];
  const isPort = "port" in fields && "protocol" in fields;
  const names = Object.keys(fields).filter(
    (name) =>
      name === group ||
      fields[name]?.required ||
      (OPENING_FIELDS.includes(name) && !("expect" in fields)) ||
      (isPort && (name === "port" || name === "protocol")),
  );
  const begin = (name: string): YamlValue =>
    isPort && name === "protocol" ? "TCP" : starterValue(fields[name]!.shape);
  return Object.fromEntries(names.map((name) => [name, begin(name)]));
}

/** What a person typed into a field that takes this, as a value. */
export function parseTyped(shape: Shape, text: string): YamlValue {
  const takesNumber =
    shape.type === "integer" || (shape.type === "either" && shape.options.some((option) => option.type === "integer"));
  return takesNumber && /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : text;
}

export function textOf(value: YamlValue | undefined): string {
  return value === undefined || value === null ? "" : isList(value) || isMapping(value) ? "" : String(value);
}

/** Whether one line takes it. */
export function isScalarShape(shape: Shape): boolean {
  if (shape.type === "either") return shape.options.every(isScalarShape);
  return shape.type === "text" || shape.type === "integer" || shape.type === "choice";
}
