/** Five writers at once while the cluster under them breaks in every way: no version is lost, doubled or out of order. */
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { checkHistory, type ObservedRead, type ObservedWrite, type StoredVersion } from "@wardline/domain/cluster";
import { failureFromConnectError } from "@wardline/domain/wire";
import { type AgentClient, connectAgent } from "@wardline/helper/testing/agentClient";
import { describe, expect, it } from "vitest";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { openOnly } from "../fleet/policies.ts";
import { skipReason } from "../harness.ts";
import { type ClusterFleet, clusterFleetProblem, LEASE_MS } from "./cluster-fleet.ts";
import { etcdctl } from "./etcd-member.ts";
import { shareCluster } from "./tries.ts";

const problem = clusterFleetProblem();
const WRITERS = 5;
const NAMES = ["alpha", "beta", "gamma"];
const keyOf = (name: string) => `networkpolicy/default/${name}-ports`;
const CALL_LIMIT_MS = 8_000;
/** Between two faults: writes that began after the first and succeeded before the second. */
const WRITES_BETWEEN = 4;
/** Each term of a leader has written versions of its own: at first, and after each of those that were forced. */
const FEWEST_TERMS = 4;
/** Nobody asks without a pause for what was not there a moment ago. */
const PAUSE_MS = 100;
/** These say that nothing was written; every other failure leaves it open. */
const REFUSALS: readonly ErrorCode[] = [ErrorCode.VERSION_CONFLICT, ErrorCode.NOT_LEADER, ErrorCode.INVALID_ARGUMENT];
/** Of all writers on one series of documents: far fewer than the versions that a document keeps, which all are looked at. */
const WRITES_IN_SERIES = 120;
const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");

class Writer {
  readonly writes: ObservedWrite[] = [];
  readonly reads: ObservedRead[] = [];
  readonly #name: string;
  readonly #client: AgentClient;
  readonly #series: () => number;
  #serial = 0;

  /** `series` = the number of the documents that all writers are at. */
  constructor(name: string, host: FleetHost, series: () => number) {
    this.#name = name;
    this.#series = series;
    this.#client = connectAgent(host.agentSocket);
  }

  /** Asked for since then, and known to be written. */
  acknowledgedSince(sinceMs: number): readonly ObservedWrite[] {
    return this.writes.filter(({ invokedMs, outcome }) => outcome.kind === "ok" && invokedMs >= sinceMs);
  }

  async run(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn += 1) {
      const name = `${NAMES[(turn + Number(this.#name.at(-1))) % NAMES.length]}-${this.#series()}`;
      const base = await this.#read(keyOf(name)).catch(() => null);
      if (base === null) await setTimeout(200);
      else await this.#write(name, base);
    }
    this.#client.close();
  }

  async #read(key: string): Promise<bigint> {
    const invokedMs = performance.now();
    const found = this.#client.cluster.getDocument({ key }, { timeoutMs: CALL_LIMIT_MS });
    const version = await found.then(
      ({ document }) => document?.version ?? 0n,
      (error: unknown) => {
        if (failureFromConnectError(error)?.code === ErrorCode.NOT_FOUND) return 0n;
        throw error;
      },
    );
    this.reads.push({ key, invokedMs, returnedMs: performance.now(), version });
    return version;
  }

  async #write(name: string, baseVersion: bigint): Promise<void> {
    this.#serial += 1;
    // A comment tells it from all others; what hosts enforce stays the same.
    const text = `# ${this.#name} ${this.#serial}\n${openOnly(name, 1).replace("app:", "note:")}`;
    const invokedMs = performance.now();
    const request = { writes: [{ text, baseVersion }], reason: this.#name, mode: EnforcementMode.ENFORCE };
    const outcome = await this.#client.cluster.writeDocuments(request, { timeoutMs: CALL_LIMIT_MS }).then(
      ({ written: [one] }): ObservedWrite["outcome"] =>
        one ? { kind: "ok", version: one.version, setNumber: one.setNumber } : { kind: "unknown" },
      (error: unknown): ObservedWrite["outcome"] => {
        const code = failureFromConnectError(error)?.code;
        return { kind: code !== undefined && REFUSALS.includes(code) ? "failed" : "unknown" };
      },
    );
    const returnedMs = outcome.kind === "unknown" ? Number.POSITIVE_INFINITY : performance.now();
    const seen = { writer: this.#name, key: keyOf(name), invokedMs, returnedMs, baseVersion };
    if (outcome.kind === "unknown") await setTimeout(PAUSE_MS);
    this.writes.push({ ...seen, content: digestOf(text), outcome });
  }
}

describe.skipIf(problem !== null)(`concurrent writers${skipReason(problem)}`, { timeout: 400_000, retry: 1 }, () => {
  let cluster: ClusterFleet;

  shareCluster((made) => {
    cluster = made;
  });

  /** Ends this term by force; resolves when another has begun, by the word of a host that is well. */
  async function depose(how: (leader: FleetHost) => Promise<unknown>, mend: (leader: FleetHost) => Promise<void>) {
    const { name, term } = await cluster.newestTerm();
    const leader = cluster.host(name);
    const [witness] = cluster.others(leader);
    await how(leader);
    await cluster.untilLeads((next) => next.term > term, witness);
    await mend(leader);
  }

  async function breakEverything(writers: readonly Writer[]): Promise<void> {
    const goOn = async () => {
      const sinceMs = performance.now();
      const isThrough = async () =>
        writers.flatMap((writer) => writer.acknowledgedSince(sinceMs)).length >= WRITES_BETWEEN;
      await cluster.until("writes succeed again", isThrough);
    };
    await goOn();
    await depose(
      (leader) => leader.killAgent(),
      (leader) => leader.agentAnswers(),
    );
    await goOn();
    const etcd = await cluster.etcdLeader(cluster.hosts[2]);
    await cluster.killEtcd(etcd);
    await goOn();
    await cluster.startEtcd(etcd);
    // Without it no majority is left when the next line is cut.
    await cluster.until("the server is back", async () => (await etcdctl(etcd, "endpoint", "health")) !== null);
    await depose(
      (leader) => cluster.pauseAgent(leader),
      (leader) => cluster.resumeAgent(leader),
    );
    await goOn();
    await depose(
      (leader) => leader.linkDown(),
      (leader) => leader.linkUp(),
    );
    await goOn();
    // May lead or not.
    const cutOff = cluster.hosts[0] as FleetHost;
    await cutOff.linkDown();
    await setTimeout(LEASE_MS + 1_000);
    await cutOff.linkUp();
    await goOn();
  }

  /** Every version: fewer are written than a document keeps. */
  async function stored(keys: ReadonlySet<string>): Promise<StoredVersion[]> {
    const on = cluster.on(cluster.host("node-2"));
    const all: StoredVersion[] = [];
    for (const key of keys) {
      for (let beforeVersion = 0n; ; ) {
        const { versions, more } = await on.listDocumentHistory({ key, limit: 100, beforeVersion });
        for (const { version, setNumber, term, digest } of versions)
          all.push({ key, version, setNumber, term, content: digest });
        beforeVersion = versions.at(-1)?.version ?? 0n;
        if (!more || versions.length === 0) break;
      }
    }
    return all;
  }

  it("make one history through killed leaders, killed etcd, cables and pauses", async () => {
    const stopping = new AbortController();
    const series = (): number =>
      Math.floor(writers.reduce((sum, writer) => sum + writer.acknowledgedSince(0).length, 0) / WRITES_IN_SERIES);
    const writers: readonly Writer[] = Array.from({ length: WRITERS }, (_, index) => {
      return new Writer(`writer-${index}`, cluster.hosts[index % cluster.hosts.length] as FleetHost, series);
    });
    const running = Promise.all(writers.map((writer) => writer.run(stopping.signal)));
    await breakEverything(writers).finally(() => stopping.abort());
    await running;
    await cluster.heal();
    const writes = writers.flatMap((writer) => writer.writes);
    const reads = writers.flatMap((writer) => writer.reads);
    const keys = new Set(writes.map(({ key }) => key));
    const versions = await cluster.answerTo(() => stored(keys));
    const kept = await cluster.answerTo(() => cluster.on(cluster.host("node-2")).listSets({ limit: 100 }));
    const sets = kept.sets.map(({ setNumber, term }) => ({ number: setNumber, term }));
    const found = checkHistory(writes, versions, { reads, sets });
    // In one line, which the sum of a run shows also where the second try holds.
    const counts = `${found.length} problems, ${writes.length} writes, ${versions.length} versions`;
    const first = found.slice(0, 3).map(({ rule, message }) => `${rule}: ${message}`);
    if (found.length > 0) throw new Error(`${counts}: ${first.join(" ")}`);
    // The history of writers that were stopped proves nothing.
    const acknowledged = writes.filter(({ outcome }) => outcome.kind === "ok");
    expect(acknowledged.length).toBeGreaterThan(15);
    expect(new Set(versions.map(({ term }) => term)).size).toBeGreaterThanOrEqual(FEWEST_TERMS);
    const { head } = await cluster.answerTo(() => cluster.on(cluster.host("node-2")).listDocuments({}));
    await cluster.untilActive(head?.setNumber ?? 0n);
  });
});
