/** Topologies of the fake backend: five hosts, a lost one, nodes that others know, a large one, and hostile names. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  LinkClass,
  type MeshChange,
  MeshChangeKind,
  MeshChangeSchema,
  type MeshDirectionSchema,
  type MeshLink,
  MeshLinkSchema,
  type MeshNode,
  MeshNodeIdentitySchema,
  MeshNodeSchema,
  MeshNodeState,
  type MeshTopology,
  MeshTopologySchema,
} from "@wardline/api/wardline/console/v1/mesh";
import { MeshObservationSchema, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { HOSTILE_NAME } from "./fake-data.ts";
import type { MeshKind } from "./fake-mesh.ts";

const MINUTE_MS = 60_000;
/** An attack on whoever shows it: markup, reordering, and ten thousand characters. */
export const HOSTILE_LABEL = `<img src=x onerror=alert(1)>${HOSTILE_NAME}${"\u202e".repeat(20)}${"A".repeat(10_000)}`;

const keyOf = (index: number) => (index * 2_654_435_761).toString(16).padStart(16, "0").repeat(4).slice(0, 64);
const addressOf = (index: number) =>
  `200:${(index * 7_919 + 4_096).toString(16)}:ab12:9c4e:7d01:22f3:88a0:${(index + 16).toString(16)}`;

function node(
  index: number,
  id: string,
  label: string,
  change: MessageInitShape<typeof MeshNodeSchema> = {},
): MeshNode {
  const nowMs = Date.now();
  const hostId = id.startsWith("host/") ? id.replace("host/", "host-") : "";
  return create(MeshNodeSchema, {
    id,
    label,
    hostId,
    state: hostId === "" ? MeshNodeState.UNKNOWN : MeshNodeState.ONLINE,
    stateSince: timestampFromMs(nowMs - (index + 1) * 47 * MINUTE_MS),
    lastSeen: timestampFromMs(nowMs - 900),
    groups: hostId === "" ? [] : [label.split("-")[0] ?? ""],
    identities: [
      {
        provider: MeshProvider.YGGDRASIL,
        identity: {
          key: keyOf(index + 1),
          address: addressOf(index),
          subnet: `${addressOf(index).replace("200:", "300:").split(":").slice(0, 4).join(":")}::/64`,
        },
        toldBy: hostId === "" ? ["web-1", "db-1"] : [label],
        generation: "0.4.5",
        version: hostId === "" ? "" : "unknown",
        daemon: hostId === "" ? MeshProviderState.UNSPECIFIED : MeshProviderState.UP,
      },
    ],
    ...change,
  });
}

const SCORES: Record<LinkClass, number> = [0, 96, 82, 61, 38, 14, 0];

type Way = MessageInitShape<typeof MeshDirectionSchema>;

function way(linkClass: LinkClass, change: Way = {}): Way {
  const isMeasured = linkClass !== LinkClass.UNMEASURED;
  return {
    observed: true,
    up: true,
    class: linkClass,
    measuredAt: timestampFromMs(Date.now() - 900),
    ...(isMeasured ? { score: SCORES[linkClass], latencyMs: 2 + linkClass * 3.4, loss: (linkClass - 1) * 0.014 } : {}),
    ...change,
  };
}

interface LinkChange {
  readonly provider?: MeshProvider;
  readonly up?: boolean;
  readonly flapping?: boolean;
  readonly bridge?: boolean;
  readonly aToB?: Way;
  readonly bToA?: Way;
}

function link(a: string, b: string, there: LinkClass, back: LinkClass, change: LinkChange = {}): MeshLink {
  const { provider = MeshProvider.YGGDRASIL, up = true, flapping = false, bridge = false } = change;
  return create(MeshLinkSchema, {
    id: `${MeshProvider[provider].toLowerCase()}/${a}/${b}`,
    provider,
    a,
    b,
    aToB: change.aToB ?? way(there, { uri: "tls://192.0.2.11:4443", cost: 41n }),
    bToA: change.bToA ?? way(back, { inbound: true, cost: 44n }),
    up,
    flapping,
    bridge,
    since: timestampFromMs(Date.now() - 3 * 60 * MINUTE_MS),
  });
}

const HOSTS = ["web-1", "web-2", "web-3", "db-1", "cache-1"] as const;
const id = (name: string) => `host/${name}`;

export function topologyOf(kind: MeshKind, nowMs: number): MeshTopology {
  if (kind === "old" || kind === "none") return create(MeshTopologySchema, { at: timestampFromMs(nowMs), summary: {} });
  return kind === "large" ? largeTopology(nowMs) : smallTopology(kind, nowMs);
}

function smallTopology(kind: MeshKind, nowMs: number): MeshTopology {
  const nodes = HOSTS.map((name, index) =>
    node(index, id(name), kind === "hostile" && index === 0 ? HOSTILE_LABEL : name),
  );
  const [first, second, , database, cache] = nodes;
  if (second) Object.assign(second, { state: MeshNodeState.DEGRADED, problems: ["2 of its 3 peers lose packets."] });
  if (cache) Object.assign(cache, { state: MeshNodeState.OFFLINE, problems: ["Nobody hears it since 14 minutes."] });
  if (kind === "hostile" && first) first.problems = [HOSTILE_LABEL];
  if (kind === "outdated")
    for (const each of nodes)
      Object.assign(each, { state: MeshNodeState.UNKNOWN, problems: ["Its agent is older than meshes."] });
  database?.identities.push(
    create(MeshNodeIdentitySchema, {
      provider: MeshProvider.BATMAN,
      identity: { key: "02:11:22:33:44:55" },
      toldBy: ["db-1"],
      generation: "BATMAN_V",
      daemon: MeshProviderState.UP,
    }),
  );
  const relay = `yggdrasil/${keyOf(40)}`;
  const far = `yggdrasil/${keyOf(41)}`;
  nodes.push(node(39, relay, keyOf(40).slice(0, 12)), node(40, far, keyOf(41).slice(0, 12)));
  const { EXCELLENT, GOOD, FAIR, POOR, BAD, UNMEASURED } = LinkClass;
  const links = [
    link(id("web-1"), id("web-2"), GOOD, POOR),
    link(id("web-1"), id("web-3"), EXCELLENT, EXCELLENT),
    link(id("db-1"), id("web-1"), GOOD, GOOD),
    link(id("web-2"), id("web-3"), FAIR, BAD),
    link(id("db-1"), id("web-3"), GOOD, GOOD, { flapping: true }),
    link(id("cache-1"), id("web-3"), BAD, BAD, {
      up: false,
      aToB: way(BAD, { up: false }),
      bToA: way(BAD, { up: false }),
    }),
    link(id("db-1"), relay, GOOD, UNMEASURED, { bridge: true, bToA: { observed: false } }),
    link(relay, far, UNMEASURED, UNMEASURED, { bridge: true, aToB: { observed: false }, bToA: { observed: false } }),
    link(id("web-1"), id("web-2"), EXCELLENT, GOOD, {
      provider: MeshProvider.IP,
      aToB: way(EXCELLENT, { pathMtuBytes: 1500 }),
    }),
    link(id("db-1"), id("web-1"), EXCELLENT, EXCELLENT, { provider: MeshProvider.IP }),
    link(id("db-1"), id("web-2"), GOOD, GOOD, {
      provider: MeshProvider.BATMAN,
      aToB: way(GOOD, { quality: 0.91, throughputBitsPerSecond: 86_400_000n }),
    }),
  ];
  return create(MeshTopologySchema, {
    at: timestampFromMs(nowMs),
    nodes,
    links,
    partitions: [
      { provider: MeshProvider.YGGDRASIL, nodeIds: [...HOSTS.slice(0, 4).map(id), relay, far] },
      { provider: MeshProvider.YGGDRASIL, nodeIds: [id("cache-1")] },
    ],
    summary: {
      nodes: nodes.length,
      nodesOnline: kind === "outdated" ? 0 : 3,
      links: links.length,
      linksGood: 6,
      linksWeak: 2,
      linksLost: 1,
      linksFlapping: 1,
      partitions: 2,
      articulationPoints: [id("db-1"), relay],
      singleUplinks: [far],
      meanLatencyMs: 7.42,
      diameterHops: 4,
      peersConfigured: 9,
      peersUp: 8,
      versions: { "0.4.5": 5 },
      problems: kind === "hostile" ? [`web-2 and ${HOSTILE_LABEL.slice(0, 300)} say that they have the same key.`] : [],
    },
  });
}

const LARGE_NODES = 2_000;
const LARGE_LINKS = 10_000;

/** A mesh as they grow: each node linked with near ones, some ways across. The same each time. */
function largeTopology(nowMs: number): MeshTopology {
  const nodes = Array.from({ length: LARGE_NODES }, (_, index) =>
    node(index, id(`n-${index}`), `n-${index}`, {
      state:
        index % 97 === 0 ? MeshNodeState.OFFLINE : index % 31 === 0 ? MeshNodeState.DEGRADED : MeshNodeState.ONLINE,
    }),
  );
  let state = 12_345;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const links = new Map<string, MeshLink>();
  while (links.size < LARGE_LINKS) {
    const a = next(LARGE_NODES);
    const b = (a + 1 + next(links.size % 12 === 0 ? LARGE_NODES : 24)) % LARGE_NODES;
    if (a === b) continue;
    const classes = [
      LinkClass.EXCELLENT,
      LinkClass.GOOD,
      LinkClass.GOOD,
      LinkClass.FAIR,
      LinkClass.POOR,
      LinkClass.BAD,
    ];
    const made = link(
      id(`n-${a}`),
      id(`n-${b}`),
      classes[next(6)] ?? LinkClass.GOOD,
      classes[next(6)] ?? LinkClass.GOOD,
      {
        up: links.size % 50 !== 7,
      },
    );
    links.set(made.id, made);
  }
  return create(MeshTopologySchema, {
    at: timestampFromMs(nowMs),
    nodes,
    links: [...links.values()],
    partitions: [{ provider: MeshProvider.YGGDRASIL, nodeIds: nodes.map((each) => each.id) }],
    summary: {
      nodes: LARGE_NODES,
      nodesOnline: 1_915,
      links: LARGE_LINKS,
      linksGood: 5_000,
      linksWeak: 4_800,
      linksLost: 200,
      partitions: 1,
      meanLatencyMs: 9.1,
    },
  });
}

/** What one host says itself. */
export function observationOf(hostId: string, kind: MeshKind, nowMs: number) {
  const host = hostId.replace("host-", "");
  const peers = HOSTS.filter((name) => name !== host)
    .slice(0, 3)
    .map((name, index) => ({
      key: keyOf(index + 1),
      uri: `tls://192.0.2.${11 + index}:4443`,
      up: name !== "cache-1",
      configured: true,
      inbound: index === 2,
      latencyMs: 2.3 + index,
      ...(kind === "hostile" ? { lastError: HOSTILE_LABEL } : {}),
    }));
  return create(MeshObservationSchema, {
    host,
    observedAt: timestampFromMs(nowMs - 800),
    providers: [
      {
        provider: MeshProvider.YGGDRASIL,
        state: MeshProviderState.UP,
        version: "unknown",
        generation: "0.4.5",
        interfaceName: "ygg0",
        mtuBytes: 65_535,
        capabilities: ["peers", "sessions", "paths", "dht", "add-peer", "remove-peer", "restart"],
        peers,
      },
      { provider: MeshProvider.BATMAN, state: MeshProviderState.ABSENT },
    ],
    probes: [
      {
        targetHost: "db-1",
        address: "10.20.0.23",
        provider: MeshProvider.IP,
        reachable: true,
        latencyMs: 0.42,
        loss: 0,
      },
    ],
  });
}

export function changesOf({ nodes, links }: MeshTopology, nowMs: number): MeshChange[] {
  const make = (agoMinutes: number, kind: MeshChangeKind, of: string, sentence: string) =>
    create(MeshChangeSchema, { at: timestampFromMs(nowMs - agoMinutes * MINUTE_MS), kind, id: of, sentence });
  const [link, other] = links;
  const [first] = nodes;
  if (!link || !other || !first) return [];
  return [
    make(4, MeshChangeKind.LINK_FLAPPING, other.id, "db-1 – web-3 went up and down 4 times in a minute"),
    make(14, MeshChangeKind.LINK_DOWN, "yggdrasil/host/cache-1/host/web-3", "cache-1 – web-3 went down"),
    make(14, MeshChangeKind.NODE_STATE, id("cache-1"), "cache-1 is offline"),
    make(14, MeshChangeKind.PARTITIONS, "", "Yggdrasil is in 2 parts"),
    make(21, MeshChangeKind.LINK_CLASS, link.id, `web-1 – web-2 became poor, was good`),
    make(48, MeshChangeKind.NODE_NEW, first.id, `${first.label.slice(0, 200)} is new`),
  ];
}
