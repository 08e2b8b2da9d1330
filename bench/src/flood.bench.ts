/**
 * Scans and floods (B12): SYNs and datagrams from random sources as fast as one processor sends them, at an allowed and at a
 * denied port, while somebody works: long connections that exchange a byte in turn, and new ones every 10 ms. What is
 * counted is what that somebody loses. Peers: no filter, and nftables with conntrack whose table is as large as ours.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { handProgram } from "@wardline/helper/testing/handProgram";
import {
  HOST_ADDRESS,
  KernelLab,
  kernelLabProblem,
  PEER_ADDRESS,
  readBpfObject,
} from "@wardline/helper/testing/kernelLab";
import { EDGE_NAME, edgeOptions } from "./lib/edge.ts";
import { type Filter, type LiveFilter, nftFilter, underFilter, wardlineFilter } from "./lib/filters.ts";
import { Attempts, fromEnvironment } from "./lib/measuring.ts";
import { buildNative, programProblem, type Running, runAt, startAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";

const FLOOD_MS = fromEnvironment("FLOOD_MS", 2000);
const CONNECTIONS = fromEnvironment("CONNECTIONS", 100);
const TABLE_ENTRIES = fromEnvironment("TABLE_ENTRIES", 65_536);
const WORK_PORT = 7001;
const ALLOWED_PORT = 7002;
const DENIED_PORT = 7003;
const CONNTRACK_MAX = "/proc/sys/net/netfilter/nf_conntrack_max";

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`flood: left out, ${problem}`);
  process.exit(0);
}

interface Legitimate {
  readonly exchanges: number;
  readonly lostFlows: number;
  readonly opened: number;
  readonly lostOpens: number;
  readonly worstMs: number;
}

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const flooder = buildNative(lab.directory, "flood");
const worker = buildNative(lab.directory, "legitimate");

const exchange = buildNative(lab.directory, "exchange");
const conntrackMissing = programProblem("conntrack");
if (conntrackMissing !== null) attempts.skip("emptying conntrack between floods", conntrackMissing);

const rules = [6, 17].flatMap((protocol) =>
  [WORK_PORT, ALLOWED_PORT].map((port) => {
    return { direction: "ingress", remote: null, protocol, port, verdict: "allow" } as const;
  }),
);
const program = handProgram({ rules, otherwise: { ingress: "deny", egress: "allow" } });
const NFT = `table inet wardline_bench {
  chain output { type filter hook output priority 0; policy accept; counter; }
  chain input {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
    counter
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport { ${WORK_PORT}, ${ALLOWED_PORT} } accept
    udp dport { ${WORK_PORT}, ${ALLOWED_PORT} } accept
  }
}
`;

/** nftables with a connection table of the same size as Wardline's; the machine's own limit is put back. */
function nftWithSmallTable(): Filter {
  const inner = nftFilter("nftables set", [lab.hostNamespace], NFT);
  return {
    name: inner.name,
    async up() {
      const before = readFileSync(CONNTRACK_MAX, "utf8");
      writeFileSync(CONNTRACK_MAX, `${TABLE_ENTRIES}`);
      const live = await inner.up();
      return {
        seenPackets: () => live.seenPackets(),
        async down() {
          await live.down();
          writeFileSync(CONNTRACK_MAX, before);
          // What one flood left would fill the table of the next.
          if (conntrackMissing === null)
            execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "conntrack", "-F"], { stdio: "ignore" });
        },
      };
    },
  };
}

const FILTERS: readonly (readonly [string, Filter])[] = [
  ["none", { name: "none", up: async () => ({ seenPackets: () => Number.NaN, down: async () => {} }) }],
  ["wardline", wardlineFilter(lab, program, "wardline", { flowTableEntries: TABLE_ENTRIES })],
  [EDGE_NAME, wardlineFilter(lab, program, EDGE_NAME, { ...edgeOptions(lab), flowTableEntries: TABLE_ENTRIES })],
  ["nftables and conntrack", nftWithSmallTable()],
];
const FLOODS = [
  { name: "SYN to an allowed port", kind: "syn", port: ALLOWED_PORT },
  { name: "SYN to a denied port", kind: "syn", port: DENIED_PORT },
  { name: "UDP to an allowed port", kind: "udp", port: ALLOWED_PORT },
  { name: "UDP to a denied port", kind: "udp", port: DENIED_PORT },
] as const;
type Flood = (typeof FLOODS)[number];

/** Work goes on a little before and after the flood. */
async function measure({ kind, port }: Flood, live: LiveFilter): Promise<object> {
  const client = [worker, "client", HOST_ADDRESS[4], `${WORK_PORT}`, `${CONNECTIONS}`, `${FLOOD_MS + 1000}`];
  const before = live.seenPackets();
  const working = await startAt(lab, { side: "peer", processor: 1 }, client);
  try {
    const command = [flooder, kind, HOST_ADDRESS[4], `${port}`, `${FLOOD_MS}`];
    const { sent, nanoseconds } = JSON.parse(await runAt(lab, { side: "peer", processor: 0 }, command)) as {
      sent: number;
      nanoseconds: number;
    };
    const legitimate = JSON.parse((await working.finished()).split("\n").at(-2) ?? "") as Legitimate;
    const seen = live.seenPackets() - before;
    if (seen < legitimate.exchanges) throw new Error(`it was not live: it saw ${seen} packets`);
    const again = [worker, "client", HOST_ADDRESS[4], `${WORK_PORT}`, "1", "1"];
    const newcomer = await runAt(lab, { side: "peer", processor: 1 }, again).then(
      () => true,
      () => false,
    );
    return {
      floodPackets: sent,
      seenByFilter: Number.isNaN(seen) ? null : seen,
      canConnectAfterwards: newcomer,
      floodPacketsPerSecond: Math.round((sent * 1e9) / nanoseconds),
      ...legitimate,
      lost: legitimate.lostFlows + legitimate.lostOpens,
    };
  } finally {
    await working.stop();
  }
}

const results: Record<string, Record<string, object | null>> = {};
const host = { side: "host", processor: 1 } as const;
const servers: Running[] = [];
try {
  // A packet for a port that nobody has open never reaches the hooks of sockets.
  for (const port of [WORK_PORT, ALLOWED_PORT, DENIED_PORT])
    servers.push(await startAt(lab, host, [worker, "server", `${port}`]));
  for (const port of [ALLOWED_PORT, DENIED_PORT])
    servers.push(await startAt(lab, host, [exchange, "sink", "udp", "4", HOST_ADDRESS[4], `${port}`]));
  // Answers to made-up sources have somewhere to go: to the peer, which drops them as a router without routes does.
  execFileSync("ip", ["-n", `${lab.name}-host`, "route", "add", "default", "via", PEER_ADDRESS[4]]);
  for (const flood of FLOODS) {
    const byFilter: Record<string, object | null> = {};
    for (const [name, filter] of FILTERS)
      byFilter[name] = await attempts.run(`${name}: ${flood.name}`, () =>
        underFilter(filter, (live) => measure(flood, live)),
      );
    results[flood.name] = byFilter;
    console.log(`${flood.name} measured`);
  }
} finally {
  for (const server of servers) await server.stop();
  await lab.close();
}

publish("flood", {
  what: "What legitimate traffic loses while a flood of random sources runs.",
  method: `${FLOOD_MS} ms of flood from CPU 0 into a table of ${TABLE_ENTRIES} entries (conntrack: the same limit), ${CONNECTIONS} long connections in turn and a new one every 10 ms from CPU 1, where the server runs too. Lost = not answered within three seconds.`,
  passLine: "no legitimate flow lost",
  results,
  leftOut: attempts.leftOut,
});
