/** Pictures of a made-up shop: what the service answers, without an engine behind it. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DraftForRequest,
  type GetEdgeRequest,
  type GetPictureRequest,
  PictureAccess,
  PictureClass,
  type PictureEdge,
  PictureEdgeSchema,
  type PictureNode,
  PictureNodeKind,
  PictureNodeSchema,
} from "@wardline/api/wardline/console/v1/picture";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { HOSTILE_NAME } from "./fake-data.ts";

export type PictureKind = "shop" | "large" | "hostile" | "empty";

interface FakePicturePorts {
  readonly gate: () => Promise<void>;
}

const MINUTE_MS = 60_000;
const LARGE_NODES = 500;
const LARGE_EDGES = 5_000;
const EDGES_IN_PART = 400;

function group(name: string, members: number, ingress: number, egress: number, namespace = "shop"): PictureNode {
  return create(PictureNodeSchema, {
    id: `group:${namespace} app=${name}`,
    kind: PictureNodeKind.GROUP,
    name: `app=${name}`,
    namespace,
    labels: { app: name },
    members,
    memberKeys: Array.from(
      { length: Math.min(members, 100) },
      (_, index) => `Workload/${namespace}/${name}-${index + 1}`,
    ),
    addresses: Array.from({ length: Math.min(members, 100) }, (_, index) => `10.0.${name.length}.${(index % 250) + 1}`),
    hostNames: ["atlas", "db-1"],
    ingressMembers: ingress,
    egressMembers: egress,
    policyKeys: ingress + egress > 0 ? [`Policy/${namespace}/${name}`] : [],
    unknownMembers: name === "db" ? 1 : 0,
    ...(name === "web" ? { awayMembers: 2, awaySince: timestampFromMs(Date.now() - 12 * MINUTE_MS) } : {}),
  });
}

function outside(id: string, kind: PictureNodeKind, name: string): PictureNode {
  return create(PictureNodeSchema, {
    id,
    kind,
    name,
    members: 1,
    addresses: kind === PictureNodeKind.NETWORK ? [name] : [],
  });
}

interface EdgeDraft {
  readonly access?: PictureAccess;
  readonly ports?: string;
  readonly enforced?: string;
  readonly seen?: number;
  readonly denied?: number;
  readonly classes: readonly PictureClass[];
}

const port = (text: string) => Number.parseInt(text, 10) || 0;
const rangesOf = (text: string) =>
  text === "" ? [] : text.split(", ").map((one) => ({ protocol: 6, low: port(one), high: port(one) }));

function edge(
  sourceId: string,
  destinationId: string,
  { access, ports = "", seen = 0, denied = 0, ...rest }: EdgeDraft,
): PictureEdge {
  const enforced = rest.enforced ?? ports;
  const kind = access ?? (ports === "" ? PictureAccess.NONE : PictureAccess.SOME_PORTS);
  const portsOf = (text: string) => ({ text, ranges: rangesOf(text) });
  return create(PictureEdgeSchema, {
    ...{ sourceId, destinationId },
    draft: {
      access: kind,
      ports: portsOf(ports),
      pairs: 12n,
      allowedPairs: kind === PictureAccess.NONE ? 0n : 9n,
      byRule: true,
    },
    enforced: {
      access: enforced === "" ? PictureAccess.NONE : PictureAccess.SOME_PORTS,
      ports: portsOf(enforced),
      pairs: 12n,
    },
    flows: {
      connections: BigInt(seen),
      deniedPackets: BigInt(denied),
      ...(seen + denied > 0 ? { lastSeen: timestampFromMs(Date.now() - 3 * MINUTE_MS) } : {}),
    },
    classes: [...rest.classes],
    opens: portsOf(rest.classes.includes(PictureClass.WOULD_OPEN) ? ports : ""),
    closes: portsOf(rest.classes.includes(PictureClass.WOULD_CLOSE) ? enforced : ""),
  });
}

function shop(web = "web") {
  const nodes = [
    group(web, 6, 6, 6),
    group("api", 4, 4, 4),
    group("db", 2, 2, 0),
    group("cache", 2, 2, 2),
    group("mail", 1, 0, 1),
    group("legacy", 3, 0, 0),
    group("jump", 1, 1, 1, "ops"),
    outside("net:10.9.0.0/16", PictureNodeKind.NETWORK, "10.9.0.0/16"),
    outside("world", PictureNodeKind.WORLD, "the rest of the world"),
  ];
  const id = (name: string, namespace = "shop") => `group:${namespace} app=${name}`;
  const { USED, UNUSED, TRIED, WOULD_CLOSE, WOULD_OPEN, UNKNOWN } = PictureClass;
  const edges = [
    edge(id(web), id("api"), {
      ports: "8443/tcp",
      enforced: "443/tcp",
      seen: 48_200,
      classes: [WOULD_CLOSE, WOULD_OPEN],
    }),
    edge(id("api"), id("db"), { ports: "5432/tcp", seen: 9_310, classes: [USED, UNKNOWN] }),
    edge(id("api"), id("cache"), { ports: "6379/tcp", seen: 22_104, classes: [USED] }),
    edge(id(web), id("db"), { denied: 37, classes: [TRIED, UNKNOWN] }),
    edge(id("api"), id("mail"), {
      access: PictureAccess.ALL,
      ports: "any port and protocol",
      seen: 12,
      classes: [USED],
    }),
    edge(id("mail"), "world", { ports: "25/tcp", seen: 96, classes: [USED] }),
    edge(id("legacy"), id("db"), {
      denied: 4,
      ports: "5432/tcp",
      access: PictureAccess.SOME_MEMBERS,
      seen: 3,
      classes: [TRIED, USED],
    }),
    edge("net:10.9.0.0/16", id(web), { ports: "443/tcp", seen: 51_000, classes: [USED] }),
    edge("world", id(web), { ports: "443/tcp", seen: 120_400, classes: [USED] }),
    edge(id("jump", "ops"), id("db"), { ports: "22/tcp", classes: [UNUSED, UNKNOWN] }),
    edge(id("jump", "ops"), id(web), { ports: "22/tcp", classes: [UNUSED] }),
    edge(id("cache"), id("cache"), { ports: "6380/tcp", seen: 40, classes: [USED] }),
  ];
  return { nodes, edges };
}

/** Always the same: neighbours in a ring and some far ones, as services have. */
function large() {
  const name = (index: number) => `svc-${String(index).padStart(3, "0")}`;
  const nodes = Array.from({ length: LARGE_NODES }, (_, index) =>
    group(name(index), 1 + (index % 20), index % 7 === 0 ? 0 : 1 + (index % 20), 0),
  );
  const found = new Map<string, PictureEdge>();
  for (let step = 1; found.size < LARGE_EDGES; step++) {
    const from = (step * 7919) % LARGE_NODES;
    const to = (from + 1 + ((step * step) % 37)) % LARGE_NODES;
    const [source, destination] = [nodes[from], nodes[to]];
    if (!source || !destination || from === to) continue;
    const classes =
      [[PictureClass.USED], [PictureClass.UNUSED], [PictureClass.TRIED], [PictureClass.WOULD_OPEN]][step % 4] ?? [];
    const ports = step % 4 === 2 ? "" : `${8_000 + (step % 100)}/tcp`;
    found.set(
      `${from} ${to}`,
      edge(source.id, destination.id, {
        ports,
        seen: step % 4 === 0 ? step : 0,
        denied: step % 4 === 2 ? 9 : 0,
        classes,
      }),
    );
  }
  return { nodes, edges: [...found.values()] };
}

export class FakePicture {
  /** Requests in order, for tests. */
  readonly asked: string[] = [];
  readonly #ports: FakePicturePorts;
  readonly #picture: { readonly nodes: PictureNode[]; readonly edges: PictureEdge[] };

  constructor(kind: PictureKind, ports: FakePicturePorts) {
    this.#ports = ports;
    this.#picture =
      kind === "large"
        ? large()
        : kind === "empty"
          ? { nodes: [], edges: [] }
          : shop(kind === "hostile" ? HOSTILE_NAME : "web");
  }

  service() {
    return {
      getPicture: (request: GetPictureRequest) => this.#get(request),
      getEdge: (request: GetEdgeRequest) => this.#edge(request),
      draftFor: (request: DraftForRequest) => this.#draft(request),
    };
  }

  async *#get({ focusFile, basis, knownPictureId }: GetPictureRequest) {
    this.asked.push(`picture ${knownPictureId === "" ? "" : "known "}${basis?.grouping} ${focusFile}`);
    await this.#ports.gate();
    const { nodes, edges } = this.#picture;
    const nowMs = Date.now();
    const inFocus = focusFile === "" ? nodes : nodes.slice(0, 4);
    const ids = new Set(inFocus.map(({ id }) => id));
    const shown = edges.filter(({ sourceId, destinationId }) => ids.has(sourceId) && ids.has(destinationId));
    const pictureId = `picture ${focusFile}`;
    const unchanged = knownPictureId === pictureId;
    yield {
      ...{ pictureId, unchanged },
      nodes: unchanged ? [] : inFocus.map((node, index) => ({ ...node, inFocus: focusFile !== "" && index === 0 })),
      hosts:
        nodes.length === 0
          ? []
          : [
              { hostId: "h2", name: "db-1", problem: "It could not be reached yet." },
              {
                hostId: "h3",
                name: "web-2",
                stateDigest: "5e",
                generation: 7n,
                awaySince: timestampFromMs(nowMs - 12 * MINUTE_MS),
              },
            ],
      grouping: 1,
      labelKeys: ["app"],
      knownKeys: ["app", "env", "zone"],
      notes: [],
      unrestrictedPairs: 17n,
      since: timestampFromMs(nowMs - 24 * 60 * MINUTE_MS),
      until: timestampFromMs(nowMs),
      madeAt: timestampFromMs(nowMs),
      flowRecords: 91_422n,
      endpoints: nodes.reduce((sum, { members }) => sum + members, 0),
    };
    for (let start = 0; start < shown.length && !unchanged; start += EDGES_IN_PART)
      yield { edges: shown.slice(start, start + EDGES_IN_PART) };
  }

  async #edge({ sourceId, destinationId }: GetEdgeRequest) {
    this.asked.push(`edge ${sourceId} ${destinationId}`);
    await this.#ports.gate();
    const { nodes, edges } = this.#picture;
    const found = edges.find((each) => each.sourceId === sourceId && each.destinationId === destinationId);
    const [source, destination] = [sourceId, destinationId].map((id) => nodes.find((node) => node.id === id));
    const decision = (verdict: Verdict, summary: string, line: number) => ({
      ...{ id: "0123456789abcdef", verdict, policyKeys: ["NetworkPolicy/shop/web"], rule: "ingress[0]", summary },
      source: { file: "policies/web.yaml", startLine: line, line, column: 5, endLine: line, endColumn: 20 },
    });
    const allows = decision(Verdict.ALLOW, "allowed by shop/web, ingress[0]", 9);
    const denies = decision(Verdict.DENY, "denied: shop/web isolates ingress and no rule allows it", 3);
    const [from, to] = [source?.addresses[0] ?? "203.0.113.9", destination?.addresses[0] ?? "203.0.113.9"];
    const ends = {
      fromKey: source?.memberKeys[0] ?? "",
      fromAddress: from,
      toKey: destination?.memberKeys[0] ?? "",
      toAddress: to,
    };
    return {
      ...{ edge: found, source, destination },
      allowing: [
        {
          direction: Direction.INGRESS,
          decision: allows,
          from: "app=web in shop",
          to: "app=api in shop",
          ports: "8443/tcp",
        },
      ],
      denying: [
        {
          direction: Direction.INGRESS,
          decision: denies,
          from: "app=web",
          to: "app=api",
          ports: "every protocol but tcp",
        },
      ],
      allowedExample: { ...ends, protocol: 6, port: 8443, ingress: allows },
      deniedExample: { ...ends, protocol: 6, port: 1, ingress: denies },
      flowGroups: [
        {
          sourceAddress: from,
          destinationAddress: to,
          sourceKey: ends.fromKey,
          destinationKey: ends.toKey,
          protocol: 6,
          port: 443,
          ...{ flows: found?.flows, draftAllows: false },
        },
      ],
      flowQuery: `src:${from} dst:${to}`,
      testText:
        "apiVersion: wardline.io/v1\nkind: PolicyTest\nmetadata: {name: web-to-api, namespace: shop}\nspec:\n  tests: []\n",
    };
  }

  async #draft({ nodeIds }: DraftForRequest) {
    this.asked.push(`draft ${nodeIds.join(" ")}`);
    await this.#ports.gate();
    const lastSeen = timestampFromMs(Date.now() - 3 * MINUTE_MS);
    return {
      suggestions: nodeIds
        .filter((id) => id.startsWith("group:"))
        .map((id) => ({
          ...{
            name: `suggested-${id.split("=")[1] ?? "group"}`,
            namespace: "shop",
            group: id.slice(6),
            confidence: 0.86,
          },
          rules: [
            {
              direction: Direction.EGRESS,
              peers: ["shop app=db"],
              ports: ["5432/tcp"],
              confidence: 0.86,
              connections: 9_310n,
              lastSeen,
            },
          ],
          policyText: "",
          notes: ["No ingress was kept, so all of it would be denied."],
        })),
      text: "apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: suggested-api, namespace: shop}\nspec:\n  subject: {selector: {matchLabels: {app: api}}}\n  isolate: [ingress, egress]\n",
      path: "shop-suggested-api.yaml",
      flowRecords: 9_310n,
      notes: ["3 talks look like a scan: they are left out."],
    };
  }
}
