/**
 * What leaks and what is wrongly dropped (B9) while the process that enforces is killed, restarted, upgraded, and swaps
 * generations: one allowed and one denied datagram a millisecond, through all of it. The peer is an nftables table, which
 * has no process, through reloads in one transaction.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import { type HandProgramOptions, handProgram } from "@wardline/helper/testing/handProgram";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import { Attempts, fromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";

const ROUNDS = fromEnvironment("ROUNDS", 3);
const SWAPS = fromEnvironment("SWAPS", 50);
const PAUSE_MS = fromEnvironment("PAUSE_MS", 150);
const ALLOWED_PORT = 7001;
const DENIED_PORT = 7002;
const UDP = 17;
const ENFORCER_MAIN = fileURLToPath(new URL("../../helper/src/testing/enforcerProcessMain.ts", import.meta.url));

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`continuity: left out, ${problem}`);
  process.exit(0);
}

/** Generations differ in what else they allow; the probed ports mean the same in all. */
function generation(number: number): HandProgramOptions {
  const rule = { direction: "ingress", remote: null, protocol: UDP, verdict: "allow" } as const;
  return {
    rules: [
      { ...rule, port: ALLOWED_PORT },
      { ...rule, port: 8000 + (number % 1000) },
    ],
  };
}

interface Probes {
  allowedSent: number;
  allowedReceived: number;
  deniedSent: number;
  deniedReceived: number;
}

/** Probes run through `during`; then everything that was sent is compared with what arrived. */
async function probe(lab: KernelLab, during: () => Promise<void>): Promise<Probes> {
  const peers: [SocketPeer, SocketPeer, SocketPeer] = [
    await lab.startSocketPeer("host"),
    await lab.startSocketPeer("peer"),
    await lab.startSocketPeer("peer"),
  ];
  const [host, allowedSender, deniedSender] = peers;
  await host.listenUdp(ALLOWED_PORT);
  await host.listenUdp(DENIED_PORT);
  await allowedSender.startUdp(HOST_ADDRESS[4], ALLOWED_PORT);
  await deniedSender.startUdp(HOST_ADDRESS[4], DENIED_PORT);
  await during();
  const [allowedSent, deniedSent] = await Promise.all([allowedSender.stopUdp(), deniedSender.stopUdp()]);
  return {
    allowedSent,
    allowedReceived: await host.countUdp(ALLOWED_PORT),
    deniedSent,
    deniedReceived: await host.countUdp(DENIED_PORT),
  };
}

/** A process that enforces until it is killed. */
async function startEnforcer(lab: KernelLab): Promise<() => Promise<void>> {
  const args = ["--no-warnings", ENFORCER_MAIN, lab.cgroupRoot, lab.bpffsDir, JSON.stringify(generation(1))];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return async () => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
}

async function throughEverything(lab: KernelLab): Promise<Probes & { swaps: number; seenPackets: number }> {
  const objectBytes = readBpfObject();
  const { cgroupRoot, bpffsDir } = lab;
  const open = async (bytes: Uint8Array): Promise<EbpfEnforcer> => {
    const enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: bytes });
    await enforcer.open();
    return enforcer;
  };
  const kill = await startEnforcer(lab);
  let seenPackets = 0;
  try {
    const probes = await probe(lab, async () => {
      await sleep(PAUSE_MS);
      await kill();
      await sleep(PAUSE_MS);
      const adopting = await open(objectBytes);
      if (adopting.origin !== "adopted") throw new Error(`the pins were ${adopting.origin}, not adopted`);
      seenPackets = adopting.readCounters().reduce((sum, { packets }) => sum + Number(packets), 0);
      await adopting.close();
      // The same programs in another file, as an upgrade of the agent would bring.
      const upgraded = Buffer.concat([objectBytes, Buffer.from([0])]);
      const upgrading = await open(upgraded);
      if (upgrading.origin !== "upgraded") throw new Error(`the programs were ${upgrading.origin}, not upgraded`);
      for (let swap = 0; swap < SWAPS; swap++) {
        const prepared = await upgrading.prepare(handProgram(generation(swap + 2)), swap + 2);
        upgrading.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
        await sleep(1);
      }
      await upgrading.close();
      await sleep(PAUSE_MS);
    });
    if (seenPackets < PAUSE_MS / 2) throw new Error(`it was not live: it saw ${seenPackets} packets`);
    return { ...probes, swaps: SWAPS, seenPackets };
  } finally {
    const last = await open(objectBytes);
    await last.release();
  }
}

async function throughNftReloads(lab: KernelLab): Promise<Probes & { swaps: number }> {
  const script = (number: number, replace: boolean): string => `${replace ? "delete table inet wardline_bench\n" : ""}
table inet wardline_bench { chain input { type filter hook input priority 0; policy drop; meta l4proto icmp accept
udp dport { ${ALLOWED_PORT}, ${8000 + (number % 1000)} } accept; }
}
`;
  const load = (text: string): void =>
    void execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", "-f", "-"], { input: text });
  load(script(0, false));
  const probes = await probe(lab, async () => {
    await sleep(PAUSE_MS);
    for (let swap = 1; swap <= SWAPS; swap++) {
      load(script(swap, true));
      await sleep(1);
    }
    await sleep(PAUSE_MS);
  });
  return { ...probes, swaps: SWAPS };
}

async function inLab<T>(use: (lab: KernelLab) => Promise<T>): Promise<T> {
  const lab = new KernelLab();
  try {
    return await use(lab);
  } finally {
    await lab.close();
  }
}

function total(runs: readonly (Probes & { swaps: number })[]): object {
  const sum = (pick: (run: Probes & { swaps: number }) => number): number =>
    runs.reduce((all, run) => all + pick(run), 0);
  return {
    runs: runs.length,
    swaps: sum((run) => run.swaps),
    allowedProbes: sum((run) => run.allowedSent),
    deniedProbes: sum((run) => run.deniedSent),
    leaked: sum((run) => run.deniedReceived),
    wronglyDropped: sum((run) => run.allowedSent - run.allowedReceived),
  };
}

const attempts = new Attempts();
const wardline: (Probes & { swaps: number })[] = [];
const nftables: (Probes & { swaps: number })[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const own = await attempts.run("wardline", () => inLab(throughEverything));
  if (own) wardline.push(own);
  const peer = await attempts.run("nftables", () => inLab(throughNftReloads));
  if (peer) nftables.push(peer);
}
attempts.skip(
  "OpenSnitch",
  "not run: its daemon takes over the firewall of the whole machine and asks a person on a desktop; documented: its default lets everything pass when the daemon is gone",
);

publish("continuity", {
  what: "Datagrams that leaked or were wrongly dropped while the enforcing process was killed (SIGKILL), restarted, upgraded, and swapped generations.",
  method: `${ROUNDS} runs; one allowed and one denied datagram a millisecond; ${SWAPS} swaps in each run. nftables: ${SWAPS} reloads of the table, each one transaction.`,
  passLine: "nothing leaked, nothing wrongly dropped",
  wardline: wardline.length > 0 ? total(wardline) : null,
  nftables: nftables.length > 0 ? total(nftables) : null,
  alsoTested: "helper/src/enforce/ebpf/continuity.test.ts",
  leftOut: attempts.leftOut,
});
