/** One line about a rule, a peer or a port, for what is folded. */
import { isList, isMapping, type YamlValue } from "@wardline/domain/policy/edit";
import { textOf } from "./words.ts";

type Mapping = { readonly [key: string]: YamlValue };

function mapping(value: YamlValue | undefined): Mapping {
  return value !== undefined && isMapping(value) ? value : {};
}

function list(value: YamlValue | undefined): readonly YamlValue[] {
  return value !== undefined && isList(value) ? value : value === undefined || value === null ? [] : [value];
}

export function ruleSummary(value: YamlValue): string {
  const rule = mapping(value);
  if ("expect" in rule || ("from" in rule && "to" in rule)) {
    return `${peerSummary(rule.from)} → ${peerSummary(rule.to)}: ${portsSummary(rule)} must be ${textOf(rule.expect) || "?"}`;
  }
  const [word, peers] = "to" in rule ? ["to", list(rule.to)] : ["from", list(rule.from)];
  const who = peers.length === 0 ? "anybody" : several(peers.map(peerSummary));
  return `${word} ${who} · ${portsSummary(rule)}`;
}

function several(parts: readonly string[]): string {
  const shown = parts.slice(0, 2).join(", ");
  return parts.length > 2 ? `${shown} and ${parts.length - 2} more` : shown;
}

export function peerSummary(value: YamlValue | undefined): string {
  if (value === "any") return "anybody";
  const peer = mapping(value);
  const parts = Object.entries(peer).map(([name, inner]) => {
    const object = mapping(inner);
    if (name === "ipBlock") return textOf(object.cidr) || "no prefix yet";
    if (name === "service") return `service ${textOf(object.name)}`;
    if (name === "meshNode") return `mesh node ${textOf(object.key).slice(0, 8)}`;
    if (name === "pods") {
      const space = mapping(object.namespaceSelector);
      const within = Object.keys(space).length === 0 ? "" : ` in namespaces ${selectorSummary(space)}`;
      return `${selectorSummary(object.podSelector)}${within}`;
    }
    if (name === "hosts") return `hosts ${selectorSummary(inner)}`;
    if (/namespace/i.test(name)) return `namespaces ${selectorSummary(inner)}`;
    if ("matchLabels" in object || "matchExpressions" in object || Object.keys(object).length === 0) {
      return isMapping(inner) ? selectorSummary(inner) : textOf(inner) || several(list(inner).map(textOf));
    }
    return name;
  });
  return parts.length === 0 ? "nobody yet" : parts.join(" in ");
}

export function selectorSummary(value: YamlValue | undefined): string {
  const selector = mapping(value);
  const labels = Object.entries(mapping(selector.matchLabels)).map(([key, item]) => `${key}=${textOf(item)}`);
  const conditions = list(selector.matchExpressions).map((item) => {
    const { key, operator, values } = mapping(item);
    return `${textOf(key)} ${textOf(operator)} ${list(values).map(textOf).join("|")}`.trim();
  });
  const all = [...labels, ...conditions];
  return all.length === 0 ? "all" : several(all);
}

function portsSummary(rule: Mapping): string {
  const ports = list(rule.ports ?? rule.protocols);
  if (ports.length === 0) return "every port";
  return several(
    ports.map((port) => {
      const admin = adminPortSummary(mapping(port));
      if (admin !== null) return admin;
      const { protocol, port: number, endPort, type } = mapping(port);
      const low = textOf(number) || (type === undefined ? "" : `type ${textOf(type)}`);
      return `${textOf(protocol) || "TCP"} ${low}${endPort === undefined ? "" : `–${textOf(endPort)}`}`.trim();
    }),
  );
}

/** Ports as the policies of administrators have them; `null` = it is no such port. */
function adminPortSummary(port: Mapping): string | null {
  const name = textOf(port.namedPort ?? port.destinationNamedPort);
  if (name !== "") return `port ${name}`;
  const transport = Object.keys(port).find((key) => ["tcp", "udp", "sctp"].includes(key));
  const isAdmin = "portNumber" in port || "portRange" in port;
  if (transport === undefined && !isAdmin) return null;
  const target = mapping(mapping(transport === undefined ? undefined : port[transport]).destinationPort);
  const range = mapping(port.portRange ?? target.range);
  const number = textOf(mapping(port.portNumber).port ?? target.number);
  const protocol = transport?.toUpperCase() ?? (textOf(mapping(port.portNumber ?? port.portRange).protocol) || "TCP");
  const text = "start" in range || "end" in range ? `${textOf(range.start)}–${textOf(range.end)}` : number;
  return `${protocol} ${text}`.trim();
}
