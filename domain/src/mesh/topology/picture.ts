/** Nodes and links as they stand and as they were published, and what changed in between. */

import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { FlapDetector } from "../flapping.ts";
import { linkChanges, nodeChanges, partitionChange } from "./changes.ts";
import { KeyClaims } from "./claims.ts";
import { directionOf, isLinkUp, linkEnd, sameDirection } from "./directions.ts";
import type { GraphChange, GraphLink, GraphNode, MeshDelta } from "./graph.ts";
import { foreignLabel, foreignNodeId, hostNodeId, linkId } from "./identity.ts";
import { MESH_LIMITS } from "./limits.ts";
import { describeNode, sameNode } from "./nodes.ts";
import { ProviderStructure } from "./provider-structure.ts";
import type { HostRecord, LinkRecord, NeighbourRecord, NodeRecord } from "./records.ts";
import { hostOf, renamedLinks } from "./renamed.ts";

/** Sessions that began that close together are one, as its two ends tell of it: their words may be that long under way. */
const SAME_SESSION_MS = 10_000;

export class Picture {
  readonly nodes = new Map<string, NodeRecord>();
  readonly links = new Map<string, LinkRecord>();
  readonly claims = new KeyClaims();
  readonly structures = new Map<MeshProvider, ProviderStructure>();
  /** Those that are not up. */
  readonly lostLinks = new Set<LinkRecord>();
  /** Nodes and links were left out for want of room. */
  isFull = false;
  revision = 0;
  readonly #flaps = new FlapDetector();
  readonly #linksOf = new Map<MeshProvider, Set<LinkRecord>>();
  readonly #mentions = new Map<string, Set<HostRecord>>();
  /** Published before this update. */
  readonly #nodesBefore = new Map<NodeRecord, GraphNode | null>();
  readonly #linksBefore = new Map<LinkRecord, GraphLink | null>();
  readonly #torn = new Set<MeshProvider>();
  #nowMs = 0;

  begin(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  addHostNode(name: string, hostOf: (node: NodeRecord) => HostRecord): HostRecord {
    const id = hostNodeId(name);
    const node: { -readonly [Key in keyof NodeRecord]: NodeRecord[Key] } = newNode(id, name);
    node.host = hostOf(node);
    this.nodes.set(id, node);
    this.markNode(node);
    return node.host;
  }

  /** Of what is known by this key: the host that owns it, or a node of its own that is made when it is needed. */
  nodeOfKey(provider: MeshProvider, key: string): NodeRecord | undefined {
    const owner = this.claims.owner(provider, key);
    if (owner !== undefined) return owner.node;
    const id = foreignNodeId(provider, key);
    const known = this.nodes.get(id);
    if (known !== undefined) return known;
    if (this.nodes.size >= MESH_LIMITS.nodes) {
      this.isFull = true;
      return undefined;
    }
    const node = newNode(id, foreignLabel(provider, key), provider, key);
    this.nodes.set(id, node);
    this.markNode(node);
    return node;
  }

  /** The key by which others know this node in this mesh. */
  #keyOf(node: NodeRecord, provider: MeshProvider): string | undefined {
    if (node.host === null) {
      const isIts = node.provider === provider && this.claims.owner(provider, node.key) === undefined;
      return isIts ? node.key : undefined;
    }
    const key = node.host.providers.get(provider)?.key ?? "";
    return key !== "" && this.claims.owner(provider, key) === node.host ? key : undefined;
  }

  mentions = (provider: MeshProvider, key: string): ReadonlySet<HostRecord> | undefined =>
    this.#mentions.get(`${provider}/${key}`);

  mention(provider: MeshProvider, key: string, host: HostRecord): void {
    const id = `${provider}/${key}`;
    const hosts = this.#mentions.get(id) ?? new Set();
    this.#mentions.set(id, hosts.add(host));
    const node = this.nodeOfKey(provider, key);
    if (node) this.markNode(node);
  }

  unmention(provider: MeshProvider, key: string, host: HostRecord): void {
    const id = `${provider}/${key}`;
    const hosts = this.#mentions.get(id);
    hosts?.delete(host);
    if (hosts?.size === 0) this.#mentions.delete(id);
    const node = this.claims.owner(provider, key)?.node ?? this.nodes.get(foreignNodeId(provider, key));
    if (node) this.markNode(node);
  }

  markNode(node: NodeRecord): void {
    if (!this.#nodesBefore.has(node)) this.#nodesBefore.set(node, node.node);
  }

  /** The set of those that take part may have changed. */
  markStructure(provider: MeshProvider): void {
    this.#torn.add(provider);
  }

  /** Looks again at what is said of the link between two nodes. It is there while one of its ends tells of it. */
  lookAtLink(provider: MeshProvider, one: NodeRecord, other: NodeRecord): void {
    if (one === other) return;
    const id = linkId(provider, one.id, other.id);
    const [a, b] = one.id < other.id ? [one, other] : [other, one];
    const endA = linkEnd(a, provider, this.#keyOf(b, provider));
    const endB = linkEnd(b, provider, this.#keyOf(a, provider));
    const known = this.links.get(id);
    if (endA.told === undefined && endB.told === undefined) {
      if (known) this.#remove(known);
      return;
    }
    const before = known?.link;
    const aToB = directionOf({ provider, from: endA, to: endB, before: before?.aToB });
    const bToA = directionOf({ provider, from: endB, to: endA, before: before?.bToA });
    const isUp = isLinkUp(provider, aToB, bToA);
    const ends = [endA, endB].flatMap(({ told }) => told ?? []);
    const sinceMs = this.#nowMs;
    const unit = { isFlapping: false, isBridge: false };
    const link: GraphLink = { id, provider, a: a.id, b: b.id, aToB, bToA, isUp, ...unit, sinceMs };
    if (known) this.#change(known, link, ends);
    else this.#add({ id, provider, a, b, ...begun(link, ends) });
  }

  #add(record: LinkRecord): void {
    if (this.links.size >= MESH_LIMITS.links) {
      this.isFull = true;
      return;
    }
    const { provider, a, b, link } = record;
    this.links.set(record.id, record);
    this.#linksBefore.set(record, this.#linksBefore.get(record) ?? null);
    const ofProvider = this.#linksOf.get(provider) ?? new Set();
    this.#linksOf.set(provider, ofProvider.add(record));
    a.links.add(record);
    b.links.add(record);
    this.markNode(a);
    this.markNode(b);
    if (link.isUp) this.#countUp(record, 1);
    else this.lostLinks.add(record);
  }

  #remove(record: LinkRecord): void {
    if (!this.links.delete(record.id)) return;
    const { provider, a, b, link } = record;
    if (!this.#linksBefore.has(record)) this.#linksBefore.set(record, link);
    this.#linksOf.get(provider)?.delete(record);
    a.links.delete(record);
    b.links.delete(record);
    this.markNode(a);
    this.markNode(b);
    this.lostLinks.delete(record);
    this.#flaps.forget(record.id);
    if (link.isUp) this.#countUp(record, -1);
  }

  #change(record: LinkRecord, fresh: GraphLink, ends: readonly NeighbourRecord[]): void {
    const { link: before, id } = record;
    if (fresh.isUp !== before.isUp) {
      this.#flaps.transition(id, this.#nowMs);
      this.#countUp(record, fresh.isUp ? 1 : -1);
      if (fresh.isUp) this.lostLinks.delete(record);
      else this.lostLinks.add(record);
      record.startedAtMs = this.#nowMs;
    } else if (fresh.isUp) {
      const restartedAtMs = Math.max(...ends.map((end) => end.restartedAtMs ?? 0));
      if (restartedAtMs > record.startedAtMs + SAME_SESSION_MS) {
        // It went down and came up between two looks.
        this.#flaps.transition(id, this.#nowMs);
        this.#flaps.transition(id, this.#nowMs);
        record.startedAtMs = restartedAtMs;
      }
    }
    const sinceMs = fresh.isUp === before.isUp ? before.sinceMs : this.#nowMs;
    const isBridge = fresh.isUp && before.isBridge;
    this.#publish(record, { ...fresh, sinceMs, isBridge, isFlapping: this.#flaps.isFlapping(id) });
  }

  #publish(record: LinkRecord, link: GraphLink): void {
    const { link: before } = record;
    const { isUp, isFlapping, isBridge } = link;
    const isSame = before.isUp === isUp && before.isFlapping === isFlapping && before.isBridge === isBridge;
    if (isSame && sameDirection(before.aToB, link.aToB) && sameDirection(before.bToA, link.bToA)) return;
    if (!this.#linksBefore.has(record)) this.#linksBefore.set(record, before);
    record.link = link;
  }

  #countUp({ provider, a, b }: LinkRecord, by: 1 | -1): void {
    this.#torn.add(provider);
    for (const node of [a, b]) {
      node.upLinks += by;
      if (node.upLinks === 0 || node.upLinks === by) this.markNode(node);
    }
  }

  /** Lets links that flapped be quiet. */
  settleFlaps(): void {
    for (const id of this.#flaps.settle(this.#nowMs)) {
      const record = this.links.get(id);
      if (record) this.#publish(record, { ...record.link, isFlapping: false });
    }
  }

  dropNode(node: NodeRecord): void {
    this.markNode(node);
    this.nodes.delete(node.id);
  }

  /** `alone`: who takes part in a mesh whether or not it has a link. */
  settle(alone: (provider: MeshProvider) => Iterable<NodeRecord>): MeshDelta {
    const changes: GraphChange[] = [];
    for (const provider of this.#torn) changes.push(...this.#settleStructure(provider, alone(provider)));
    this.#torn.clear();
    const fromRevision = this.revision;
    const nodes = this.#settleNodes(changes);
    const links = this.#settleLinks(changes);
    const isEmpty = nodes.changed.length + nodes.gone.length + links.changed.length + links.gone.length === 0;
    if (!isEmpty || changes.length > 0) this.revision++;
    return {
      fromRevision,
      revision: this.revision,
      atMs: this.#nowMs,
      nodes: nodes.changed,
      links: links.changed,
      goneNodeIds: nodes.gone,
      goneLinkIds: links.gone,
      changes,
    };
  }

  #settleStructure(provider: MeshProvider, alone: Iterable<NodeRecord>): GraphChange[] {
    const before = this.structures.get(provider)?.partitionCount ?? 0;
    const structure = new ProviderStructure(provider, this.#linksOf.get(provider) ?? [], alone);
    this.structures.set(provider, structure);
    structure.eachNewBridge((record, isBridge) => this.#publish(record, { ...record.link, isBridge }));
    return partitionChange(provider, structure.partitionCount, before, this.#nowMs);
  }

  #settleNodes(changes: GraphChange[]): { changed: GraphNode[]; gone: string[] } {
    const changed: GraphNode[] = [];
    const gone: string[] = [];
    const context = { claims: this.claims, mentions: this.mentions, nowMs: this.#nowMs };
    for (const [record, before] of this.#nodesBefore) {
      if (record.host === null && record.links.size === 0) this.nodes.delete(record.id);
      const isThere = this.nodes.get(record.id) === record;
      const after = isThere ? describeNode(record, context) : null;
      if (before !== null && after !== null && sameNode(before, after)) continue;
      record.node = after;
      const host = hostOf(record, this.claims);
      changes.push(...nodeChanges(before, after, this.#nowMs, host === record ? null : host.label));
      if (after !== null) changed.push(after);
      else if (before !== null && !this.nodes.has(record.id)) gone.push(record.id);
    }
    this.#nodesBefore.clear();
    return { changed, gone };
  }

  #settleLinks(changes: GraphChange[]): { changed: GraphLink[]; gone: string[] } {
    const changed: GraphLink[] = [];
    const gone: string[] = [];
    const renamed = renamedLinks(this.#linksBefore, this.links, this.claims);
    for (const [record, before] of this.#linksBefore) {
      const after = this.links.get(record.id) === record ? record.link : null;
      const isGone = after === null && renamed.former.has(record);
      const said = before ?? renamed.byId.get(record.id) ?? null;
      if (after !== before && !isGone) changes.push(...linkChanges(said, after, labels(record), this.#nowMs));
      if (after !== null) changed.push(after);
      else if (before !== null && !this.links.has(record.id)) gone.push(record.id);
    }
    this.#linksBefore.clear();
    return { changed, gone };
  }
}

/** A link that is new to the picture may have been up for long. */
function begun(link: GraphLink, ends: readonly NeighbourRecord[]): { startedAtMs: number; link: GraphLink } {
  const starts = ends.map(({ neighbour, toldAtMs }) => toldAtMs - (neighbour.uptimeMs ?? 0));
  const startedAtMs = link.isUp ? Math.max(0, ...starts) : link.sinceMs;
  return { startedAtMs, link: { ...link, sinceMs: startedAtMs } };
}

function labels({ a, b }: LinkRecord): { a: string; b: string } {
  return { a: a.label, b: b.label };
}

function newNode(id: string, label: string, provider = 0 as MeshProvider, key = ""): NodeRecord {
  return { id, label, host: null, provider, key, links: new Set(), upLinks: 0, seenAtMs: null, node: null, mark: -1 };
}
