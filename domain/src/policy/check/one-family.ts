/** Rules that name addresses of one family for peers and subjects that have both. */
import { formatCidr } from "../address.ts";
import { ruleLabel } from "../decision.ts";
import type { Cidr, Direction, Endpoint, Peer, Policy, PolicyRule } from "../model.ts";
import { ALL_PORTS, type Box, boxesOverlap } from "./boxes.ts";
import type { CheckContext } from "./context.ts";
import { decideBoxes } from "./decide-boxes.ts";
import { EMPTY, intersect, overlaps, type RangeSet, union } from "./range-set.ts";
import type { AskedRule, SubjectGroup } from "./subject-groups.ts";
import { repeatItemFix } from "./text-fix.ts";
import { namesOf } from "./words.ts";

type Family = 4 | 6;
type AddressPeer = Peer & { readonly kind: "addresses" };

/** Hosts and workloads with addresses of both families, and those addresses. */
interface DualEndpoints {
  readonly endpoints: readonly Endpoint[];
  readonly atoms: RangeSet;
}

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];
const WHOLE_FAMILY = { 4: "0.0.0.0/0", 6: "::/0" } as const;

/** Reports the first such peer of a rule, where the other family gets the opposite verdict throughout. */
export function checkOneFamily(context: CheckContext): void {
  const dual = context.index.inventory.endpoints.filter((endpoint) => hasBoth(context, endpoint));
  if (dual.length === 0) return;
  const isDual = new Set(dual);
  const atoms = union(...dual.map((endpoint) => context.space.endpointAddresses(endpoint)));
  const told = new Set<PolicyRule>();
  const { families } = context.memory ?? {};
  for (const group of context.groups) {
    if (!group.endpoints.some((endpoint) => isDual.has(endpoint))) continue;
    const mayKeep = told.size === 0;
    const known = mayKeep ? families?.find(group) : undefined;
    const isKnown = known !== undefined && !context.stop && context.budget.spendAgain(known);
    const steps = isKnown
      ? known
      : context.stepsOfNothing(() => checkGroup(context, group, { endpoints: dual, atoms }, told));
    if (mayKeep && steps !== null) families?.keep(group, steps);
  }
}

function checkGroup(context: CheckContext, group: SubjectGroup, dual: DualEndpoints, told: Set<PolicyRule>): void {
  for (const direction of DIRECTIONS) {
    for (const asked of group.asked(direction)) {
      if (context.stop) return;
      if (told.has(asked.rule) || asked.policy.mode === "observe" || asked.rule.action === "pass") continue;
      if (checkRule(context, group, asked, dual)) told.add(asked.rule);
    }
  }
}

function hasBoth(context: CheckContext, endpoint: Endpoint): boolean {
  const addresses = context.index.addressesOf(endpoint);
  return addresses.some((text) => text.includes(":")) && addresses.some((text) => !text.includes(":"));
}

function checkRule(
  context: CheckContext,
  group: SubjectGroup,
  { policy, rule, boxes }: AskedRule,
  dual: DualEndpoints,
): boolean {
  const peers = (rule.peers ?? []).filter((peer) => peer.kind === "addresses");
  const [first] = peers;
  if (!first || boxes.length === 0) return false;
  const family = first.cidr.family;
  const others = family === 4 ? context.space.atoms.all6 : context.space.atoms.all4;
  if (boxes.some(({ addresses }) => overlaps(addresses, others))) return false;
  const isWhole = peers.some(({ cidr }) => cidr.prefixLength === 0);
  const isByNumber = rule.ports?.every(({ kind }) => kind === "range") ?? true;
  if (!isWhole && isByNumber && !boxes.some(({ addresses }) => overlaps(addresses, dual.atoms))) return false;
  const ports = rule.ports === null ? ALL_PORTS : boxes.reduce<RangeSet>((all, box) => union(all, box.ports), EMPTY);
  for (const peer of peers) {
    const met = peer.cidr.prefixLength === 0 ? [] : endpointsIn(context, peer, dual);
    const addresses =
      peer.cidr.prefixLength === 0 ? others : context.space.atoms.ofAddresses(ofOther(context, met, family));
    if (addresses.length === 0 || isTreatedAlike(context, group, rule, { addresses, ports })) continue;
    report(context, policy, rule, peer, met);
    return true;
  }
  return false;
}

/** Whether any packet of the box gets what the rule gives; true as well when that is too much work to say. */
function isTreatedAlike(context: CheckContext, group: SubjectGroup, rule: PolicyRule, box: Box): boolean {
  const asked = group.asked(rule.direction);
  if (!context.budget.spend(asked.length)) return true;
  const isAnother = (other: AskedRule): boolean => other.rule !== rule && other.rule.action === rule.action;
  // Cheap and usual: an allow beside it says that the other family was thought of.
  if (asked.some((other) => isAnother(other) && boxesOverlap(other.boxes, [box]))) return true;
  const parts = decideBoxes(group, rule.direction, [box], ({ mode }) => mode === "enforce");
  return parts === null || parts.length === 0 || parts.some(({ verdict }) => verdict === rule.action);
}

/** The endpoints with both families that the peer reaches. */
function endpointsIn(context: CheckContext, peer: AddressPeer, dual: DualEndpoints): readonly Endpoint[] {
  const met = intersect(context.space.peerAddresses(peer, null), dual.atoms);
  if (met.length === 0 || !context.budget.spend(dual.endpoints.length)) return [];
  return dual.endpoints.filter((endpoint) => overlaps(context.space.endpointAddresses(endpoint), met));
}

function ofOther(context: CheckContext, endpoints: readonly Endpoint[], family: Family): readonly string[] {
  return endpoints
    .flatMap((endpoint) => context.index.addressesOf(endpoint))
    .filter((text) => text.includes(":") === (family === 4));
}

function report(
  context: CheckContext,
  policy: Policy,
  rule: PolicyRule,
  peer: AddressPeer,
  met: readonly Endpoint[],
): void {
  const family: Family = peer.cidr.family;
  const [named, missing] = family === 4 ? ["IPv4", "IPv6"] : ["IPv6", "IPv4"];
  const done = rule.action === "allow" ? "allows" : "denies";
  const opposite = rule.action === "allow" ? "denied" : "allowed";
  const who =
    met.length === 0
      ? "the same connections"
      : `connections with ${namesOf(met)}, which ${met.length === 1 ? "has" : "have"} both,`;
  const message = `${ruleLabel(rule)} of ${policy.key} ${done} ${named} only: ${who} over ${missing} are ${opposite}. Name the ${missing} addresses too, or select by label.`;
  context.sink.report("WL349", peer.source, message, wholeFamilyFix(context, peer, peer.cidr));
}

function wholeFamilyFix(context: CheckContext, peer: AddressPeer, cidr: Cidr) {
  if (cidr.prefixLength !== 0 || peer.except.length > 0) return null;
  const other = WHOLE_FAMILY[cidr.family === 4 ? 6 : 4];
  return repeatItemFix(context.texts, `Add ${other}`, peer.source, formatCidr(cidr), other);
}
