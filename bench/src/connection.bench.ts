/**
 * Connection set-up cost: connect, one byte each way, close with RST, from a guarded host to a server in another network
 * namespace over a veth pair. Variants are interleaved in a random order in each round and compared within the round.
 * Every filter proves by its own counters that it was live during the measurement.
 */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { compile, readPolicyFiles } from "@wardline/domain/policy";
import { createEbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import { attachToCgroup, BPF_ATTACH_TYPE, loadObject } from "@wardline/helper/linux/bpf/libbpf";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { publish } from "./lib/publish.ts";
import { makeRules, toNftLinear, toNftSet, toPolicy } from "./lib/rules.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 12);
const MILLISECONDS = Number(process.env.WARDLINE_BENCH_MS ?? 1000);
const RULES = 1000;
const PORT = 7000;

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`connection: left out, ${problem}`);
  process.exit(0);
}

interface Measured {
  readonly connections: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
}

/** Puts a filter up and returns how to prove that it saw traffic, and how to take it down. */
interface Variant {
  readonly name: string;
  up(): Promise<{ seenPackets(): number; down(): Promise<void> }>;
}

const lab = new KernelLab();
const native = fileURLToPath(new URL("../native", import.meta.url));
const binary = join(lab.directory, "connect");
execFileSync("clang", ["-O2", "-o", binary, join(native, "connect.c")]);
execFileSync("clang", ["-O2", "-g", "-target", "bpf", "-c", join(native, "empty.bpf.c"), "-o", `${binary}.bpf.o`]);

const rules = makeRules(RULES, { cidr: `${PEER_ADDRESS[4]}/32`, low: PORT, high: PORT });
const hostName = "bench";
const { world, diagnostics, ok } = readPolicyFiles([
  { path: "bench.yaml", text: toPolicy(rules) },
  {
    path: "host.yaml",
    text: `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${hostName}}\nspec: {addresses: [10.77.0.2]}\n`,
  },
]);
if (!ok) throw new Error(JSON.stringify(diagnostics));
const program = compile(world, hostName);
const objectBytes = readBpfObject();

function nft(script: string): void {
  execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", "-f", "-"], { input: script });
}

function nftVariant(name: string, script: string): Variant {
  return {
    name,
    async up() {
      nft(script);
      return {
        seenPackets() {
          const listing = execFileSync("nsenter", [
            `--net=${lab.hostNamespace}`,
            "nft",
            "list",
            "chain",
            "inet",
            "wardline_bench",
            "output",
          ]);
          return [...listing.toString().matchAll(/counter packets (\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
        },
        async down() {
          nft("delete table inet wardline_bench\n");
        },
      };
    },
  };
}

const variants: readonly Variant[] = [
  { name: "none", up: async () => ({ seenPackets: () => Number.NaN, down: async () => {} }) },
  {
    name: "empty hooks",
    async up() {
      const object = loadObject(readFileSync(`${binary}.bpf.o`), { maxEntries: new Map(), reuse: new Map() });
      const cgroupFd = openSync(lab.cgroupRoot, "r");
      const links = [
        attachToCgroup(object.programFd("empty_ingress"), cgroupFd, BPF_ATTACH_TYPE.cgroupInetIngress),
        attachToCgroup(object.programFd("empty_egress"), cgroupFd, BPF_ATTACH_TYPE.cgroupInetEgress),
      ];
      closeSync(cgroupFd);
      return {
        seenPackets: () => Number.NaN,
        async down() {
          for (const fd of links) closeSync(fd);
          object.close();
        },
      };
    },
  },
  {
    name: "wardline",
    async up() {
      const enforcer = createEbpfEnforcer({ cgroupRoot: lab.cgroupRoot, bpffsDir: lab.bpffsDir, objectBytes });
      await enforcer.open();
      const prepared = await enforcer.prepare(program, 1);
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
      return {
        seenPackets: () => enforcer.readCounters().reduce((sum, counter) => sum + Number(counter.packets), 0),
        async down() {
          await enforcer.release();
          await enforcer.close();
        },
      };
    },
  },
  nftVariant("nftables set", toNftSet(rules)),
  nftVariant("nftables linear", toNftLinear(rules)),
];

async function startServer(): Promise<() => void> {
  const child = spawn(
    "taskset",
    ["-c", "1", "nsenter", `--net=${lab.peerNamespace}`, binary, "server", "4", PEER_ADDRESS[4], `${PORT}`],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await new Promise<void>((resolve) => createInterface({ input: child.stdout }).once("line", () => resolve()));
  return () => child.kill();
}

function measure(milliseconds: number): Measured {
  const script = `echo $$ > ${lab.cgroupRoot}/cgroup.procs; exec taskset -c 0 nsenter --net=${lab.hostNamespace} ${binary} client 4 ${PEER_ADDRESS[4]} ${PORT} ${milliseconds}`;
  return JSON.parse(execFileSync("sh", ["-c", script]).toString()) as Measured;
}

function shuffled<T>(items: readonly T[]): T[] {
  const copy = [...items];
  for (let index = copy.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [copy[index], copy[other]] = [copy[other] as T, copy[index] as T];
  }
  return copy;
}

const samples = new Map<string, Measured[]>(variants.map(({ name }) => [name, []]));
const stopServer = await startServer();
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const variant of shuffled(variants)) {
      const live = await variant.up();
      try {
        measure(100);
        const before = live.seenPackets();
        const measured = measure(MILLISECONDS);
        const seen = live.seenPackets() - before;
        if (seen < measured.connections) throw new Error(`${variant.name} was not live: it saw ${seen} packets`);
        samples.get(variant.name)?.push(measured);
      } finally {
        await live.down();
      }
    }
    console.log(`round ${round + 1} of ${ROUNDS}`);
  }
} finally {
  stopServer();
  await lab.close();
}

const microseconds = (name: string): number[] => (samples.get(name) ?? []).map(({ meanNs }) => meanNs / 1000);
const floor = microseconds("none");
publish("connection", {
  what: "Time of one connect, one byte each way, close; microseconds per connection (mean of a run, summarised over rounds).",
  method: `${ROUNDS} rounds of ${MILLISECONDS} ms, variants interleaved in random order; client on CPU 0 in the guarded cgroup, server on CPU 1 outside it; veth between two network namespaces; ${RULES + 1} rules from one source.`,
  variants: Object.fromEntries(
    variants.map(({ name }) => {
      const own = microseconds(name);
      return [
        name,
        {
          microseconds: rounded(summarize(own)),
          overNone: rounded(summarize(own.map((value, index) => value - (floor[index] ?? Number.NaN)))),
          ratioToNone: rounded(summarizeRatios(own, floor), 3),
          p99Microseconds: rounded(summarize((samples.get(name) ?? []).map(({ p99Ns }) => p99Ns / 1000))),
        },
      ];
    }),
  ),
  wardlineToNftablesSet: rounded(summarizeRatios(microseconds("wardline"), microseconds("nftables set")), 3),
});
