/**
 * How long nobody can write when the leader is killed: from its SIGKILL to the first write of the next leader that the store
 * confirmed under its fence. Beside it, in turns, etcd's own lock with the same lease: from the SIGKILL of its holder to the
 * first write under the next holder's key. A resignation needs no lease to run out, and is measured as well.
 *
 * Three members of etcd and all candidates on this one machine. The moment of the kill is spread over the time between two
 * renewals.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdStore } from "@wardline/helper/cluster/store/etcdStore";
import { CandidateProcess } from "@wardline/helper/testing/candidateProcess";
import { EtcdLab, etcdProblem } from "@wardline/helper/testing/etcdLab";
import { pino } from "pino";
import { publish } from "./lib/publish.ts";
import { quantile, rounded, summarize } from "./lib/statistics.ts";

const RUNS = Number(process.env.WARDLINE_BENCH_RUNS ?? 50);
/** What a cluster has unless it was told otherwise. */
const LEASE_MS = 5_000;
const WRITE_EVERY_MS = 5;
const LIMIT_MS = 60_000;
const PREFIX = "/bench/writes/";
const LOCK = "bench-lock";

const problem = etcdProblem();
if (problem !== null) {
  console.log(`failover: left out, ${problem}`);
  process.exit(0);
}

const etcd = await EtcdLab.start({ members: 3, heartbeatMs: 100, electionMs: 1_000 });
const { endpoints } = etcd;
const store = EtcdStore.open({ endpoints, log: pino({ level: "silent" }) });
let candidates: CandidateProcess[] = [];
let waiters: LockHolder[] = [];

/** Milliseconds of the clock that all processes share. */
const nowMs = () => performance.timeOrigin + performance.now();

async function until<T>(look: () => T | null | undefined): Promise<T> {
  const startedAtMs = nowMs();
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined) return found;
    if (nowMs() - startedAtMs > LIMIT_MS) throw new Error(`nothing within ${LIMIT_MS} ms`);
    await sleep(1);
  }
}

/** One that holds the lead and has written, since it said so. */
function writing(except: CandidateProcess | null): CandidateProcess | null {
  for (const candidate of candidates) {
    const term = candidate === except ? null : candidate.holds;
    if (term === null) continue;
    if (candidate.writes.some((write) => write.term === term && write.outcome === "written")) return candidate;
  }
  return null;
}

function addCandidate(name: string): CandidateProcess {
  const candidate = new CandidateProcess({
    name,
    endpoints,
    leaseMs: LEASE_MS,
    writeEveryMs: WRITE_EVERY_MS,
    prefix: PREFIX,
  });
  candidates.push(candidate);
  return candidate;
}

async function measureKill(): Promise<number> {
  const leader = await until(() => writing(null));
  await sleep(LEASE_MS / 3 + (Math.random() * LEASE_MS) / 3);
  const killedAtMs = nowMs();
  candidates = candidates.filter((candidate) => candidate !== leader);
  void leader.kill();
  await until(() => writing(leader));
  const tookMs = nowMs() - killedAtMs;
  await addCandidate(leader.name).ready();
  return tookMs;
}

async function measureResignation(): Promise<number> {
  const leader = await until(() => writing(null));
  await sleep(200);
  const resignedAtMs = nowMs();
  leader.say("resign");
  await until(() => writing(leader));
  return nowMs() - resignedAtMs;
}

/** `etcdctl lock`: prints its key when it holds the lock, and holds it as long as it lives. */
class LockHolder {
  key: string | null = null;
  readonly #child: ChildProcess;

  constructor() {
    const words = ["--endpoints", endpoints.join(","), "lock", `--ttl=${LEASE_MS / 1000}`, LOCK];
    const env = { ...process.env, ETCDCTL_API: "3" };
    this.#child = spawn("etcdctl", words, { env, stdio: ["ignore", "pipe", "ignore"] });
    createInterface({ input: this.#child.stdout! }).once("line", (line) => {
      this.key = line;
    });
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

async function measureLock(): Promise<number> {
  const holder = await until(() => waiters.find(({ key }) => key !== null));
  await sleep(LEASE_MS / 3 + (Math.random() * LEASE_MS) / 3);
  const killedAtMs = nowMs();
  waiters = waiters.filter((waiter) => waiter !== holder);
  void holder.kill();
  const next = await until(() => waiters.find(({ key }) => key !== null));
  const then = [{ kind: "put", key: "/bench/lock-write", value: new Uint8Array() }] as const;
  const fence = { key: next.key!, target: "create", operator: ">", number: 0n } as const;
  const { succeeded } = await store.transact({ compare: [fence], then });
  if (!succeeded) throw new Error("the lock's key is gone");
  const tookMs = nowMs() - killedAtMs;
  waiters.push(new LockHolder());
  return tookMs;
}

function figures(samples: readonly number[]): object {
  const whole = (fraction: number) => Math.round(quantile(samples, fraction));
  return { p50: whole(0.5), p99: whole(0.99), ...rounded(summarize(samples), 0) };
}

const killed: number[] = [];
const locked: number[] = [];
const resigned: number[] = [];
try {
  for (const name of ["a", "b", "c"]) await addCandidate(name).ready();
  waiters = [new LockHolder(), new LockHolder(), new LockHolder()];
  for (let run = 0; run < RUNS; run++) {
    killed.push(await measureKill());
    locked.push(await measureLock());
    resigned.push(await measureResignation());
    console.log(
      `${run + 1}/${RUNS}: killed ${killed.at(-1)!.toFixed(0)} ms, lock ${locked.at(-1)!.toFixed(0)} ms, resigned ${resigned.at(-1)!.toFixed(0)} ms`,
    );
  }
} finally {
  await Promise.all([...candidates, ...waiters].map((process) => process.kill()));
  await store.close();
  await etcd.close();
}

publish("failover", {
  what: "From the end of a leader to the first confirmed write of the next one under its own fence; ms.",
  method: `${RUNS} runs in turns; three etcd members and three candidates on one machine; lease ${LEASE_MS} ms for both. Killed with SIGKILL at a moment spread over the time between two renewals. The lock is etcdctl's own, with one write under the key of its next holder.`,
  leaseMs: LEASE_MS,
  leaderKilledMs: figures(killed),
  etcdctlLockHolderKilledMs: figures(locked),
  leaderResignedMs: figures(resigned),
});
