/** `wardline mesh status|peers|routes` */
import { toJson } from "@bufbuild/protobuf";
import { MeshTopologySchema } from "@wardline/api/wardline/console/v1/mesh";
import { type MeshObservation, MeshObservationSchema, type MeshPeer } from "@wardline/api/wardline/v1/mesh";
import { hostNameOf } from "../../backend/hosts/managed-host.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { type Cell, formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { MeshOptions } from "./mesh.options.ts";
import { type Asked, askHosts, pictureNow } from "./mesh-hosts.ts";
import {
  durationText,
  linksTable,
  msText,
  nodesTable,
  providerStateWord,
  providerWord,
  shareText,
  summaryText,
  UNKNOWN,
} from "./mesh-view.ts";

/** Exit code 1 when something is wrong, 3 when a host could not be asked. */
export async function meshStatus(output: Output, options: MeshOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { hostIds, isIncomplete } = await askHosts(output, session, options);
    const topology = await pictureNow(session);
    const { summary } = topology;
    const nodes = topology.nodes.filter(({ hostId }) => hostIds.length === 0 || hostIds.includes(hostId));
    const ids = new Set(nodes.map(({ id }) => id));
    const links = topology.links.filter(({ a, b }) => hostIds.length === 0 || ids.has(a) || ids.has(b));
    if (output.format === "json") output.json({ topology: toJson(MeshTopologySchema, { ...topology, nodes, links }) });
    else if (summary) {
      output.text(`${summaryText(summary, output.style)}\n${nodesTable(nodes, links, output.style)}`);
      if (links.length > 0) output.text(`\n${linksTable({ nodes: topology.nodes, links }, output.style)}`);
    }
    if (isIncomplete) return EXIT.unreachable;
    const isWell = summary && summary.partitions <= 1 && summary.needingPerson === 0 && summary.problems.length === 0;
    return isWell ? EXIT.done : EXIT.problems;
  });
}

export async function meshPeers(output: Output, options: MeshOptions): Promise<ExitCode> {
  return withObservations(output, options, (observations) => {
    const rows = observations.flatMap(({ host, providers }) =>
      providers.flatMap(({ provider, state, detail, peers }) => {
        const mesh = providerWord(provider);
        if (peers.length > 0) return peers.map((peer) => peerRow(host, mesh, peer, output));
        const isAbsent = providerStateWord(state) === "absent";
        return isAbsent ? [] : [[host, mesh, UNKNOWN, providerStateWord(state), "", "", "", "", "", detail]];
      }),
    );
    const header = ["HOST", "MESH", "PEER", "STATE", "WAY", "LATENCY", "QUALITY", "COST", "UP FOR", "PROBLEM"];
    return rows.length === 0 ? "No host has a mesh.\n" : formatTable(header, rows);
  });
}

function peerRow(host: string, mesh: string, peer: MeshPeer, { style }: Output): (Cell | string)[] {
  const { key, uri, up, inbound, configured, latencyMs, quality, cost, uptime, lastError, interfaceName } = peer;
  const state: Cell = up ? { text: "up", paint: style.green } : { text: "down", paint: style.red };
  const way = [inbound ? "in" : "out", configured ? "configured" : "", interfaceName].filter(Boolean).join(" ");
  const figures = [msText(latencyMs), shareText(quality), cost === undefined ? UNKNOWN : String(cost)];
  return [host, mesh, uri || key || UNKNOWN, state, way, ...figures, up ? durationText(uptime) : UNKNOWN, lastError];
}

export async function meshRoutes(output: Output, options: MeshOptions): Promise<ExitCode> {
  return withObservations(output, options, (observations) => {
    const routes = observations.flatMap(({ host, providers }) =>
      providers.flatMap((report) =>
        report.routes.map((route) => [
          ...[host, providerWord(report.provider), route.destinationKey, route.nextHopKey || UNKNOWN],
          ...[route.best ? "best" : "", shareText(route.quality), route.ports.join(" ")],
        ]),
      ),
    );
    const gateways = observations.flatMap(({ host, providers }) =>
      providers.flatMap((report) =>
        report.gateways.map((gateway) => [
          ...[host, providerWord(report.provider), gateway.key, gateway.routerKey || UNKNOWN],
          ...[gateway.best ? "best" : "", shareText(gateway.quality)],
        ]),
      ),
    );
    const text =
      routes.length === 0
        ? "The meshes report no routes.\n"
        : formatTable(["HOST", "MESH", "TO", "NEXT HOP", "", "QUALITY", "PORTS"], routes);
    if (gateways.length === 0) return text;
    return `${text}\n${formatTable(["HOST", "MESH", "GATEWAY", "ROUTER", "", "QUALITY"], gateways)}`;
  });
}

/** Exit code 3 when a host could not be asked; what the others say is shown all the same. */
async function withObservations(
  output: Output,
  options: MeshOptions,
  toText: (observations: readonly MeshObservation[]) => string,
): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const asked = await askHosts(output, session, options);
    const observations = await observationsOf(session, asked);
    if (output.format === "json")
      output.json({ hosts: observations.map((each) => toJson(MeshObservationSchema, each)) });
    else {
      output.text(toText(observations));
      for (const { host, problems } of observations)
        for (const problem of problems) output.note(`${visible(host)}: ${visible(problem)}`);
    }
    return asked.isIncomplete ? EXIT.unreachable : EXIT.done;
  });
}

async function observationsOf({ backend }: Session, { hostIds }: Asked): Promise<MeshObservation[]> {
  return backend.registry.select(hostIds).flatMap((host) => {
    const observation = backend.services.mesh.observation(host.id);
    return observation ? [{ ...observation, host: hostNameOf(host) }] : [];
  });
}
