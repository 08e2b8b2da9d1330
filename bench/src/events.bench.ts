/**
 * Event capacity and honesty (B8): a flood of new flows, allowed and denied, with a reader that keeps up and with one that
 * sleeps. The generator says how many it made; delivered events plus every loss counter have to be exactly as many. The
 * peer is `conntrack -E`, which says that it lost some and not how many.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { EbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import type { EventLosses } from "@wardline/helper/enforce/enforcer";
import { handProgram } from "@wardline/helper/testing/handProgram";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { labOptions } from "./lib/edge.ts";
import { Attempts, fromEnvironment } from "./lib/measuring.ts";
import { bpfilterProblem, buildNative, programProblem, runAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";

const FLOWS = fromEnvironment("FLOWS", 200_000);
const SLOW_READER_MS = fromEnvironment("SLOW_READER_MS", 400);
const PORTS = 20_000;
const FIRST_PORT = 20_001;
const DENIED_FIRST_PORT = 1;
const SILENT_ADDRESS = "10.77.0.200";
const PATIENCE_MS = 3000;

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`events: left out, ${problem}`);
  process.exit(0);
}

interface Sent {
  readonly sent: number;
  readonly refused: number;
  readonly nanoseconds: number;
}

const objectBytes = readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const binary = buildNative(lab.directory, "flows");

/** A neighbour that never answers: no reply and no ICMP error disturbs the count. */
function addSilentNeighbour(): void {
  const ip = (side: string, ...args: string[]): string =>
    execFileSync("ip", ["-n", `${lab.name}-${side}`, ...args]).toString();
  const hardware = /link\/ether (\S+)/.exec(ip("peer", "link", "show", "eth0"))?.[1];
  if (hardware === undefined) throw new Error(`the peer's interface has no hardware address (${PEER_ADDRESS[4]})`);
  ip("host", "neigh", "replace", SILENT_ADDRESS, "lladdr", hardware, "dev", "eth0");
}

async function flood(firstPort: number, count: number, perSecond = 0): Promise<Sent> {
  const command = [binary, SILENT_ADDRESS, `${firstPort}`, `${PORTS}`, `${count}`, `${perSecond}`];
  return JSON.parse(await runAt(lab, { side: "host", processor: 0 }, command)) as Sent;
}

/** Blocks this whole process: what a reader does that has other work. */
function blockFor(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function difference(after: EventLosses, before: EventLosses): Record<keyof EventLosses, number> {
  return {
    ringFull: Number(after.ringFull - before.ringFull),
    rateLimited: Number(after.rateLimited - before.rateLimited),
    notFollowed: Number(after.notFollowed - before.notFollowed),
  };
}

interface Run {
  readonly firstPort: number;
  readonly kind: "start" | "deny";
  readonly slow: boolean;
  readonly flows: number;
  readonly flowTableEntries: number;
}

async function measure({ firstPort, kind, slow, flows, flowTableEntries }: Run): Promise<object> {
  const { cgroupRoot, bpffsDir } = lab;
  const enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes, flowTableEntries, ...labOptions(lab) });
  await enforcer.open();
  try {
    const program = handProgram({
      rules: Array.from({ length: 0 }),
      otherwise: { ingress: "allow", egress: kind === "start" ? "allow" : "deny" },
    });
    enforcer.activate(await enforcer.prepare(program, 1), { mode: "enforce", fallbackAfterMs: null });
    let delivered = 0;
    let others = 0;
    const stopListening = enforcer.onEvents((events) => {
      for (const event of events) {
        if (event.kind === kind && event.destinationAddress === SILENT_ADDRESS) delivered += 1;
        else others += 1;
      }
      if (slow) blockFor(SLOW_READER_MS);
    });
    const before = enforcer.losses();
    const cpu = process.cpuUsage();
    const { sent, refused, nanoseconds } = await flood(firstPort, flows);
    const made = kind === "start" ? sent : refused;
    const lossesNow = (): Record<keyof EventLosses, number> => difference(enforcer.losses(), before);
    const accounted = (): number => delivered + lossesNow().ringFull + lossesNow().rateLimited;
    const deadline = performance.now() + PATIENCE_MS;
    while (accounted() < made && performance.now() < deadline) {
      enforcer.drainEvents();
      await sleep(20);
    }
    const { user, system } = process.cpuUsage(cpu);
    stopListening();
    const losses = lossesNow();
    const seen = enforcer.readCounters().reduce((sum, counter) => sum + Number(counter.packets), 0);
    if (seen < made) throw new Error(`it was not live: it saw ${seen} of ${made} packets`);
    const sum = delivered + others + losses.ringFull + losses.rateLimited;
    return {
      made,
      delivered,
      otherEvents: others,
      losses,
      // Every event that was made was delivered or counted as lost, none twice.
      exact: sum === made + others,
      difference: sum - made - others,
      flowsPerSecond: Math.round((flows * 1e9) / nanoseconds),
      deliveredPerSecond: Math.round((delivered * 1e9) / nanoseconds),
      readerMicrosecondsPerEvent: delivered > 0 ? Number(((user + system) / delivered).toFixed(2)) : null,
    };
  } finally {
    await enforcer.release();
  }
}

/** The same flood with conntrack, and a process that follows its events. */
async function measureConntrack(): Promise<object> {
  const enter = [`--net=${lab.hostNamespace}`];
  const nft = (script: string): void => void execFileSync("nsenter", [...enter, "nft", "-f", "-"], { input: script });
  nft(
    "table inet wardline_bench { chain output { type filter hook output priority 0; ct state new counter accept; }\n}\n",
  );
  const child = spawn("nsenter", [...enter, "conntrack", "-E", "-e", "NEW", "-p", "udp", "-o", "extended"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let delivered = 0;
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) delivered += 1;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    said += String(chunk);
  });
  try {
    await sleep(500);
    const { sent, nanoseconds } = await flood(FIRST_PORT, FLOWS);
    await sleep(1000);
    return {
      made: sent,
      delivered,
      exact: null,
      unaccounted: sent - delivered,
      flowsPerSecond: Math.round((FLOWS * 1e9) / nanoseconds),
      said: said.trim().split("\n").slice(-2).join(" / "),
    };
  } finally {
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await exited;
    nft("delete table inet wardline_bench\n");
  }
}

const results: Record<string, object | null> = {};
try {
  addSilentNeighbour();
  const roomy = 1 << 19;
  const runs: readonly (readonly [string, Run])[] = [
    ["allowed flows", { firstPort: FIRST_PORT, kind: "start", slow: false, flows: FLOWS, flowTableEntries: roomy }],
    [
      "allowed flows, slow reader",
      { firstPort: FIRST_PORT, kind: "start", slow: true, flows: FLOWS, flowTableEntries: roomy },
    ],
    [
      "denied flows",
      { firstPort: DENIED_FIRST_PORT, kind: "deny", slow: false, flows: FLOWS, flowTableEntries: roomy },
    ],
    [
      "denied flows, slow reader",
      { firstPort: DENIED_FIRST_PORT, kind: "deny", slow: true, flows: FLOWS, flowTableEntries: roomy },
    ],
  ];
  for (const [name, run] of runs) results[name] = await attempts.run(name, () => measure(run));
  const missing = programProblem("conntrack");
  if (missing === null) results["conntrack -E, NEW"] = await attempts.run("conntrack -E", measureConntrack);
  else attempts.skip("conntrack -E", `${missing} (Debian: conntrack)`);
  attempts.skip("bpfilter log", bpfilterProblem());
} finally {
  await lab.close();
}

publish("events", {
  what: "Events of new flows: made, delivered, lost by cause; and how many a second.",
  method: `${FLOWS} UDP flows as fast as one processor makes them, to a neighbour that never answers. A slow reader blocks its whole process ${SLOW_READER_MS} ms for each delivery.`,
  passLine: "delivered plus every loss counter equal what was made, exactly",
  results,
  leftOut: attempts.leftOut,
});
