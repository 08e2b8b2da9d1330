import { createAccessModel, formatPortSet } from "@wardline/domain/policy/access";
import {
  defaultKeys,
  groupingText,
  type PictureEdge,
  type PictureGrouping,
  type PictureNode,
  type PictureSide,
  type PolicyPicture,
  pictureDot,
  pictureOf,
} from "@wardline/domain/policy/picture";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { readSources, worldOf } from "../input/sources.ts";
import type { Output } from "../output.ts";
import { formatTable } from "../terminal/table.ts";
import type { PictureOptions } from "./policy-picture.options.ts";

const MAX_KEYS = 8;

/** `wardline policy picture`: what the files allow between groups; what hosts enforce and what was seen is the console's. */
export async function policyPicture(output: Output, options: PictureOptions): Promise<ExitCode> {
  if (options.label.length > MAX_KEYS) throw new UsageError(`Group by up to ${MAX_KEYS} labels.`);
  if (options.label.length > 0 && options.by !== "labels")
    throw new UsageError(`--label groups by labels, and --by ${options.by} by something else: give one of them.`);
  const world = worldOf(output, await readSources(options));
  if (typeof world === "number") return world;
  const keys = options.label.length > 0 ? [...new Set(options.label)] : defaultKeys(world);
  const grouping: PictureGrouping =
    options.by !== "labels" ? { by: options.by } : keys.length > 0 ? { by: "labels", keys } : { by: "namespace" };
  const picture = pictureOf({
    draft: createAccessModel(world),
    grouping,
    // Files alone do not say what is enforced anywhere.
    enforcedAt: () => ({ kind: "unknown" }),
    flows: [],
    maxEdges: options.limit,
  });
  for (const note of picture.notes) output.note(note);
  if (options.dot) output.text(pictureDot(picture));
  else if (output.format === "json") output.json(pictureData(picture));
  else output.text(formatPicture(output, picture));
  return EXIT.done;
}

/** A promise to scripts. */
function pictureData({ nodes, edges, grouping, notes, unrestrictedPairs, edgesLeftOut }: PolicyPicture): object {
  return {
    groupedBy: grouping.by,
    labelKeys: grouping.by === "labels" ? grouping.keys : [],
    groups: nodes.map((node) => ({
      ...{ id: node.id, kind: node.kind, name: node.name, namespace: node.namespace },
      labels: Object.fromEntries(node.labels),
      members: node.members.map(({ key }) => key),
      networks: node.networks,
      ingressMembers: node.ingressMembers,
      egressMembers: node.egressMembers,
      policyKeys: node.policyKeys,
    })),
    edges: edges.map(({ sourceId, destinationId, draft }) => ({
      from: sourceId,
      to: destinationId,
      access: draft.access,
      ports: draft.ports,
      portsText: formatPortSet(draft.ports),
      pairs: draft.pairs,
      allowedPairs: draft.allowedPairs,
      byRule: draft.byRule,
      observed: draft.isObserved,
    })),
    ...{ notes, unrestrictedPairs, edgesLeftOut },
  };
}

function formatPicture(output: Output, picture: PolicyPicture): string {
  const { dim } = output.style;
  const { nodes, edges, grouping, unrestrictedPairs, edgesLeftOut } = picture;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const groups = formatTable(
    ["GROUP", "MEMBERS", "POLICIES FOR"],
    nodes.map((node) => [nodeText(node), String(node.members.length || node.networks.length || "–"), spokenOf(node)]),
  );
  const rows = edges.map(({ sourceId, destinationId, draft }: PictureEdge) => [
    nodeText(byId.get(sourceId)),
    "→",
    nodeText(byId.get(destinationId)),
    allowsText(draft),
    { text: draft.isObserved ? "a policy in observe mode would deny some of it" : "", paint: dim },
  ]);
  const table = rows.length === 0 ? "No rule allows anything between them.\n" : formatTable(HEAD, rows);
  const open =
    unrestrictedPairs > 0
      ? `${count(unrestrictedPairs, "more pair")} of groups ${unrestrictedPairs === 1 ? "is" : "are"} open because no policy restricts them.\n`
      : "";
  const more = edgesLeftOut > 0 ? `${count(edgesLeftOut, "more connection")} not shown (--limit).\n` : "";
  return `Grouped by ${groupingText(grouping)}.\n\n${groups}\n${table}${open}${more}`;
}

const HEAD = ["FROM", "", "TO", "ALLOWED", ""];

function nodeText(node: PictureNode | undefined): string {
  if (!node) return "?";
  const { name, namespace } = node;
  return namespace === "" || namespace === "default" || namespace === name ? name : `${namespace}: ${name}`;
}

function spokenOf({ members, ingressMembers, egressMembers }: PictureNode): string {
  if (members.length === 0) return "outside";
  const part = (name: string, own: number) =>
    own === 0 ? "" : own === members.length ? name : `${name} of ${own} of ${members.length}`;
  return [part("ingress", ingressMembers), part("egress", egressMembers)].filter(Boolean).join(", ") || "none";
}

function allowsText({ access, ports, pairs, allowedPairs }: PictureSide): string {
  if (access === "none") return "nothing";
  if (access === "all") return "every port";
  const text = formatPortSet(ports);
  return access === "some-members" ? `${text} for ${count(allowedPairs, "")} of ${count(pairs, "pair")}` : text;
}

const count = (value: number, noun: string): string =>
  `${value.toLocaleString("en")}${noun === "" ? "" : ` ${noun}${value === 1 ? "" : "s"}`}`;
