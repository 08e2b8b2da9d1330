/**
 * How long faults in a mesh take to be noticed, and to be healed with the proof of it: five real Yggdrasil nodes on hosts in a
 * cluster, a fault at a time, the loop set to act. Beside it what a restart policy of the service manager does for the faults
 * of daemons: the same hosts without a loop, `Restart=always` with a second's pause, as Debian's unit nearly has it.
 *
 * `WARDLINE_BENCH_RUNS` (20) of each fault of a daemon, `WARDLINE_BENCH_SLOW_RUNS` (20) of each other one, which takes a minute to calm
 * down; `WARDLINE_BENCH_LABS` (2) fleets at once: most of the time is waiting. `WARDLINE_BENCH_FAULTS` takes some of the faults
 * only, by their names with commas between them, and leaves the rest out: what is published then keeps what the file says of the others.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetHost } from "@wardline/e2e/fleet/fleet-host";
import { AGENT_UNIT } from "@wardline/e2e/fleet/host-files";
import {
  describeRun,
  ENDED,
  HealingMode,
  HealingState,
  HealingWatch,
  isNewSince,
  MeshFault,
  timesOf,
} from "@wardline/e2e/mesh/healing-watch";
import { MeshFleet, meshFleetProblem } from "@wardline/e2e/mesh/mesh-fleet";
import { YGGDRASIL_UNIT } from "@wardline/e2e/mesh/yggdrasil-member";
import { publish, published } from "./lib/publish.ts";
import { quantile } from "./lib/statistics.ts";

const RUNS = Number(process.env.WARDLINE_BENCH_RUNS ?? 20);
const SLOW_RUNS = Number(process.env.WARDLINE_BENCH_SLOW_RUNS ?? 20);
const LABS = Number(process.env.WARDLINE_BENCH_LABS ?? 2);
const FAULTS = process.env.WARDLINE_BENCH_FAULTS?.split(",");
const NOTE = process.env.WARDLINE_BENCH_NOTE ?? "";
const COST_SECONDS = Number(process.env.WARDLINE_BENCH_COST_SECONDS ?? 60);
/** Of a run: a fault that is not recognised by then counts as missed. */
const LIMIT_MS = 90_000;
const PEER_LIMIT_MS = 60_000;
const CALM_LIMIT_MS = 180_000;

const problem = meshFleetProblem();
if (problem !== null) {
  console.log(`meshHealing: left out, ${problem}`);
  process.exit(0);
}

interface Scenario {
  readonly name: string;
  readonly faults: readonly MeshFault[];
  /** Ends by itself once the fault is taken away; `false` = it is waited for its end first. */
  readonly isRestored: boolean;
  /** Returns the hosts that its run has to name. */
  readonly inject: (mesh: MeshFleet, run: number) => Promise<readonly FleetHost[]>;
}

/** Another host in each run, so that nothing cools down. */
const nodeOf = (mesh: MeshFleet, run: number): FleetHost => at(mesh.hosts, run % mesh.hosts.length);
function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`nothing at ${index}`);
  return found;
}
/** Not the host whose daemon was just started anew, nor whom it dials: their links are given time to come back. */
const dialling = (mesh: MeshFleet, run: number): FleetHost => at(mesh.hosts, (run + 2) % 4);

const SCENARIOS: readonly Scenario[] = [
  {
    name: "daemon killed",
    faults: [MeshFault.DAEMON_DOWN],
    isRestored: false,
    inject: async (mesh, run) => {
      await mesh.killDaemon(nodeOf(mesh, run));
      return [nodeOf(mesh, run)];
    },
  },
  {
    name: "daemon hung",
    faults: [MeshFault.DAEMON_HUNG],
    isRestored: false,
    inject: async (mesh, run) => {
      await mesh.hangDaemon(nodeOf(mesh, run));
      return [nodeOf(mesh, run)];
    },
  },
  {
    name: "peer link dead for ten seconds",
    faults: [MeshFault.PEER_DOWN],
    isRestored: false,
    inject: async (mesh, run) => {
      const from = dialling(mesh, run);
      const to = at(mesh.dialledBy(from), 0);
      await mesh.setFaults([{ from, to, meshOnly: true }]);
      void sleep(10_000).then(() => mesh.setFaults([]));
      return [from, to];
    },
  },
  {
    name: "peer link cut",
    faults: [MeshFault.PEER_DOWN],
    isRestored: true,
    inject: async (mesh, run) => {
      // Another one than was dead a moment ago: going down again within a minute is flapping, and told as that.
      const from = dialling(mesh, run + 1);
      const to = at(mesh.dialledBy(from), 0);
      await mesh.setFaults([{ from, to, meshOnly: true }]);
      return [from, to];
    },
  },
  {
    name: "host gone",
    faults: [MeshFault.HOST_GONE],
    isRestored: true,
    inject: async (mesh, run) => {
      await at(mesh.hosts, 3 + (run % 2)).linkDown();
      return [at(mesh.hosts, 3 + (run % 2))];
    },
  },
  {
    name: "30 % of the packets lost one way",
    faults: [MeshFault.ASYMMETRIC_LOSS, MeshFault.LINK_DEGRADED],
    isRestored: true,
    inject: async (mesh, run) => {
      const from = dialling(mesh, run);
      const to = at(mesh.dialledBy(from), 0);
      await mesh.setFaults([{ from, to, bothWays: false, lossPercent: 30 }]);
      return [from, to];
    },
  },
  {
    name: "two of five parted",
    faults: [MeshFault.PARTITION],
    isRestored: true,
    inject: async (mesh) => {
      const [first, second] = [mesh.hosts.slice(0, 3), mesh.hosts.slice(3)];
      await mesh.setFaults(first.flatMap((from) => second.map((to) => ({ from, to }))));
      return second;
    },
  },
];

const CHOSEN = SCENARIOS.filter(({ name }) => FAULTS?.includes(name) ?? true);
if (CHOSEN.length < (FAULTS?.length ?? SCENARIOS.length))
  throw new Error(`the faults are ${SCENARIOS.map(({ name }) => `“${name}”`).join(", ")}`);

interface Sample {
  readonly detectionMs: number | null;
  readonly repairMs: number | null;
  readonly state: string;
}

async function measure(mesh: MeshFleet, watch: HealingWatch, scenario: Scenario, run: number): Promise<Sample> {
  await watch.untilCalm(mesh.hosts, CALM_LIMIT_MS, true);
  const injectedAtMs = Date.now();
  const about = await scenario.inject(mesh, run);
  const [witness] = mesh.hosts;
  if (!witness) throw new Error("no host");
  const isIts = (fault: MeshFault) => scenario.faults.includes(fault);
  try {
    const seen = await watch.untilRun(
      scenario.name,
      witness,
      (each) =>
        isNewSince(each, injectedAtMs) &&
        isIts(each.fault) &&
        about.every(({ name }) => each.hosts.includes(name)) &&
        (scenario.isRestored || ENDED.has(each.state)),
      LIMIT_MS,
    );
    return { ...timesOf(seen, injectedAtMs), state: HealingState[seen.state] };
  } catch (error) {
    console.log(String(error).slice(0, 2_000));
    const runs = await watch.runs(witness);
    console.log(
      runs
        .filter((each) => isNewSince(each, injectedAtMs))
        .map(describeRun)
        .join("\n"),
    );
    return { detectionMs: null, repairMs: null, state: "MISSED" };
  } finally {
    await mesh.repair();
  }
}

/** From the fault until every neighbour sees the node again. @returns `null` when that did not happen in time */
async function measureRestartPolicy(mesh: MeshFleet, watch: HealingWatch, signal: "kill" | "hang", run: number) {
  await watch.untilCalm(mesh.hosts, CALM_LIMIT_MS);
  const host = nodeOf(mesh, run);
  const before = await host.mainPid(YGGDRASIL_UNIT);
  const startedAtMs = performance.now();
  await (signal === "kill" ? mesh.killDaemon(host) : mesh.hangDaemon(host));
  let isBack = false;
  while (!isBack && performance.now() - startedAtMs < PEER_LIMIT_MS) {
    await sleep(100);
    const pid = await host.mainPid(YGGDRASIL_UNIT);
    if (pid === before || pid === 0) continue;
    isBack = await watch.untilCalm(mesh.hosts, 200).then(
      () => true,
      () => false,
    );
  }
  const tookMs = performance.now() - startedAtMs;
  await mesh.repair();
  return isBack ? tookMs : null;
}

const samples = new Map<string, Sample[]>(CHOSEN.map(({ name }) => [name, []]));
const policy: Record<"kill" | "hang", (number | null)[]> = { kill: [], hang: [] };

async function lab(mesh: MeshFleet, number: number): Promise<void> {
  const watch = new HealingWatch();
  try {
    await watch.untilCalm(mesh.hosts, CALM_LIMIT_MS);
    await watch.setMode(at(mesh.hosts, 0), HealingMode.ACT);
    for (let run = number; run < Math.max(RUNS, SLOW_RUNS); run += LABS)
      for (const scenario of CHOSEN) {
        if (run >= (scenario.name.startsWith("daemon") ? RUNS : SLOW_RUNS)) continue;
        const sample = await measure(mesh, watch, scenario, run);
        samples.get(scenario.name)?.push(sample);
        console.log(
          `${run + 1}/${RUNS} ${scenario.name}: noticed ${sample.detectionMs} ms, healed ${sample.repairMs} ms, ${sample.state}`,
        );
      }
  } finally {
    watch.close();
    await mesh.close();
  }
}

async function peerLab(mesh: MeshFleet): Promise<void> {
  const watch = new HealingWatch();
  try {
    await watch.setMode(at(mesh.hosts, 0), HealingMode.OBSERVE);
    for (let run = 0; run < RUNS; run++) {
      policy.kill.push(await measureRestartPolicy(mesh, watch, "kill", run));
      // It never notices one that hangs: a few tries say as much as many.
      if (run < 3) policy.hang.push(await measureRestartPolicy(mesh, watch, "hang", run));
      console.log(`${run + 1}/${RUNS} restart policy: killed ${policy.kill.at(-1)} ms, hung ${policy.hang.at(-1)} ms`);
    }
  } finally {
    watch.close();
    await mesh.close();
  }
}

/** In a calm mesh: processor time of agents, and what goes over their lines. */
async function measureCost(agentOptions: readonly string[]) {
  const hosts = [1, 2, 3, 4, 5].map((index) => ({ name: `node-${index}`, agentOptions }));
  const mesh = await MeshFleet.start({ hosts });
  try {
    await sleep(20_000);
    const read = async () =>
      Promise.all(
        mesh.hosts.map(async (host) => ({ cpuMs: cpuMs(await host.mainPid(AGENT_UNIT)), bytes: lineBytes(host) })),
      );
    const before = await read();
    await sleep(COST_SECONDS * 1000);
    const after = await read();
    const perSecond = (pick: (figure: { cpuMs: number; bytes: number }) => number) =>
      quantile(
        after.map((figure, index) => (pick(figure) - pick(at(before, index))) / COST_SECONDS),
        0.5,
      );
    return {
      agentCpuPercent: Number((perSecond(({ cpuMs: spent }) => spent) / 10).toFixed(2)),
      lineBytesPerSecond: Math.round(perSecond(({ bytes }) => bytes)),
    };
  } finally {
    await mesh.close();
  }
}

const TICKS_PER_SECOND = 100;
/** proc_pid_stat(5), fields 14 and 15. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** Both ways, on the cable. */
function lineBytes(host: FleetHost): number {
  const line = readFileSync(`/proc/${host.pid}/net/dev`, "utf8")
    .split("\n")
    .find((each) => each.trim().startsWith("eth0:"));
  const numbers = line?.split(":")[1]?.trim().split(/\s+/).map(Number) ?? [];
  return (numbers[0] ?? 0) + (numbers[8] ?? 0);
}

function figures(values: readonly (number | null)[]): object {
  const known = values.flatMap((value) => (value === null || Number.isNaN(value) ? [] : [value]));
  if (known.length === 0) return { runs: values.length, within: 0 };
  const whole = (fraction: number) => Math.round(quantile(known, fraction));
  return { runs: values.length, within: known.length, p50: whole(0.5), p95: whole(0.95), max: whole(1) };
}

const withMesh = FAULTS ? null : await measureCost([]);
const withoutMesh = FAULTS ? null : await measureCost(["--mesh", "off"]);
// One after the other: places for fleets are claimed by locks of a process.
const meshes: MeshFleet[] = [];
for (let number = 0; number < LABS; number++) meshes.push(await MeshFleet.start());
const peer = FAULTS ? null : await MeshFleet.start({ restart: "always" });
await Promise.all([...meshes.map(lab), ...(peer ? [peerLab(peer)] : [])]);

const counted = (states: readonly string[]) =>
  Object.fromEntries([...new Set(states)].map((state) => [state, states.filter((each) => each === state).length]));
interface Published {
  readonly what: string;
  readonly method: string;
  readonly faults: Readonly<Record<string, object>>;
  readonly restartPolicyMs: object;
  readonly perNode: object;
}
const measuredAt = new Date().toISOString();
const before = FAULTS ? (published("meshHealing") as Partial<Published> | null) : null;
publish("meshHealing", {
  what: "From the injection of a fault into a mesh in which nothing was wrong and no run was open to its recognition, and from its first symptom to the end of verification (5 s without the symptom included); ms.",
  method: `Five Yggdrasil 0.4.7 nodes with TUN, in namespaces, in one cluster with three etcd members; ${LABS} such fleets and the one of the restart policy at once on this machine. The restart policy is that of the fleet's service manager (Restart=always, RestartSec=1s): no systemd runs here.${NOTE === "" ? "" : ` ${NOTE}`}`,
  faults: {
    ...before?.faults,
    ...Object.fromEntries(
      [...samples].map(([name, taken]) => [
        name,
        {
          measuredAt,
          detectionMs: figures(taken.map(({ detectionMs }) => detectionMs)),
          repairMs: figures(taken.map(({ repairMs }) => repairMs)),
          states: counted(taken.map(({ state }) => state)),
        },
      ]),
    ),
  },
  restartPolicyMs: before?.restartPolicyMs ?? { daemonKilled: figures(policy.kill), daemonHung: figures(policy.hang) },
  perNode: before?.perNode ?? { withMesh, withoutMesh },
} satisfies Published);
