/** Values that fit a place: words of the schema, and what the fleet really has. */
import { ruleLabel } from "../decision.ts";
import type { Suggestion } from "./items.ts";
import { protocolName, protocolNumber, usualService } from "./known-ports.ts";
import type { Place } from "./place.ts";
import { namespaceOf, poolOf, type Role } from "./role.ts";
import type { Meaning } from "./shapes.ts";
import { describeCount, type LabelPool, type Vocabulary } from "./vocabulary.ts";

const count = (value: number): string => value.toLocaleString("en");

/** @param role of the value; `null` for keys of labels and for what the fleet has no word for */
export function suggestValues(
  place: Place,
  meanings: readonly Meaning[],
  role: Role | null,
  vocabulary: Vocabulary,
): readonly Suggestion[] {
  const labelKeys = meanings.some(({ shape }) => shape.type === "map")
    ? labelKeyItems(vocabulary, poolOf(place.path), true)
    : [];
  return [...roleItems(place, role, vocabulary), ...wordItems(meanings, vocabulary), ...labelKeys];
}

function wordItems(meanings: readonly Meaning[], { facts }: Vocabulary): readonly Suggestion[] {
  return meanings.flatMap(({ shape, field }) => {
    if (shape.type !== "choice") return [];
    return shape.words.map((word): Suggestion => {
      const number = protocolNumber(word);
      const flows =
        number === null
          ? 0
          : facts.ports.filter(({ protocol }) => protocol === number).reduce((sum, use) => sum + use.flows, 0);
      const byDefault = field?.default === word ? "default" : "";
      return {
        label: word,
        kind: "word",
        detail: [byDefault, flows > 0 ? `${count(flows)} flows` : ""].filter((part) => part !== "").join(", "),
        info: field?.description ?? "",
      };
    });
  });
}

function roleItems(place: Place, role: Role | null, vocabulary: Vocabulary): readonly Suggestion[] {
  switch (role?.kind) {
    case "label-key":
      return labelKeyItems(vocabulary, role.pool, false);
    case "label-value":
      return labelValueItems(vocabulary, role.pool, role.key);
    case "namespace":
      return [...vocabulary.namespaces].map(([label, own]) => ({
        label,
        kind: "name",
        detail: describeCount(own),
        info: "A namespace.",
      }));
    case "host":
      return vocabulary.hosts.map(({ name, addresses }) => ({
        label: name,
        kind: "name",
        detail: addresses.slice(0, 2).join(", "),
        info: "A host of the inventory.",
      }));
    case "service":
      return vocabulary.services.flatMap((service): Suggestion[] => {
        const [namespace = "", name = ""] = service.split("/");
        return namespace === role.namespace
          ? [{ label: name, kind: "name", detail: "Service", info: `The service ${service}.` }]
          : [];
      });
    case "port":
      return portItems(vocabulary, role.protocol);
    case "cidr":
      return cidrItems(vocabulary);
    case "address":
      return vocabulary.facts.addresses
        .filter(({ name }) => name === "")
        .map(({ address, flows }) => ({
          label: address,
          kind: "address",
          detail: `${count(flows)} flows`,
          info: "Seen in recorded flows; nobody in the inventory has it.",
        }));
    case "policy":
      return vocabulary.policies.map((key) => ({
        label: key,
        kind: "name",
        detail: "policy",
        info: `The policy ${key}.`,
      }));
    case "rule":
      return ruleItems(vocabulary, role.policy, namespaceOf(place));
    case "mesh-key":
      return vocabulary.hosts.flatMap(({ name, meshKey }) =>
        meshKey === undefined
          ? []
          : [
              {
                label: meshKey,
                kind: "name" as const,
                detail: name,
                info: `The mesh node of ${name}.`,
                match: `${name} ${meshKey}`,
              },
            ],
      );
    case "expression":
      return expressionItems(vocabulary, role.pool);
    case "flag":
      return ["true", "false"].map((label) => ({ label, kind: "word", detail: "", info: "", isText: false }));
    default:
      return [];
  }
}

function labelKeyItems({ labels }: Vocabulary, pool: LabelPool, isKey: boolean): readonly Suggestion[] {
  return [...labels[pool]]
    .sort(([, left], [, right]) => total(right.count) - total(left.count))
    .map(([label, { count: own, values }]) => ({
      label,
      kind: "label",
      detail: describeCount(own),
      info: `${values.size === 1 ? "One value" : `${count(values.size)} values`}: ${[...values.keys()].slice(0, 8).join(", ")}${values.size > 8 ? ", …" : ""}`,
      isKey,
    }));
}

function labelValueItems({ labels }: Vocabulary, pool: LabelPool, key: string): readonly Suggestion[] {
  const values = [...(labels[pool].get(key)?.values ?? [])];
  return values
    .sort(([, left], [, right]) => total(right) - total(left))
    .map(([label, own]) => ({
      label,
      kind: "label",
      detail: describeCount(own),
      info: `${key}=${label}: ${describeCount(own)}.`,
    }));
}

const total = ({ hosts, workloads }: { hosts: number; workloads: number }): number => hosts + workloads;

function portItems({ facts, portNames }: Vocabulary, protocol: string): readonly Suggestion[] {
  const wanted = protocol === "" || protocol === "ANY" ? null : protocolNumber(protocol);
  const used = facts.ports.filter(
    (use) =>
      (wanted === null || use.protocol === wanted) &&
      (use.protocol === 6 || use.protocol === 17 || use.protocol === 132),
  );
  const seen = used.map((use): Suggestion => {
    const usual = usualService(use.protocol, use.port);
    const denied = use.denied > 0 ? `, ${count(use.denied)} denied` : "";
    return {
      label: String(use.port),
      kind: "port",
      detail: `${protocolName(use.protocol)}, ${count(use.flows)} flows${denied}`,
      info: `${usual === "" ? "" : `Usually ${usual}. `}Recorded ${count(use.flows)} times${denied}.`,
      match: `${use.port} ${usual}`,
      isText: false,
    };
  });
  const named = portNames
    .filter((port) => wanted === null || port.protocol === wanted)
    .map(
      ({ name, protocol: number, port, count: holders }): Suggestion => ({
        label: name,
        kind: "port",
        detail: `${port}/${protocolName(number)} on ${count(holders)}`,
        info: `The port that ${count(holders)} of the inventory call ${name}.`,
        match: `${name} ${port}`,
      }),
    );
  return [...seen, ...named];
}

const USUAL_BLOCKS: readonly (readonly [string, string])[] = [
  ["10.0.0.0/8", "private addresses"],
  ["172.16.0.0/12", "private addresses"],
  ["192.168.0.0/16", "private addresses"],
  ["fd00::/8", "private addresses of IPv6"],
  ["0.0.0.0/0", "every address of IPv4"],
  ["::/0", "every address of IPv6"],
];

function cidrItems({ hosts, workloads, facts }: Vocabulary): readonly Suggestion[] {
  const own = [...hosts, ...workloads].flatMap(({ name, addresses }) =>
    addresses.map((address): Suggestion => {
      const label = oneAddress(address);
      return { label, kind: "address", detail: name, info: `The address of ${name} alone.`, match: `${label} ${name}` };
    }),
  );
  const seen = facts.addresses
    .filter(({ name }) => name === "")
    .map(
      ({ address, flows }): Suggestion => ({
        label: oneAddress(address),
        kind: "address",
        detail: `${count(flows)} flows`,
        info: "Seen in recorded flows; nobody in the inventory has it.",
      }),
    );
  const usual = USUAL_BLOCKS.map(
    ([label, detail]): Suggestion => ({ label, kind: "address", detail, info: `All ${detail}.` }),
  );
  return [...own, ...seen, ...usual];
}

function oneAddress(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

function ruleItems({ world }: Vocabulary, policy: string, namespace: string): readonly Suggestion[] {
  const found = world.policies.find(
    ({ key, name, namespace: own }) =>
      key === policy || `${own}/${name}` === policy || (name === policy && own === namespace),
  );
  return (found?.rules ?? []).map((rule) => ({
    label: ruleLabel(rule),
    kind: "name",
    detail: `${rule.action}, ${rule.direction}`,
    info: `A rule of ${found?.key}, line ${rule.source.line}.`,
  }));
}

function expressionItems({ labels }: Vocabulary, pool: LabelPool): readonly Suggestion[] {
  const pairs = [...labels[pool]].flatMap(([key, { values }]) =>
    [...values].map(
      ([value, own]): Suggestion => ({
        label: `${key} == '${value}'`,
        kind: "label",
        detail: describeCount(own),
        info: "Those with this label.",
      }),
    ),
  );
  return [...pairs, { label: "all()", kind: "word", detail: "everybody", info: "Everybody." }];
}
