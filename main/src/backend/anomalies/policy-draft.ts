/**
 * A policy that denies what a finding is about, and nothing else: for whom it was seen, in the direction, with the remote ends
 * and ports of its evidence. A draft: a person reads it, and the check and the plan say what else it would touch.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { DetectorKind, type Finding, type SuggestedAction_PolicyDraft } from "@wardline/api/wardline/v1/anomaly";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { Direction } from "@wardline/api/wardline/v1/policy";
import {
  cidrOfAddress,
  type Endpoint,
  formatCidr,
  hostEndpoint,
  type Inventory,
  type Policy,
  parseAddress,
  parseCidr,
  readPolicyFiles,
  type SourceFile,
} from "@wardline/domain/policy";
import { type SubjectChoice, subjectOf } from "./draft-subject.ts";

export interface DraftWorld {
  readonly files: readonly SourceFile[];
  readonly inventory: Inventory;
  readonly policies: readonly Policy[];
}

export interface PolicyDraft {
  /** Of the file, with `.yaml`. */
  readonly name: string;
  readonly text: string;
}

/** With more different ports than these, all ports of the protocol are denied: it was the tries that mattered. */
const MAX_PORTS = 8;
/** As many as a finding has of evidence. */
const MAX_PEERS = 50;
const USUAL_PRIORITY = 100;
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP" };
const WITH_PORTS = new Set([6, 17, 132]);

interface Denied {
  readonly direction: Direction;
  /** Prefixes in canonical text. */
  readonly peers: readonly string[];
  /** By protocol; an empty list of ports = every port. */
  readonly ports: ReadonlyMap<number, readonly number[]>;
}

/** `null` when there is nothing that a policy could deny, or our own check refuses the draft. */
export function draftPolicy(finding: Finding, { files, inventory, policies }: DraftWorld): PolicyDraft | null {
  const denied = deniedBy(finding);
  if (denied.length === 0) return null;
  const subject = subjectOf(subjectEndpoint(finding, inventory), inventory);
  const name = nameOf(finding, policies);
  const text = documentOf(finding, name, subject, denied, freePriority(policies));
  const path = `${name}.yaml`;
  const reading = readPolicyFiles([...files, { path, text }]);
  const isRefused = reading.diagnostics.some(({ severity, source }) => severity === "error" && source.file === path);
  return isRefused ? null : { name: path, text };
}

function subjectEndpoint({ subjectKey, host }: Finding, inventory: Inventory): Endpoint {
  return inventory.endpoints.find(({ key }) => key === subjectKey) ?? hostEndpoint(inventory, host);
}

function deniedBy(finding: Finding): Denied[] {
  const own = [Direction.EGRESS, Direction.INGRESS].flatMap((direction) => {
    const records = finding.evidence.filter((record) => record.direction === direction);
    const peers = distinct(records.flatMap(remotePrefix)).slice(0, MAX_PEERS);
    return peers.length > 0 ? [{ direction, peers, ports: portsOf(records) }] : [];
  });
  if (own.length > 0) return own;
  return finding.actions.flatMap(({ action }) => (action.case === "deny" ? deniedByAction(action.value) : []));
}

function deniedByAction({ ingress, remoteCidr, protocol, port }: SuggestedAction_PolicyDraft): Denied[] {
  const prefix = prefixOf(remoteCidr);
  if (prefix === null) return [];
  const direction = ingress ? Direction.INGRESS : Direction.EGRESS;
  const ports = new Map(protocol === 0 ? [] : [[protocol, port > 0 && WITH_PORTS.has(protocol) ? [port] : []]]);
  return [{ direction, peers: [prefix], ports }];
}

function remotePrefix({ direction, sourceAddress, destinationAddress }: FlowRecord): string[] {
  const prefix = prefixOf(direction === Direction.INGRESS ? sourceAddress : destinationAddress);
  return prefix === null ? [] : [prefix];
}

function prefixOf(text: string): string | null {
  const address = parseAddress(text);
  if (address.ok) return formatCidr(cidrOfAddress(address));
  const cidr = parseCidr(text);
  return cidr.ok ? formatCidr(cidr.cidr) : null;
}

function portsOf(records: readonly FlowRecord[]): ReadonlyMap<number, readonly number[]> {
  const byProtocol = new Map<number, Set<number>>();
  for (const { protocol, destinationPort } of records) {
    if (protocol > 255) continue;
    const ports = byProtocol.get(protocol) ?? new Set();
    byProtocol.set(protocol, ports);
    if (WITH_PORTS.has(protocol) && destinationPort >= 1 && destinationPort <= 65_535) ports.add(destinationPort);
  }
  const entries = [...byProtocol].sort(([left], [right]) => left - right);
  return new Map(
    entries.map(([protocol, ports]) => {
      return [protocol, ports.size > MAX_PORTS ? [] : [...ports].sort((left, right) => left - right)];
    }),
  );
}

const WORDS: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(DetectorKind)
    .filter(([, value]) => typeof value === "number")
    .map(([word, value]) => [value, word.toLowerCase().replaceAll("_", "-")]),
);

/** A name that no other policy has: what was found, and the beginning of the finding's id. */
function nameOf(finding: Finding, policies: readonly Policy[]): string {
  const id = finding.id.toLowerCase().replace(/[^a-z0-9]/g, "");
  const base = `deny-${WORDS[finding.detector] ?? "finding"}-${id.slice(0, 12) || "x"}`;
  const taken = new Set(policies.map((policy) => policy.key.slice(policy.key.lastIndexOf("/") + 1)));
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** Before every other policy of its tier: two of one priority must not contradict each other. */
function freePriority(policies: readonly Policy[]): number {
  const used = policies.flatMap((policy) => (policy.tier === "admin" ? [policy.priority] : []));
  return Math.max(0, Math.min(USUAL_PRIORITY, ...used.map((priority) => priority - 1)));
}

function documentOf(
  finding: Finding,
  name: string,
  subject: SubjectChoice,
  denied: readonly Denied[],
  priority: number,
): string {
  const lines = [
    comment(`Drafted from a finding on ${finding.host}: ${finding.sentence}`),
    comment(`Seen from ${timeOf(finding.beganAt)} to ${timeOf(finding.lastAt)}; finding ${finding.id}.`),
    ...subject.remarks.map(comment),
    "apiVersion: wardline.io/v1",
    "kind: Policy",
    "metadata:",
    `  name: ${name}`,
    ...(subject.namespace === "default" ? [] : [`  namespace: ${JSON.stringify(subject.namespace)}`]),
    "spec:",
    `  description: ${JSON.stringify(printable(`Denies what was found: ${finding.sentence}`).slice(0, 1_000))}`,
    "  tier: admin",
    `  priority: ${priority}`,
    `  subject: ${JSON.stringify(subject.selector)}`,
  ];
  for (const { direction, peers, ports } of denied) {
    const isIngress = direction === Direction.INGRESS;
    lines.push(`  ${isIngress ? "ingress" : "egress"}:`);
    lines.push("    - action: deny", `      ${isIngress ? "from" : "to"}:`);
    for (const cidr of peers) lines.push(`        - ipBlock: {cidr: ${JSON.stringify(cidr)}}`);
    if (ports.size > 0) lines.push("      ports:", ...portLines(ports));
  }
  return `${lines.join("\n")}\n`;
}

function portLines(ports: Denied["ports"]): string[] {
  return [...ports].flatMap(([protocol, numbers]) => {
    const word = PROTOCOLS[protocol] ?? String(protocol);
    if (numbers.length === 0) return [`        - {protocol: ${word}}`];
    return numbers.map((port) => `        - {protocol: ${word}, port: ${port}}`);
  });
}

/** On one line, whatever a host has put into it. */
function comment(text: string): string {
  return `# ${printable(text).slice(0, 300)}`;
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}

function timeOf(time: Finding["beganAt"]): string {
  return time ? new Date(timestampMs(time)).toISOString() : "an unknown time";
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
