/**
 * From a connection that was seen to the smallest change of a file with which it is decided as somebody wants. Nothing is
 * guessed: each change is read back and evaluated before it is given away.
 */
import { insertIntoList } from "../edit/index.ts";
import { readOneDocument } from "../edit/opened.ts";
import { evaluate } from "../evaluate.ts";
import type { DirectionEvaluation, Evaluation, PolicyFlow } from "../evaluation.ts";
import { endpointMatches, NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { Direction, Endpoint, PolicyWorld, SourceFile, Verdict } from "../model.ts";
import { withoutExpired } from "../named-peers.ts";
import { readPolicyFiles } from "../read.ts";
import { portValue } from "../suggest/document.ts";
import { flow as inline, type YamlValue } from "../suggest/yaml-text.ts";
import { splitDocuments } from "../yaml/split.ts";

export interface RuleProposal {
  readonly path: string;
  readonly before: string;
  /** The same as before when there is nothing to change, or no change helps. */
  readonly after: string;
  /** Of the workspace with the change. */
  readonly world: PolicyWorld;
  /** What a person should know; empty when all is well. */
  readonly remark: string;
}

/** Documents of one file that are tried. */
const MOST_DOCUMENTS = 60;
const MOST_RULES = 64;
/** A verdict may need both ends. */
const MOST_STEPS = 3;

/**
 * @param files of the workspace, which have no errors
 * @param world of the files, without what has expired
 * @param path the file to change, which may be a new one; empty = where the policies of the subject are
 * @param nowUnixMs policies that have expired by then count as absent
 */
export function proposeRule(
  files: readonly SourceFile[],
  world: PolicyWorld,
  flow: PolicyFlow,
  wanted: Verdict,
  path: string,
  nowUnixMs = 0,
): RuleProposal {
  const decided = evaluate(world, flow);
  const target = path || fileOf(decided, flow) || "from-flows.yaml";
  const before = files.find((file) => file.path === target)?.text ?? "";
  const unchanged = { path: target, before, after: before, world };
  if (decided.verdict === wanted) {
    const word = wanted === "allow" ? "allowed" : "denied";
    return { ...unchanged, remark: `The workspace says so already: the connection is ${word}.` };
  }
  let text = before;
  let current = world;
  for (let step = 0; step < MOST_STEPS; step++) {
    const evaluation = evaluate(current, flow);
    if (evaluation.verdict === wanted) {
      return { path: target, before, after: text, world: current, remark: "" };
    }
    const side = sideToChange(evaluation, flow, wanted);
    const next = side && changeSide({ files, world: current, flow, wanted, path: target, text, nowUnixMs }, side);
    if (!next) break;
    ({ text, world: current } = next);
  }
  const blocking = evaluate(current, flow).directions.find(({ decision }) => decision.verdict !== wanted);
  const why = blocking?.decision.policyKeys[0];
  const remark =
    why === undefined
      ? "No rule of a file of this format decides it: neither end is in the inventory."
      : `No added rule changes it: ${why} decides first. Change that policy, or ask who keeps it.`;
  return { ...unchanged, remark };
}

/** Where the policy that decided is, or any that was looked at. */
function fileOf({ directions }: Evaluation, { from, to }: PolicyFlow): string {
  const ends = [from.endpointKey, to.endpointKey];
  for (const [index, { decision }] of directions.entries()) {
    const file = decision.source?.file;
    if (ends[index] !== null && file) return file;
  }
  return "";
}

interface Side {
  readonly direction: Direction;
  readonly subject: Endpoint;
  readonly peerAddress: string;
}

/** Allowing needs every end that denies; denying needs one: the end that is connected to, where it is ours. */
function sideToChange({ directions }: Evaluation, flow: PolicyFlow, wanted: Verdict): SideOf | null {
  const sides = directions.map((evaluation, index): SideOf => {
    const isEgress = index === 0;
    const [own, peer] = isEgress ? [flow.from, flow.to] : [flow.to, flow.from];
    return { direction: isEgress ? "egress" : "ingress", evaluation, own: own.endpointKey, peer };
  });
  const ours = sides.filter(({ own, evaluation }) => own !== null && evaluation.decision.verdict !== wanted);
  return (wanted === "allow" ? ours[0] : ours.at(-1)) ?? null;
}

interface SideOf {
  readonly direction: Direction;
  readonly evaluation: DirectionEvaluation;
  readonly own: string | null;
  readonly peer: PolicyFlow["from"];
}

interface Work {
  readonly files: readonly SourceFile[];
  readonly world: PolicyWorld;
  readonly flow: PolicyFlow;
  readonly wanted: Verdict;
  readonly path: string;
  readonly text: string;
  readonly nowUnixMs: number;
}

function changeSide(work: Work, { direction, own, peer }: SideOf): { text: string; world: PolicyWorld } | null {
  const subject = work.world.inventory.endpoints.find(({ key }) => key === own);
  if (!subject) return null;
  const side: Side = { direction, subject, peerAddress: peer.address };
  for (const text of candidates(work, side)) {
    const world = worldWith(work, text);
    if (world && isAnswered(world, work, direction)) return { text, world };
  }
  return null;
}

/** One after the other: each takes as long as reading the workspace. */
function* candidates(work: Work, side: Side): Generator<string> {
  if (work.wanted === "allow") yield* addedRules(work, side);
  yield addedPolicy(work, side);
}

function isAnswered(world: PolicyWorld, { flow, wanted }: Work, direction: Direction): boolean {
  const evaluation = evaluate(world, flow);
  return evaluation.directions[direction === "egress" ? 0 : 1].decision.verdict === wanted;
}

/** `null` when the text has errors. */
function worldWith({ files, path, nowUnixMs }: Work, text: string): PolicyWorld | null {
  const others = files.filter((file) => file.path !== path);
  const reading = readPolicyFiles([...others, { path, text }]);
  return reading.ok ? withoutExpired(reading.world, nowUnixMs) : null;
}

/** One rule more in a policy that is there. */
function* addedRules(work: Work, side: Side): Generator<string> {
  const { path, text, flow } = work;
  const rule = ruleOf(side, flow);
  for (const index of documentsOf(work, side.subject).slice(0, MOST_DOCUMENTS)) {
    let last: string | null = null;
    // Behind the last rule: the first place that has nothing behind it.
    for (let at = 0; at <= MOST_RULES; at++) {
      const edit = insertIntoList({ path, text }, index, ["spec", side.direction], at, rule);
      if (!edit.ok) break;
      last = edit.text;
    }
    if (last !== null) yield last;
  }
}

/** Documents of the file with a policy of the subject, by their numbers: a rule of any other says nothing of it. */
function documentsOf({ path, text, world }: Work, subject: Endpoint): readonly number[] {
  const lines = world.policies
    .filter(
      ({ source, subject: selector }) =>
        source.file === path && endpointMatches(selector, subject, world.inventory.namespaces),
    )
    .map(({ source }) => source.line);
  if (lines.length === 0) return [];
  const documents = (splitDocuments(text) ?? []).filter((document) => readOneDocument(document.text).root);
  const isOf = (line: number, index: number) =>
    line >= documents[index]!.firstLine && line < (documents[index + 1]?.firstLine ?? Number.POSITIVE_INFINITY);
  return [...documents.keys()].filter((index) => lines.some((line) => isOf(line, index)));
}

/** A policy of its own, of one direction. One that denies comes before all that allow. */
function addedPolicy({ text, flow, wanted, world }: Work, side: Side): string {
  const { subject, direction } = side;
  const name = freeName(world, `${wanted}-${subject.name}-${flow.port || flow.protocol}`);
  const rule = { ...(wanted === "deny" ? { action: "deny" } : {}), ...ruleOf(side, flow) };
  const lines = [
    "apiVersion: wardline.io/v1",
    "kind: Policy",
    `metadata: ${inline({ name, namespace: subject.namespace || "default" })}`,
    "spec:",
    ...(wanted === "deny" ? ["  tier: admin"] : []),
    `  subject: ${inline(subjectValue(subject))}`,
    `  ${direction}:`,
    `    - ${inline(rule)}`,
  ];
  const document = `${lines.join("\n")}\n`;
  if (text.trim() === "") return document;
  return `${text}${text.endsWith("\n") ? "" : "\n"}---\n${document}`;
}

function freeName({ policies }: PolicyWorld, wanted: string): string {
  const base =
    wanted
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 50) || "from-flow";
  const isTaken = (name: string) => policies.some((policy) => policy.key.endsWith(`/${name}`));
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!isTaken(name)) return name;
  }
}

/** Exactly what was seen: the address of the other end, and the port. */
function ruleOf({ direction, peerAddress }: Side, { protocol, port }: PolicyFlow) {
  const cidr = `${peerAddress}/${peerAddress.includes(":") ? 128 : 32}`;
  const peers: YamlValue = [{ ipBlock: { cidr } }];
  const ports: YamlValue = [portValue({ protocol, low: port, high: port })];
  return direction === "ingress" ? { from: peers, ports } : { to: peers, ports };
}

/** By all labels: as few others as can be. */
function subjectValue({ kind, labels }: Endpoint): YamlValue {
  const own = [...labels].filter(([key]) => key !== NAMESPACE_NAME_LABEL);
  const selector = own.length === 0 ? {} : { matchLabels: Object.fromEntries(own) };
  return kind === "host" ? { hosts: selector } : { selector };
}
