/**
 * Memory of the tables, and what freeing an old generation does to packets (B11). Memory is what the kernel charges the
 * maps that one prepare made. Freeing happens when a generation is replaced in its slot: a ping-pong in real-time priority
 * runs meanwhile, once on the other processor and once on the same one, and its worst round trip is compared with one
 * while nothing is replaced.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { Attempts, fromEnvironment, listFromEnvironment, pinThisProcess } from "./lib/measuring.ts";
import { buildNative, programProblem, startAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { toNftSet } from "./lib/rules.ts";
import { sizedRules } from "./lib/rulesOfSize.ts";
import { tableProgram } from "./lib/tableProgram.ts";

const SIZES = listFromEnvironment("SIZES", [10_000, 100_000, 1_000_000]);
const PORT = 7000;
const LOOP_PROCESSOR = 1;
const QUIET_MS = fromEnvironment("QUIET_MS", 1500);
const PAUSE_US = 100;
const FREE_PATIENCE_MS = 2000;
/** nft reads a million elements for tens of seconds. */
const NFT_LIMIT = 100_000;

const problem = kernelLabProblem() ?? programProblem("bpftool") ?? programProblem("chrt");
if (problem !== null) {
  console.log(`memory: left out, ${problem}`);
  process.exit(0);
}

interface Listed {
  readonly id: number;
  readonly name?: string;
  readonly bytes_memlock?: number;
}

interface Latency {
  readonly roundTrips: number;
  readonly lost: number;
  readonly p9999Ns: number;
  readonly worstNs: number;
  readonly overOneMillisecond: number;
}

const objectBytes = readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const binary = buildNative(lab.directory, "exchange");
pinThisProcess(LOOP_PROCESSOR);

function wardlineMaps(): Map<number, Listed> {
  const all = JSON.parse(execFileSync("bpftool", ["-j", "map", "show"], { maxBuffer: 1 << 26 }).toString()) as Listed[];
  return new Map(all.filter(({ name }) => name?.startsWith("wl_")).map((map) => [map.id, map]));
}

function mebibytes(bytes: number): number {
  return Number((bytes / 2 ** 20).toFixed(2));
}

/** What the kernel charges for the maps that appeared between two listings. */
function grown(before: ReadonlyMap<number, Listed>, after: ReadonlyMap<number, Listed>): number {
  let bytes = 0;
  for (const [id, map] of after) if (!before.has(id)) bytes += map.bytes_memlock ?? 0;
  return mebibytes(bytes);
}

async function openEnforcer(): Promise<EbpfEnforcer> {
  const { cgroupRoot, bpffsDir } = lab;
  const enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes });
  await enforcer.open();
  return enforcer;
}

/** Round trips while `work` runs. Pauses keep the processor under half used, or the kernel would hold real-time work back. */
async function latencyDuring(processor: number, work: () => Promise<void>): Promise<Latency> {
  const place = ["udp", "4", PEER_ADDRESS[4], `${PORT}`];
  const server = await startAt(lab, { side: "peer", processor, realTime: true }, [binary, "echo", ...place]);
  try {
    const client = { side: "host", processor, realTime: true } as const;
    const pinging = await startAt(lab, client, [binary, "pingpong", ...place, "0", `${PAUSE_US}`], false);
    await sleep(100);
    await work();
    return JSON.parse(await pinging.stop()) as Latency;
  } finally {
    await server.stop();
  }
}

/** Until the kernel no longer lists any of these maps: from then on it frees them in the background. `null` = not in time, or kept. */
async function waitUntilGone(ids: readonly number[]): Promise<number | null> {
  const start = performance.now();
  while (performance.now() - start < FREE_PATIENCE_MS) {
    const present = wardlineMaps();
    if (!ids.some((id) => present.has(id))) return Number((performance.now() - start).toFixed(1));
    await sleep(20);
  }
  return null;
}

async function measureFree(size: number, processor: number): Promise<object> {
  const enforcer = await openEnforcer();
  const activate = async (entries: number, generation: number): Promise<void> => {
    const prepared = await enforcer.prepare(tableProgram(entries, 4, "shared").program, generation);
    enforcer.activate(prepared, { mode: "observe", fallbackAfterMs: null });
  };
  try {
    await activate(8, 1);
    const empty = wardlineMaps();
    const start = performance.now();
    await activate(size, 2);
    const applyMs = performance.now() - start;
    const full = wardlineMaps();
    const tablesMiB = grown(empty, full);
    const large = [...full].filter(([id, { name }]) => !empty.has(id) && name === "wl_tables").map(([id]) => id);
    await activate(8, 3);
    // The third filled the other slot. The fourth takes the place of the large one, which is freed then.
    let freedAfterMs: number | null = null;
    const freeing = await latencyDuring(processor, async () => {
      await activate(8, 4);
      freedAfterMs = await waitUntilGone(large);
      await sleep(QUIET_MS);
    });
    return {
      applyMs: Number(applyMs.toFixed(1)),
      tablesMiB,
      freedAfterMs,
      ...described(freeing),
    };
  } finally {
    await enforcer.release();
  }
}

function described({ roundTrips, lost, p9999Ns, worstNs, overOneMillisecond }: Latency): object {
  return { roundTrips, lost, p9999Microseconds: p9999Ns / 1000, worstMicroseconds: worstNs / 1000, overOneMillisecond };
}

async function measureQuiet(processor: number): Promise<object> {
  const enforcer = await openEnforcer();
  try {
    const prepared = await enforcer.prepare(tableProgram(8, 4, "shared").program, 1);
    enforcer.activate(prepared, { mode: "observe", fallbackAfterMs: null });
    return described(await latencyDuring(processor, () => sleep(QUIET_MS)));
  } finally {
    await enforcer.release();
  }
}

/** Growth of the kernel's small objects by an nftables set of as many elements: one reading, other work is in it. */
function measureNft(size: number): object {
  const nft = (args: readonly string[], input = ""): void =>
    void execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", ...args], { input, timeout: 120_000 });
  const slab = (): number => Number(/^Slab:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]) * 1024;
  const script = toNftSet(sizedRules(size, 0));
  const before = slab();
  nft(["-f", "-"], script);
  const setMiB = mebibytes(slab() - before);
  nft(["delete", "table", "inet", "wardline_bench"]);
  return { setMiB };
}

const PROCESSORS = { "other processor": 1 - LOOP_PROCESSOR, "same processor": LOOP_PROCESSOR };
const quiet: Record<string, object | null> = {};
const sizes: Record<string, Record<string, object | null>> = {};
try {
  for (const [where, processor] of Object.entries(PROCESSORS))
    quiet[where] = await attempts.run(`quiet, ${where}`, () => measureQuiet(processor));
  for (const size of SIZES) {
    const own: Record<string, object | null> = {};
    for (const [where, processor] of Object.entries(PROCESSORS).slice(0, size > NFT_LIMIT ? 1 : 2))
      own[where] = await attempts.run(`${size} entries, ${where}`, () => measureFree(size, processor));
    if (size <= NFT_LIMIT) own.nftables = await attempts.run(`nft set of ${size}`, () => measureNft(size));
    else attempts.skip(`nft set of ${size}`, "not tried: nft reads a million elements for tens of seconds");
    sizes[`${size} entries`] = own;
    console.log(`${size} entries measured`);
  }
} finally {
  await lab.close();
}

publish("memory", {
  what: "Memory that the kernel charges the tables of one generation; how long until an old one is freed, and the worst round trip of a ping-pong meanwhile.",
  method: `Networks of one family that share 64 services. Ping-pong of 64 bytes every ${PAUSE_US} µs in real-time priority; the process that replaces the generation is on CPU ${LOOP_PROCESSOR}. "quiet" is the same without a replacement: what the machine itself does. A small map is kept and written over by the next generation: then nothing is let go (–). On the same processor a system call of the replacing process holds the ping-pong's processes up, not only its packets.`,
  passLine: "on the other processor no round trip over 1 ms that quiet does not have",
  quiet,
  sizes,
  leftOut: attempts.leftOut,
});
