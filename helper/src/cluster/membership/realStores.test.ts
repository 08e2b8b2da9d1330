import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemberState, TermEnd } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { EtcdLab, etcdProblem } from "../../testing/etcdLab.ts";
import { memberRecord } from "../../testing/simulatedMember.ts";
import { Keys } from "../keys.ts";
import { DutyRunner } from "../leadership/dutyRunner.ts";
import { Leadership } from "../leadership/leadership.ts";
import { Session } from "../leadership/session.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { EmbeddedStore } from "../store/embeddedStore.ts";
import { EtcdStore } from "../store/etcdStore.ts";
import { Membership } from "./membership.ts";
import { readPresence, writeRecord } from "./messages.ts";

const LEASE_MS = 2_000;
/** Where nobody waits for its end: one that a busy machine does not lose. */
const LONG_LEASE_MS = 30_000;
const keys = new Keys();
const log = pino({ level: "silent" });

class Node {
  readonly session: Session;
  readonly leadership: Leadership;
  readonly membership: Membership;
  readonly duties: DutyRunner;

  constructor(name: string, store: ClusterStore, address = "10.0.0.1", leaseMs = LEASE_MS) {
    const common = { store, keys, clock: systemClock, random: Math.random, log };
    this.session = new Session({ ...common, leaseMs });
    const { session } = this;
    const mayCampaign = () => this.membership.isRegistered;
    this.leadership = new Leadership({ ...common, session, name, candidate: true, mayCampaign });
    const { leadership } = this;
    const self = { name, agentVersion: "1.0.0", addresses: () => [address] };
    this.membership = new Membership({ ...common, session, leadership, self });
    this.membership.onChange(() => leadership.reconsider());
    this.duties = new DutyRunner({ ...common, leadership, duties: this.membership.duties() });
    session.start();
    leadership.start();
    this.membership.start();
    this.duties.start();
  }

  async stop(): Promise<void> {
    await this.duties.stop();
    await this.leadership.stop();
    await this.membership.stop();
    await this.session.stop();
  }

  state(name: string): MemberState | undefined {
    return this.membership.members().find(({ record }) => record?.name === name)?.state;
  }
}

async function until(isReached: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await isReached())) {
    if (performance.now() - startedAtMs > limitMs) throw new Error(`not within ${limitMs} ms: ${isReached}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function admit(store: ClusterStore, ...names: string[]): Promise<void> {
  for (const name of names) {
    const value = writeRecord(memberRecord(name, Date.now()));
    await store.transact({ compare: [], then: [{ kind: "put", key: keys.member(name), value }] });
  }
}

const etcdIsMissing = etcdProblem();

describe.skipIf(etcdIsMissing !== null)(`members on a real etcd${etcdIsMissing ? ` (${etcdIsMissing})` : ""}`, () => {
  let etcd: EtcdLab;
  let stores: EtcdStore[] = [];
  let nodes: Node[] = [];
  const open = (): EtcdStore => {
    const store = EtcdStore.open({ endpoints: etcd.endpoints, log });
    stores.push(store);
    return store;
  };
  const add = (name: string, address?: string): Node => {
    const node = new Node(name, open(), address);
    nodes.push(node);
    return node;
  };
  beforeAll(async () => {
    etcd = await EtcdLab.start();
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await Promise.all(stores.map((store) => store.close()));
    nodes = [];
    stores = [];
    await etcd.close();
  });
  const presence = async (name: string) => {
    const { item } = await stores[0]!.get(keys.presence(name));
    return item ? readPresence(item.value) : null;
  };

  it("are seen, one name to a process, and gone when their lease is", { timeout: 240_000 }, async () => {
    const a = add("a");
    await admit(stores[0]!, "a", "b");
    const b = add("b");
    await until(() =>
      [a, b].every((node) => node.state("a") === MemberState.HEALTHY && node.state("b") === MemberState.HEALTHY),
    );
    await until(() => [a, b].filter(({ leadership }) => leadership.held() !== null).length === 1);

    const other = add("b", "10.0.0.9");
    await expect(other.membership.registered(AbortSignal.timeout(20_000))).rejects.toMatchObject({
      code: ErrorCode.ALREADY_EXISTS,
    });
    await until(() => a.membership.problems().some((sentence) => sentence.includes("10.0.0.9")));
    await until(() => b.membership.isRegistered);
    await other.stop();

    // The store ends b's lease: it comes back with another one, under the same session id.
    await until(() => b.session.current() !== null);
    const before = b.session.current()!.id;
    await stores[0]!.revokeLease(before);
    await until(() => b.session.current() !== null && b.session.current()!.id !== before && b.membership.isRegistered);
    expect((await presence("b"))?.sessionId).toBe(b.membership.sessionId);

    await b.stop();
    await until(() => a.state("b") === MemberState.STOPPED);
    await until(() => a.leadership.held() !== null);
  });

  it("keep what they know while etcd is away, and go on when it is back", { timeout: 240_000 }, async () => {
    const [a] = nodes;
    await until(() => a!.state("a") !== undefined);
    await etcd.kill(0);
    await until(() => a!.leadership.held() === null && !a!.membership.isRegistered);
    expect(a!.state("a")).toBeDefined();
    const readAtMs = a!.membership.readAtMs()!;
    expect(Date.now() - readAtMs).toBeGreaterThan(LEASE_MS / 2);
    etcd.start(0);
    await etcd.waitHealthy();
    await until(() => a!.leadership.held() !== null && a!.membership.readAtMs()! > readAtMs);
    const numbers = a!.leadership.terms().map(({ number }) => number);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

describe("a node with a store of its own", () => {
  it("leads with a new number after every start, and has the whole timeline", async () => {
    const directory = mkdtempSync(join(tmpdir(), "wardline-own-store-"));
    try {
      for (const number of [1n, 2n, 3n]) {
        const store = EmbeddedStore.open({ path: join(directory, "store.db"), log });
        if (number === 1n) await admit(store, "a");
        const node = new Node("a", store, "10.0.0.1", LONG_LEASE_MS);
        await until(() => node.leadership.held()?.number === number && node.state("a") === MemberState.HEALTHY);
        await until(() => node.leadership.terms().length === Number(number));
        const ended = node.leadership.terms().slice(1);
        expect(ended.every(({ end, endedAt }) => end === TermEnd.RESIGNED && endedAt !== undefined)).toBe(true);
        await node.stop();
        await store.close();
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("closes the term of a start before that ended without a word", async () => {
    const directory = mkdtempSync(join(tmpdir(), "wardline-own-store-"));
    const path = join(directory, "store.db");
    try {
      const store = EmbeddedStore.open({ path, log });
      await admit(store, "a");
      const dead = new Node("a", store);
      await until(() => dead.leadership.held() !== null);
      // The file is all that is left of a process that is killed.
      await store.close();
      await dead.stop();
      const again = EmbeddedStore.open({ path, log });
      const node = new Node("a", again);
      await until(() => (node.leadership.held()?.number ?? 0n) >= 2n);
      await until(() => node.leadership.terms().length >= 2);
      expect(node.leadership.terms().at(-1)).toMatchObject({ number: 1n, end: TermEnd.LEASE_LOST });
      expect(node.membership.refusal).toBeNull();
      await node.stop();
      await again.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
