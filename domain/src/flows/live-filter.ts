/** A flow query as the filter of the live view, where that says exactly the same. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type FlowFilter, FlowFilterSchema } from "@wardline/api/wardline/console/v1/flows";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { formatNode } from "./language/format.ts";
import type { FlowQuery, QueryField, QueryNode } from "./query.ts";

export type LiveFilter =
  | { readonly ok: true; readonly filter: FlowFilter }
  /** Part of the query, in its canonical form, and why it cannot be followed live. */
  | { readonly ok: false; readonly part: string; readonly reason: string };

type Condition = QueryNode & { readonly kind: "field" };

class Unsayable extends Error {
  readonly node: QueryNode;

  constructor(node: QueryNode, reason: string) {
    super(reason);
    this.node = node;
  }
}

/** @param hostIdsOf ids of the hosts that a `host:` value means; the filter names hosts by id */
export function flowFilterOf(query: FlowQuery, hostIdsOf: (value: string) => readonly string[]): LiveFilter {
  const filter = create(FlowFilterSchema);
  if (query.sinceMs !== null) filter.since = timestampFromMs(query.sinceMs);
  if (query.untilMs !== null) filter.until = timestampFromMs(query.untilMs);
  const { where } = query;
  const parts = where.kind === "and" ? where.parts : where.kind === "all" ? [] : [where];
  try {
    const seen = new Set<string>();
    for (const part of parts) addPart(filter, part, seen, hostIdsOf);
    return { ok: true, filter };
  } catch (error) {
    if (error instanceof Unsayable) return { ok: false, part: formatNode(error.node), reason: error.message };
    throw error;
  }
}

/** Conditions of one kind are alternatives there, so each kind can come once; what is excluded adds up. */
function addPart(
  filter: FlowFilter,
  part: QueryNode,
  seen: Set<string>,
  hostIdsOf: (value: string) => readonly string[],
): void {
  if (part.kind === "measure") throw new Unsayable(part, "a measure is known of records, not of single flows");
  if (part.kind === "and" || part.kind === "or") throw new Unsayable(part, "alternatives of different kinds");
  if (part.kind === "not") {
    if (part.part.kind !== "field") throw new Unsayable(part, "a group cannot be excluded");
    exclude(filter, part, part.part);
    return;
  }
  if (part.kind !== "field") return;
  if (seen.has(part.field)) throw new Unsayable(part, `a second condition on ${part.field}`);
  seen.add(part.field);
  include(filter, part, hostIdsOf);
}

function include(filter: FlowFilter, node: Condition, hostIdsOf: (value: string) => readonly string[]): void {
  const { field, values } = node;
  switch (field) {
    case "host":
      filter.hostIds = values.flatMap(hostIdsOf);
      // An empty list would be every host.
      if (filter.hostIds.length === 0) throw new Unsayable(node, "no host of this console is called so");
      return;
    case "verdict":
      filter.verdicts = values.map((value) => (value === "deny" ? Verdict.DENY : Verdict.ALLOW));
      return;
    case "direction":
      filter.directions = values.map((value) => (value === "ingress" ? Direction.INGRESS : Direction.EGRESS));
      return;
    case "protocol":
      filter.protocols = values.map(Number);
      return;
    case "port":
      filter.ports = ports(node);
      return;
    case "address":
      filter.addresses = [...values];
      return;
    case "policy":
      filter.policyKeys = policyKeys(node);
      return;
    case "process":
      filter.processes = literal(node);
      return;
    case "user":
      filter.users = literal(node);
      return;
    case "text": {
      const [text = "", second] = literal(node);
      if (second !== undefined) throw new Unsayable(node, "one text at a time");
      filter.text = text;
      return;
    }
    default:
      throw new Unsayable(node, NOT_LIVE);
  }
}

function exclude(filter: FlowFilter, whole: QueryNode, node: Condition): void {
  const { field, values } = node;
  const other: Partial<Record<QueryField, () => void>> = {
    port: () => void filter.excludePorts.push(...ports(node)),
    address: () => void filter.excludeAddresses.push(...values),
    policy: () => void filter.excludePolicyKeys.push(...policyKeys(node)),
    process: () => void filter.excludeProcesses.push(...literal(node)),
    user: () => void filter.excludeUsers.push(...literal(node)),
    verdict: () => {
      if (filter.verdicts.length > 0 || values.length !== 1)
        throw new Unsayable(whole, "a second condition on verdict");
      filter.verdicts = [values[0] === "deny" ? Verdict.ALLOW : Verdict.DENY];
    },
  };
  const add = other[field];
  if (!add) throw new Unsayable(whole, `${field} cannot be excluded there`);
  add();
}

const NOT_LIVE = "the live view has no such filter";

function ports(node: Condition): number[] {
  if (node.values.some((value) => value.includes("-"))) throw new Unsayable(node, "ranges of ports");
  return node.values.map(Number);
}

function literal(node: Condition): string[] {
  if (node.values.some((value) => value.includes("*"))) throw new Unsayable(node, "* stands for itself there");
  return [...node.values];
}

/** There a key is compared whole: `NetworkPolicy/default/web` says the same here and there, `default/web` does not. */
function policyKeys(node: Condition): string[] {
  if (node.values.some((value) => !/^[A-Z][A-Za-z]*\//.test(value)))
    throw new Unsayable(node, "policies need their whole key there");
  return literal(node);
}
