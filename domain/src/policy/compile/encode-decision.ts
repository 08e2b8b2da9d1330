/** What a program's digest says of a decision: its id's meaning and what people are told, not where it stands. */
import type { ByteWriter } from "../byte-writer.ts";
import { type DecisionContent, peerMeaning, portMeaning } from "../decision.ts";
import { type Peer, type PolicyRule, type PortMatch, TIER_ORDER } from "../model.ts";
import type { DecisionTable, PolicyHead } from "./decision-table.ts";

/** What follows. */
const TAG = { content: 0, rule: 1, none: 2, prefixes4: 3, ranges: 4, texts: 5, name: 6, position: 7 } as const;
const ACTIONS = ["allow", "deny", "pass"] as const;

export function encodeDecision(decisions: DecisionTable, number: number, to: ByteWriter): void {
  const origin = decisions.originOf(number);
  if (origin === null) encodeContent(decisions.content(number), to);
  else encodeRule(origin.policy, origin.rule, to);
}

function encodeContent(
  { id, verdict, observeOnly, reason, tier, policyKeys, rule }: DecisionContent,
  to: ByteWriter,
): void {
  to.byte(TAG.content);
  to.text(id);
  to.text(JSON.stringify([verdict, observeOnly, reason, tier, rule]));
  to.word(policyKeys.length);
  for (const key of policyKeys) to.text(key);
}

/** Everything that the id of a rule's decision is a digest of: that takes longer than to write it down. */
function encodeRule(policy: PolicyHead, rule: PolicyRule, to: ByteWriter): void {
  to.byte(TAG.rule);
  to.byte(TIER_ORDER.indexOf(policy.tier));
  to.byte(rule.direction === "ingress" ? 0 : 1);
  to.byte(ACTIONS.indexOf(rule.action));
  to.text(policy.key);
  if (rule.name === null) {
    to.byte(TAG.position);
    to.word(rule.index);
  } else {
    to.byte(TAG.name);
    to.text(rule.name);
  }
  encodePeers(rule.peers, to);
  encodePorts(rule.ports, to);
}

type Addresses = Extract<Peer, { kind: "addresses" }>;
type Range = Extract<PortMatch, { kind: "range" }>;

/** In an order of their own: in which one they are written does not count. */
function encodePeers(peers: readonly Peer[] | null, to: ByteWriter): void {
  const [first] = peers ?? [];
  if (peers === null) {
    to.byte(TAG.none);
  } else if (first !== undefined && peers.length === 1 && isPrefix4(first)) {
    // The common case, without lists.
    to.byte(TAG.prefixes4);
    to.word(1);
    writePrefix(prefixNumber(first), to);
  } else if (peers.every(isPrefix4)) {
    to.byte(TAG.prefixes4);
    to.word(peers.length);
    for (const number of sorted(peers.map(prefixNumber))) writePrefix(number, to);
  } else encodeTexts(peers.map(peerMeaning), to);
}

function writePrefix(number: number, to: ByteWriter): void {
  to.word(Math.floor(number / 64));
  to.byte(number % 64);
}

function isPrefix4(peer: Peer): peer is Addresses {
  return peer.kind === "addresses" && peer.except.length === 0 && peer.cidr.family === 4;
}

function prefixNumber({ cidr: { bytes, prefixLength } }: Addresses): number {
  const address = ((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  return (address >>> 0) * 64 + prefixLength;
}

function encodePorts(ports: readonly PortMatch[] | null, to: ByteWriter): void {
  const [first] = ports ?? [];
  if (ports === null) {
    to.byte(TAG.none);
  } else if (first !== undefined && ports.length === 1 && isRange(first)) {
    to.byte(TAG.ranges);
    to.word(1);
    writeRange(rangeNumber(first), to);
  } else if (ports.every(isRange)) {
    to.byte(TAG.ranges);
    to.word(ports.length);
    for (const number of sorted(ports.map(rangeNumber))) writeRange(number, to);
  } else encodeTexts(ports.map(portMeaning), to);
}

function writeRange(number: number, to: ByteWriter): void {
  to.word(Math.floor(number / 2 ** 32));
  to.word(number % 2 ** 32);
}

function isRange(port: PortMatch): port is Range {
  return port.kind === "range";
}

function rangeNumber({ protocol, low, high }: Range): number {
  return protocol * 2 ** 32 + low * 2 ** 16 + high;
}

function sorted(numbers: number[]): readonly number[] {
  return numbers.length > 1 ? numbers.sort((left, right) => left - right) : numbers;
}

function encodeTexts(texts: readonly string[], to: ByteWriter): void {
  to.byte(TAG.texts);
  to.word(texts.length);
  for (const text of texts.toSorted()) to.text(text);
}
