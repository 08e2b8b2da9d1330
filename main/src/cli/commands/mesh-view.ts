/** Meshes on a terminal. What was not measured is `–`, never 0. What hosts say is made harmless by the tables. */
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  LinkClass,
  type MeshDirection,
  type MeshLink,
  type MeshNode,
  MeshNodeState,
  type MeshSummary,
  type MeshTopology,
} from "@wardline/api/wardline/console/v1/mesh";
import {
  HealingAction,
  HealingMode,
  HealingState,
  MeshFault,
  MeshProvider,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import type { Style } from "../terminal/style.ts";
import { type Cell, formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";

export const UNKNOWN = "–";

const word = (name: string | undefined) => (name ?? "unknown").toLowerCase().replaceAll("_", "-");
export const providerWord = (provider: MeshProvider) => word(MeshProvider[provider]);
export const faultWord = (fault: MeshFault) => word(MeshFault[fault]);
export const actionWord = (action: HealingAction) => word(HealingAction[action]);
export const modeWord = (mode: HealingMode) => word(HealingMode[mode]);
export const stateWord = (state: HealingState) => word(HealingState[state]).replaceAll("-", " ");
export const providerStateWord = (state: MeshProviderState) => word(MeshProviderState[state]);
export const nodeStateWord = (state: MeshNodeState) => word(MeshNodeState[state]);

export function providerOf(name: string): MeshProvider {
  return MeshProvider[name.toUpperCase() as keyof typeof MeshProvider];
}

export function msText(value: number | undefined): string {
  return value === undefined ? UNKNOWN : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function shareText(value: number | undefined): string {
  return value === undefined ? UNKNOWN : `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
}

export function timeText(time: Timestamp | undefined): string {
  return time ? new Date(Math.floor(timestampMs(time) / 1000) * 1000).toISOString().replace(".000Z", "Z") : "";
}

export function durationText(duration: Duration | undefined): string {
  if (!duration) return UNKNOWN;
  const seconds = Number(duration.seconds) + duration.nanos / 1e9;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

export function summaryText(summary: MeshSummary, style: Style): string {
  const { nodes, nodesOnline, links, linksLost, linksWeak, linksFlapping, peersUp, peersConfigured } = summary;
  const lost = [
    linksLost > 0 ? `${linksLost} lost` : "",
    linksWeak > 0 ? `${linksWeak} weak` : "",
    linksFlapping > 0 ? `${linksFlapping} flapping` : "",
  ].filter((part) => part !== "");
  const versions = Object.entries(summary.versions).map(([version, count]) => `${visible(version)} on ${count}`);
  const lines = [
    `${nodesOnline} of ${nodes} nodes online, ${links} links${lost.length > 0 ? ` (${lost.join(", ")})` : ""}, ${peersUp} of ${peersConfigured} configured peers up`,
    `mean latency ${msText(summary.meanLatencyMs)}, diameter ${summary.diameterHops ?? UNKNOWN} hops${versions.length > 0 ? `; versions: ${versions.join(", ")}` : ""}`,
  ];
  if (summary.partitions > 1)
    lines.push(style.red(`! It is in ${summary.partitions} parts that do not reach each other.`));
  if (summary.articulationPoints.length > 0)
    lines.push(style.yellow(`! Everything depends on ${visible(summary.articulationPoints.slice(0, 5).join(", "))}.`));
  if (summary.needingPerson > 0)
    lines.push(style.red(`! ${summary.needingPerson} faults need a person: wardline mesh heal list --open`));
  for (const problem of summary.problems) lines.push(style.yellow(`! ${visible(problem)}`));
  return `${lines.join("\n")}\n`;
}

const ONLINE = new Set([MeshNodeState.ONLINE]);
const BAD = new Set([MeshNodeState.OFFLINE]);

export function nodesTable(nodes: readonly MeshNode[], links: readonly MeshLink[], style: Style): string {
  const up = new Map<string, number>();
  const all = new Map<string, number>();
  for (const link of links) {
    for (const end of [link.a, link.b]) {
      all.set(end, (all.get(end) ?? 0) + 1);
      if (link.up) up.set(end, (up.get(end) ?? 0) + 1);
    }
  }
  const rows = nodes.map((node) => {
    const { id, label, state, identities, problems } = node;
    const paint = ONLINE.has(state) ? style.green : BAD.has(state) ? style.red : style.yellow;
    const meshes = identities.map(({ provider, generation }) => [providerWord(provider), generation].join(" ").trim());
    return [
      ...[label || id, { text: nodeStateWord(state), paint }, `${up.get(id) ?? 0}/${all.get(id) ?? 0}`],
      ...[meshes.join(", "), identities.map(({ identity }) => identity?.address ?? "").find(Boolean) ?? ""],
      problems[0] ?? "",
    ];
  });
  return formatTable(["NODE", "STATE", "LINKS", "MESHES", "ADDRESS", "PROBLEM"], rows);
}

export function linksTable({ nodes, links }: Pick<MeshTopology, "nodes" | "links">, style: Style): string {
  const labels = new Map(nodes.map(({ id, label }) => [id, label || id]));
  const rows = links.map((link) => {
    const state = link.flapping ? "flapping" : link.up ? "up" : "down";
    const paint = state === "up" ? style.green : state === "down" ? style.red : style.yellow;
    const ends = [labels.get(link.a) ?? link.a, labels.get(link.b) ?? link.b];
    return [
      ...[...ends, providerWord(link.provider), { text: state, paint }],
      ...directionCells(link.aToB, style),
      ...directionCells(link.bToA, style),
      link.bridge ? "bridge" : "",
    ];
  });
  const header = ["A", "B", "MESH", "STATE", "A→B", "LATENCY", "LOSS", "B→A", "LATENCY", "LOSS", ""];
  return formatTable(header, rows);
}

function directionCells(direction: MeshDirection | undefined, style: Style): (Cell | string)[] {
  const linkClass = direction?.class ?? LinkClass.UNMEASURED;
  const text = linkClass === LinkClass.UNMEASURED ? UNKNOWN : word(LinkClass[linkClass]);
  const paint = linkClass === LinkClass.POOR || linkClass === LinkClass.BAD ? style.yellow : style.dim;
  return [{ text, paint }, msText(direction?.latencyMs), shareText(direction?.loss)];
}
