/**
 * A policy written to the cluster until it decides in the kernel of three hosts: three agents' controllers with eBPF, each a
 * process with a control group of its own, on one etcd of three members. From the call of the write at the leader, which
 * plans, checks the whole set and commits it, to the flip on the last host. Each write changes one policy of the set.
 * Beside it the time until every host has kept it, after the proof that it still reaches the store.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { DocumentWriteSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { systemClock } from "@wardline/helper/agent/clock";
import { EtcdStore } from "@wardline/helper/cluster/store/etcdStore";
import { LabNode, LeadOffice, policyKey, requestOf, SILENT, writeOf } from "@wardline/helper/testing/desiredLab";
import { EtcdLab, etcdProblem } from "@wardline/helper/testing/etcdLab";
import { KernelLab, kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { fromEnvironment, listFromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";
import { quantile, rounded, summarize } from "./lib/statistics.ts";

const WRITES = fromEnvironment("ROUNDS", 100);
const SIZES = listFromEnvironment("SIZES", [10, 100, 1_000]);
const WARM_UP = 5;
const HOSTS = ["alpha", "beta", "gamma"];
const HOST_MAIN = fileURLToPath(new URL("./lib/syncHostMain.ts", import.meta.url));
const LIMIT_MS = 60_000;

const problem = kernelLabProblem() ?? etcdProblem();
if (problem !== null) {
  console.log(`policySync: left out, ${problem}`);
  process.exit(0);
}
readBpfObject();

/** A host's process, and when which set was active or kept there. */
class SyncHost {
  readonly lab = new KernelLab();
  readonly #child: ChildProcess;
  readonly #moments = new Map<string, bigint>();
  readonly #waiting = new Map<string, (bootNs: bigint) => void>();

  constructor(name: string, endpoints: readonly string[]) {
    mkdirSync(join(this.lab.directory, "host"));
    const words = [name, join(this.lab.directory, "host"), this.lab.bpffsDir, this.lab.cgroupRoot, endpoints.join(",")];
    this.#child = spawn(process.execPath, ["--no-warnings", HOST_MAIN, ...words], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const at = line.lastIndexOf(" ");
      const [what, bootNs] = [line.slice(0, at), BigInt(line.slice(at + 1))];
      if (!this.#moments.has(what)) this.#moments.set(what, bootNs);
      this.#waiting.get(what)?.(bootNs);
    });
  }

  /** `ready`, `7`, `kept 7`. */
  async when(what: string): Promise<bigint> {
    const known = this.#moments.get(what);
    if (known !== undefined) return known;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`"${what}" does not come`)), LIMIT_MS);
      this.#waiting.set(what, (bootNs) => {
        clearTimeout(timer);
        this.#waiting.delete(what);
        resolve(bootNs);
      });
    });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      await ended;
    }
    await this.lab.close();
  }
}

const hostText = (name: string, index: number) =>
  `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}}\nspec: {addresses: [10.77.${index}.2]}\n`;

interface Samples {
  readonly writtenMs: number[];
  readonly activeMs: number[];
  readonly keptMs: number[];
}

const sinceMs = (fromNs: bigint, toNs: bigint) => Number(toNs - fromNs) / 1e6;
const latest = (moments: readonly bigint[]) => moments.reduce((max, moment) => (moment > max ? moment : max), 0n);

async function measure(size: number): Promise<Samples> {
  const samples: Samples = { writtenMs: [], activeMs: [], keptMs: [] };
  const etcd = await EtcdLab.start({ members: 3 });
  const store = EtcdStore.open({ endpoints: etcd.endpoints, log: SILENT });
  const leader = new LabNode(new LeadOffice(), "leader", store);
  await leader.lead.take();
  const duties = leader.runDuties();
  const hosts = HOSTS.map((name) => new SyncHost(name, etcd.endpoints));
  const author = { actor: "bench" };
  try {
    await Promise.all(hosts.map((host) => host.when("ready")));
    const inventory = HOSTS.map((name, index) => create(DocumentWriteSchema, { text: hostText(name, index) }));
    const policies = Array.from({ length: size }, (_, index) => writeOf(`p${index}`, 1_000 + index, 0n));
    const { head } = await leader.set.write(requestOf([...inventory, ...policies]), author);
    await Promise.all(hosts.map((host) => host.when(`kept ${head?.setNumber}`)));
    const versions = new Map<string, bigint>();
    for (let round = 0; round < WRITES + WARM_UP; round++) {
      const name = `p${round % size}`;
      const write = writeOf(name, 10_000 + round, versions.get(name) ?? 1n);
      const startNs = systemClock.bootNs();
      const answer = await leader.set.write(requestOf([write]), author);
      const writtenNs = systemClock.bootNs();
      const number = answer.head?.setNumber;
      const version = answer.written.find(({ key }) => key === policyKey(name))?.version;
      if (version !== undefined) versions.set(name, version);
      const active = latest(await Promise.all(hosts.map((host) => host.when(`${number}`))));
      const kept = latest(await Promise.all(hosts.map((host) => host.when(`kept ${number}`))));
      if (round < WARM_UP) continue;
      samples.writtenMs.push(sinceMs(startNs, writtenNs));
      samples.activeMs.push(sinceMs(startNs, active));
      samples.keptMs.push(sinceMs(startNs, kept));
    }
  } finally {
    for (const host of hosts) await host.close();
    leader.lead.end();
    await duties;
    await leader.close();
    await store.close();
    await etcd.close();
  }
  return samples;
}

const p95 = (samples: readonly number[]) => Number(quantile(samples, 0.95).toFixed(1));
const sizes: Record<string, object> = {};
for (const size of SIZES) {
  const { writtenMs, activeMs, keptMs } = await measure(size);
  sizes[`${size} policies`] = {
    activeOnAllHostsMs: rounded(summarize(activeMs)),
    p95ActiveOnAllHostsMs: p95(activeMs),
    answeredMs: rounded(summarize(writtenMs)),
    p95AnsweredMs: p95(writtenMs),
    keptOnAllHostsMs: rounded(summarize(keptMs)),
    p95KeptOnAllHostsMs: p95(keptMs),
  };
}

publish("policySync", {
  what: "From the call of a write at the leader to the flip in the kernel of the last of three hosts, in ms; the write's own answer, and when every host has kept the set.",
  method: `${WRITES} writes of one policy each after ${WARM_UP} to warm up, one after the other; three host processes with eBPF and an etcd of three members on this one machine.`,
  sizes,
});
