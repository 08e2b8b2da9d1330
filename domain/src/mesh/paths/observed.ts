/**
 * The way that the mesh itself reports, hop by hop, as far as it can be followed: over hosts whose word is known.
 *
 * batman-adv: each host tells its best next hop to a node. Yggdrasil up to 0.4: a route is the numbers of the neighbours on the
 * way, counted by each node for itself. Since 0.5 these numbers are where the node is in the spanning tree, counted from the
 * root, and no way from here: nothing is followed then.
 */
import { type MeshObservation, MeshProvider, type MeshProviderReport } from "@wardline/api/wardline/v1/mesh";
import type { GraphNode, MeshGraph } from "../topology/graph.ts";
import { canonicalKey, linkId } from "../topology/identity.ts";
import { hopOf, pathOf } from "./find.ts";
import type { FoundPath, PathHop } from "./model.ts";

const MAX_HOPS = 64;

/** The newest word of a host, by its name. */
export type ObservationOf = (host: string) => MeshObservation | undefined;

/** `null` = it is not reported, or cannot be followed to its end. */
export function observedPath(
  graph: MeshGraph,
  observationOf: ObservationOf,
  query: { readonly from: string; readonly to: string; readonly provider: MeshProvider },
): FoundPath | null {
  return new RouteWalk(graph, observationOf, query.provider).walk(query.from, query.to);
}

class RouteWalk {
  readonly #graph: MeshGraph;
  readonly #observationOf: ObservationOf;
  readonly #provider: MeshProvider;
  readonly #nodesByKey = new Map<string, string>();

  constructor(graph: MeshGraph, observationOf: ObservationOf, provider: MeshProvider) {
    this.#graph = graph;
    this.#observationOf = observationOf;
    this.#provider = provider;
    for (const { id, identities } of graph.nodes.values()) {
      const key = keyIn(identities, provider);
      // Of a key that two claim it is not known whose way this is.
      if (key !== undefined) this.#nodesByKey.set(key, this.#nodesByKey.has(key) ? "" : id);
    }
  }

  walk(from: string, to: string): FoundPath | null {
    const target = keyIn(this.#graph.nodes.get(to)?.identities ?? [], this.#provider);
    if (target === undefined || from === to) return null;
    const ports = this.#provider === MeshProvider.YGGDRASIL ? this.#ports(from, target) : null;
    if (this.#provider === MeshProvider.YGGDRASIL && ports === null) return null;
    const hops: PathHop[] = [];
    const seen = new Set([from]);
    for (let at = from; at !== to; ) {
      const port = ports?.[hops.length];
      const next = ports === null ? this.#nextHop(at, target) : port === undefined ? null : this.#neighbour(at, port);
      // A circle is a picture of routes that are just changing.
      if (next === null || seen.has(next) || hops.length >= MAX_HOPS) return null;
      const link = this.#graph.links.get(linkId(this.#provider, at, next));
      if (link === undefined) return null;
      hops.push(hopOf(link, at, next));
      seen.add(next);
      at = next;
    }
    return pathOf(hops, true);
  }

  #report(node: string): MeshProviderReport | undefined {
    const name = node.startsWith("host/") ? node.slice("host/".length) : "";
    return this.#observationOf(name)?.providers.find(({ provider }) => provider === this.#provider);
  }

  #ports(from: string, target: string): readonly bigint[] | null {
    const report = this.#report(from);
    if (report === undefined || !report.generation.startsWith("0.4")) return null;
    const route = report.routes.find((each) => this.#isKey(each.destinationKey, target));
    const ports = route?.ports ?? [];
    // A zero ends it.
    const end = ports.indexOf(0n);
    const used = end === -1 ? ports : ports.slice(0, end);
    return used.length > 0 ? used : null;
  }

  #neighbour(node: string, port: bigint): string | null {
    const peer = this.#report(node)?.peers.find((each) => each.up && each.port === port);
    return this.#nodeOf(peer?.key ?? "");
  }

  #nextHop(node: string, target: string): string | null {
    const route = this.#report(node)?.routes.find((each) => each.best && this.#isKey(each.destinationKey, target));
    return this.#nodeOf(route?.nextHopKey ?? "");
  }

  #nodeOf(key: string): string | null {
    return this.#nodesByKey.get(canonicalKey(this.#provider, key) ?? "") || null;
  }

  #isKey(text: string, key: string): boolean {
    return canonicalKey(this.#provider, text) === key;
  }
}

function keyIn(identities: GraphNode["identities"], provider: MeshProvider): string | undefined {
  return identities.find((identity) => identity.provider === provider && identity.key !== "")?.key;
}
