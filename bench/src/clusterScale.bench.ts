/**
 * How large a cluster one etcd bears: 10,000 simulated members join at once, renew their leases, and watch the head of the
 * desired set while it changes beside 1,000 policies. Peers on the same etcd in the same run: one shared stream of renewals on
 * the bare gRPC library, and the watch of etcd's own `etcdctl`.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Lease as LeaseService } from "@wardline/api/etcdserverpb/rpc";
import { Keys } from "@wardline/helper/cluster/keys";
import type { Lease } from "@wardline/helper/cluster/store/clusterStore";
import { EtcdStore } from "@wardline/helper/cluster/store/etcdStore";
import { EtcdLab, etcdProblem } from "@wardline/helper/testing/etcdLab";
import { put } from "@wardline/helper/testing/storeTesting";
import { pino } from "pino";
import { Attempts, fromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";
import { quantile, rounded, summarize } from "./lib/statistics.ts";

const MEMBERS = fromEnvironment("MEMBERS", 10_000);
const CONNECTIONS = fromEnvironment("CONNECTIONS", 500);
const POLICIES = fromEnvironment("POLICIES", 1000);
const CHANGES = fromEnvironment("CHANGES", 20);
const RENEW_MS = fromEnvironment("RENEW_MS", 10_000);
const AT_ONCE = fromEnvironment("AT_ONCE", 200);
const WATCHERS = [1, 10, 100, 1000, 10_000].filter((count) => count <= MEMBERS);
const LEASE_MS = 3_600_000;
/** Of a presence, as a member with two addresses writes it. */
const PRESENCE_BYTES = 320;
const POLICY_BYTES = 900;
const TIMEOUT_MS = 60_000;
const TICKS_PER_SECOND = 100;

const problem = etcdProblem();
if (problem !== null) {
  console.log(`clusterScale: left out, ${problem}`);
  process.exit(0);
}

interface Usage {
  readonly tookMs: number;
  readonly ownCpuMs: number;
  readonly etcdCpuMs: number;
}

const keys = new Keys("/bench");
const attempts = new Attempts();
const lab = await EtcdLab.start({ heartbeatMs: 100, electionMs: 1000, quotaBytes: 2_000_000_000 });
const stores = Array.from({ length: CONNECTIONS }, () =>
  EtcdStore.open({ endpoints: lab.endpoints, log: pino({ level: "silent" }) }),
);
const storeOf = (member: number): EtcdStore => stores[member % stores.length]!;

try {
  await Promise.all(stores.map((store) => store.get(keys.head, { timeoutMs: TIMEOUT_MS })));
  const memoryBefore = memoryMiB();
  const { leases, join } = await joinStorm();
  console.log("join", join);
  const renewals = await attempts.run("renewals", () => renew(leases));
  const renewalsShared = await attempts.run("renewals on one stream", () => renewOnOneStream(leases));
  const policies = await attempts.run("policies", writePolicies);
  const memoryIdle = memoryMiB();
  const fanOut = [];
  for (const count of WATCHERS) {
    const result = await attempts.run(`${count} watchers`, () => fanOutTo(count));
    if (result) fanOut.push(result);
    console.log(count, "watchers", result?.lastMs.median, "ms");
  }
  const peerWatch = await attempts.run("etcdctl watch", watchWithEtcdctl);
  publish("clusterScale", {
    what: "One etcd and a large cluster; times in ms, memory in MiB.",
    method: `${MEMBERS} members simulated in one process over ${CONNECTIONS} connections to one etcd on the same machine, so members, etcd and the measuring share its processors: times are upper limits, processor times tell who used them. ${AT_ONCE} calls at once. Fan-out: from before the write of the head until a watcher (the last of all) was told; ${CHANGES} changes.`,
    members: MEMBERS,
    connections: CONNECTIONS,
    join,
    renewals,
    renewalsShared,
    policies,
    fanOut,
    peerWatch,
    memory: { before: memoryBefore, joined: memoryIdle, afterWatches: memoryMiB() },
    leftOut: attempts.leftOut,
  });
} finally {
  await Promise.all(stores.map((store) => store.close()));
  await lab.close();
}

/** Every member gets a lease and writes its presence with it. */
async function joinStorm() {
  const leases: Lease[] = [];
  const latencies: number[] = [];
  const usage = await measured(() =>
    eachMember(MEMBERS, async (member) => {
      const began = performance.now();
      const lease = await storeOf(member).grantLease(LEASE_MS, { timeoutMs: TIMEOUT_MS });
      const presence = put(keys.presence(`member-${member}`), "x".repeat(PRESENCE_BYTES), lease.id);
      await storeOf(member).transact({ compare: [], then: [presence] }, { timeoutMs: TIMEOUT_MS });
      leases.push(lease);
      latencies.push(performance.now() - began);
    }),
  );
  const readAll = await measured(() => stores[0]!.range(keys.presences, { timeoutMs: TIMEOUT_MS }));
  const perSecond = Math.round((MEMBERS / usage.tookMs) * 1000);
  return { leases, join: { ...usage, perSecond, latencyMs: spread(latencies), readAllPresences: readAll } };
}

/** As many renewals as go through, one call each as members make them. */
async function renew(leases: readonly Lease[]) {
  const latencies: number[] = [];
  const until = performance.now() + RENEW_MS;
  let next = 0;
  const usage = await measured(() =>
    inParallel(AT_ONCE, async () => {
      while (performance.now() < until) {
        const member = next++ % leases.length;
        const began = performance.now();
        await storeOf(member).renewLease(leases[member]!.id, { timeoutMs: TIMEOUT_MS });
        latencies.push(performance.now() - began);
      }
    }),
  );
  return { ...perCall(usage, latencies.length), latencyMs: spread(latencies) };
}

/** The peer: what the bare library makes of it, with as many renewals under way, on one stream. */
async function renewOnOneStream(leases: readonly Lease[]) {
  const client = createClient(LeaseService, createGrpcTransport({ baseUrl: lab.endpoints[0]! }));
  const until = performance.now() + RENEW_MS;
  let answered = 0;
  const credit = { free: AT_ONCE, wake: () => {} };
  const requests = async function* () {
    for (let sent = 0; performance.now() < until; sent += 1) {
      while (credit.free === 0) await new Promise<void>((resolve) => Object.assign(credit, { wake: resolve }));
      credit.free -= 1;
      yield { ID: leases[sent % leases.length]!.id };
    }
  };
  const usage = await measured(async () => {
    for await (const { TTL } of client.leaseKeepAlive(requests())) {
      if (TTL <= 0n) throw new Error("a lease is over");
      answered += 1;
      credit.free += 1;
      credit.wake();
    }
  });
  return perCall(usage, answered);
}

async function writePolicies() {
  const write = await measured(async () => {
    for (let at = 0; at < POLICIES; at += 100) {
      const names = Array.from({ length: Math.min(100, POLICIES - at) }, (_, index) => `policy/default/p${at + index}`);
      const then = names.map((name) => put(keys.document(name), "x".repeat(POLICY_BYTES)));
      await stores[0]!.transact({ compare: [], then }, { timeoutMs: TIMEOUT_MS });
    }
  });
  const read = await measured(() => stores[0]!.range(keys.documents, { timeoutMs: TIMEOUT_MS }));
  return { count: POLICIES, write, read };
}

/** That many members watch the head; how long until one and until all of them know of a change. */
async function fanOutTo(count: number) {
  const abort = new AbortController();
  const { revision } = await stores[0]!.transact({ compare: [], then: [put(keys.head, "begin")] });
  const arrivals: number[] = [];
  let arrived = expectation();
  const request = { prefix: keys.head, fromRevision: revision, signal: abort.signal };
  const follow = async (member: number, onFirst: () => void): Promise<void> => {
    for await (const { events } of storeOf(member).watch(request)) {
      if (events.length === 0) continue;
      onFirst();
      arrivals.push(performance.now());
      if (arrivals.length === count) arrived.resolve();
    }
  };
  const ended: Promise<void>[] = [];
  const begin = (member: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        reject(error);
        arrived.reject(error);
      };
      ended.push(follow(member, resolve).catch(fail));
    });
  const all: number[] = [];
  const last: number[] = [];
  try {
    const begun = await measured(() => eachMember(count, (member) => begin(member)));
    await arrived.promise;
    const usage = await measured(async () => {
      for (let change = 0; change < CHANGES; change += 1) {
        arrivals.length = 0;
        arrived = expectation();
        const began = performance.now();
        await stores[0]!.transact({ compare: [], then: [put(keys.head, `${change}`)] }, { timeoutMs: TIMEOUT_MS });
        await arrived.promise;
        all.push(...arrivals.map((at) => at - began));
        last.push(arrivals.at(-1)! - began);
      }
    });
    return {
      watchers: count,
      begun,
      eachMs: spread(all),
      lastMs: rounded(summarize(last)),
      ...perCall(usage, CHANGES * count),
    };
  } finally {
    abort.abort();
    await Promise.all(ended);
  }
}

/** May be given up before anybody waits for it. */
function expectation(): PromiseWithResolvers<void> {
  const expected = Promise.withResolvers<void>();
  expected.promise.catch(() => {});
  return expected;
}

/** The peer: the time until etcd's own tool has printed a change. */
async function watchWithEtcdctl() {
  const child = spawn("etcdctl", ["--endpoints", lab.endpoints[0]!, "watch", keys.head], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ETCDCTL_API: "3" },
  });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const seen = async (value: string): Promise<void> => {
      for (;;) if ((await lines.next()).value === value) return;
    };
    const write = (value: string) => stores[0]!.transact({ compare: [], then: [put(keys.head, value)] });
    const first = seen("ready");
    const knocking = setInterval(() => void write("ready"), 200);
    await first;
    clearInterval(knocking);
    const latencies: number[] = [];
    for (let change = 0; change < CHANGES; change += 1) {
      const began = performance.now();
      const printed = seen(`peer ${change}`);
      await write(`peer ${change}`);
      await printed;
      latencies.push(performance.now() - began);
    }
    return rounded(summarize(latencies));
  } finally {
    child.kill("SIGKILL");
  }
}

async function eachMember(count: number, work: (member: number) => Promise<void>): Promise<void> {
  let next = 0;
  await inParallel(AT_ONCE, async () => {
    while (next < count) await work(next++);
  });
}

async function inParallel(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}

async function measured(work: () => Promise<unknown>): Promise<Usage> {
  const began = performance.now();
  const own = process.cpuUsage();
  const etcd = etcdCpuMs();
  await work();
  const { user, system } = process.cpuUsage(own);
  return {
    tookMs: Math.round(performance.now() - began),
    ownCpuMs: Math.round((user + system) / 1000),
    etcdCpuMs: Math.round(etcdCpuMs() - etcd),
  };
}

function perCall({ tookMs, ownCpuMs, etcdCpuMs: etcdMs }: Usage, calls: number) {
  const each = (ms: number) => Math.round((ms * 1000) / calls);
  const perSecond = Math.round((calls / tookMs) * 1000);
  return { calls, perSecond, ownCpuUsEach: each(ownCpuMs), etcdCpuUsEach: each(etcdMs) };
}

function spread(samples: readonly number[]) {
  const at = (fraction: number) => Number(quantile(samples, fraction).toFixed(2));
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

/** User and system time of etcd so far. */
function etcdCpuMs(): number {
  const text = readFileSync(`/proc/${lab.pid(0)}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}

function memoryMiB(): { readonly own: number; readonly etcd: number } {
  const status = readFileSync(`/proc/${lab.pid(0)}/status`, "utf8");
  const etcdKiB = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { own: Math.round(process.memoryUsage.rss() / 2 ** 20), etcd: Math.round(etcdKiB / 1024) };
}
