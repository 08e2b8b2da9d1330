/**
 * What a verdict in user space costs (B10): new connections through an NFQUEUE whose reader accepts everything at once. No
 * policy and no process lookup, so this is the lower bound of firewalls that decide in user space. nftables' own queue
 * statement is tried first, then legacy iptables.
 */
import { execFileSync } from "node:child_process";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { benchBook, compileBook, type Filter, SERVICE_PORTS, underFilter, wardlineFilter } from "./lib/filters.ts";
import { Attempts, explain, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { buildNative, programProblem, runAt, startAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { Rounds } from "./lib/rounds.ts";

const ROUNDS = fromEnvironment("ROUNDS", 6);
const MILLISECONDS = fromEnvironment("MS", 300);
const QUEUE = 7;
const PORT = SERVICE_PORTS.low;

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`queue: left out, ${problem}`);
  process.exit(0);
}

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const connect = buildNative(lab.directory, "connect");
const queue = buildNative(lab.directory, "queue");

function inHost(command: string, args: readonly string[], input?: string): void {
  execFileSync("nsenter", [`--net=${lab.hostNamespace}`, command, ...args], {
    stdio: ["pipe", "ignore", "pipe"],
    ...(input === undefined ? {} : { input }),
  });
}

interface QueueWay {
  readonly name: string;
  up(): void;
  down(): void;
}

const NFT_WAY: QueueWay = {
  name: "nft queue",
  up: () =>
    inHost(
      "nft",
      ["-f", "-"],
      `table inet wardline_bench { chain output { type filter hook output priority 0; ct state new queue num ${QUEUE}; }\n}\n`,
    ),
  down: () => inHost("nft", ["delete", "table", "inet", "wardline_bench"]),
};

const NEW_TO_QUEUE = ["OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "NFQUEUE", "--queue-num", `${QUEUE}`];
const IPTABLES_WAY: QueueWay = {
  name: "iptables-legacy NFQUEUE",
  up: () => inHost("iptables-legacy", ["-A", ...NEW_TO_QUEUE]),
  down: () => inHost("iptables-legacy", ["-D", ...NEW_TO_QUEUE]),
};

/** The first way that this machine can do, or `null`; each refusal is published with its exact reason. */
function findWay(): QueueWay | null {
  for (const way of [NFT_WAY, IPTABLES_WAY]) {
    const missing = way === IPTABLES_WAY ? programProblem("iptables-legacy") : programProblem("nft");
    if (missing !== null) {
      attempts.skip(way.name, missing);
      continue;
    }
    try {
      way.up();
      way.down();
      return way;
    } catch (error) {
      attempts.skip(way.name, `not possible here: ${explain(error)}`);
    }
  }
  return null;
}

async function runClient(milliseconds: number): Promise<{ connections: number; meanNs: number }> {
  const address = ["tcp", "4", PEER_ADDRESS[4], `${PORT}`, `${milliseconds}`];
  return JSON.parse(await runAt(lab, { side: "host", processor: 0 }, [connect, "client", ...address]));
}

/** Accepts each new connection in a process of its own, and proves with its count that every one passed through it. */
async function measureQueue(way: QueueWay): Promise<number> {
  const reader = await startAt(lab, { side: "host", processor: 1, guarded: false }, [queue, `${QUEUE}`]);
  try {
    way.up();
    try {
      await runClient(50);
      const { meanNs, connections } = await runClient(MILLISECONDS);
      const said = JSON.parse((await reader.stop()).split("\n").at(-2) ?? "{}") as { seen?: number };
      if ((said.seen ?? 0) < connections) throw new Error(`the queue saw ${said.seen} of ${connections} connections`);
      return meanNs / 1000;
    } finally {
      way.down();
    }
  } finally {
    await reader.stop();
  }
}

const NAMES = ["none", "wardline", "queue"] as const;
const rounds = new Rounds(NAMES.map((name) => ({ name })));
const wardline: Filter = wardlineFilter(lab, compileBook(benchBook(1000)));
const way = findWay();
const server = await startAt(lab, { side: "peer", processor: 1 }, [
  ...[connect, "server", "tcp", "4", PEER_ADDRESS[4], `${PORT}`],
]);
try {
  for (let round = 0; way !== null && round < ROUNDS; round++)
    for (const name of shuffled(NAMES))
      await attempts.run(name, async () => {
        if (name === "queue") rounds.set(name, round, await measureQueue(way));
        else if (name === "none") rounds.set(name, round, (await runClient(MILLISECONDS)).meanNs / 1000);
        else
          await underFilter(wardline, async (live) => {
            await runClient(50);
            const before = live.seenPackets();
            const { meanNs, connections } = await runClient(MILLISECONDS);
            const seen = live.seenPackets() - before;
            if (seen < connections) throw new Error(`it was not live: it saw ${seen} packets`);
            rounds.set(name, round, meanNs / 1000);
          });
      });
} finally {
  await server.stop();
  await lab.close();
}

publish("queue", {
  what: "Time of one connect, one byte each way, close, in microseconds: no filter, Wardline, and a user-space verdict for each new connection.",
  method: `${ROUNDS} rounds of ${MILLISECONDS} ms, interleaved in random order; client on CPU 0, server and queue reader on CPU 1. The reader accepts everything: a lower bound, labelled as such.`,
  way: way?.name ?? null,
  microseconds: {
    none: rounds.describe("none"),
    wardline: rounds.describe("wardline"),
    userSpaceVerdict: rounds.describe("queue"),
  },
  documented: {
    note: "Published by others, not measured here.",
    queueSaturation: "about 16,000 packets/s or 230 Mbit/s before loss (ntop/ntopng issue 822)",
    openSnitch: "20-60 ms for each connection before caching (evilsocket/opensnitch issue 284)",
  },
  leftOut: attempts.leftOut,
});
