/** Discovery of several nodes on a real etcd, with real terms: the leader dies in the middle. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { HealthCheckKind, ServiceHealth } from "@wardline/api/wardline/v1/cluster";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { askServers } from "../../names/dnsLookup.ts";
import {
  eventually as eventuallyWithin,
  HandMembership,
  instanceOf,
  KEYS,
  memberOf,
} from "../../testing/discoveryLab.ts";
import { EtcdLab, etcdProblem } from "../../testing/etcdLab.ts";
import { NameServer } from "../../testing/nameServer.ts";
import { DutyRunner } from "../leadership/dutyRunner.ts";
import { Leadership } from "../leadership/leadership.ts";
import { Session } from "../leadership/session.ts";
import { EtcdStore } from "../store/etcdStore.ts";
import { Discovery } from "./discovery.ts";

const OWN_ADDRESS = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;
const problem = etcdProblem() ?? (OWN_ADDRESS === undefined ? "needs an IPv4 address besides loopback" : null);
const log = pino({ level: "silent" });
/** Long enough that a busy machine does not lose it before it shall. */
const LEASE_MS = 6_000;
const PATIENCE_MS = 60_000;
const eventually = <T>(look: () => T | Promise<T>, holds: (seen: T) => boolean) =>
  eventuallyWithin(look, holds, PATIENCE_MS);
const NOTHING = { endpoints: [], namespaces: new Map(), domainAddresses: new Map() };

/** Everything of a node that discovery stands on. */
class Node {
  readonly store: EtcdStore;
  readonly session: Session;
  readonly leadership: Leadership;
  readonly membership = new HandMembership();
  readonly discovery: Discovery;
  readonly cluster: ReturnType<Discovery["follow"]>;
  readonly duties: DutyRunner;

  constructor(name: string, endpoints: readonly string[], dns: NameServer) {
    const [clock, random] = [systemClock, Math.random];
    this.store = EtcdStore.open({ endpoints, log });
    const common = { store: this.store, keys: KEYS, clock, random, log };
    this.session = new Session({ ...common, leaseMs: LEASE_MS });
    this.leadership = new Leadership({ ...common, session: this.session, name, candidate: true });
    this.membership.set(memberOf("a", ["10.0.0.1"]), memberOf("b", ["10.0.0.2"]));
    this.discovery = new Discovery({
      clock,
      log,
      inventory: () => NOTHING,
      onInventoryChange: () => () => {},
      lookup: (asked, signal) => askServers(asked, signal, dns.servers),
    });
    const { leadership, membership } = this;
    this.cluster = this.discovery.follow({ store: this.store, keys: KEYS, memberName: name, membership, leadership });
    this.duties = new DutyRunner({ leadership, duties: this.cluster.duties, clock, random, log });
    this.session.start();
    this.leadership.start();
    this.duties.start();
  }

  /** As a process that is killed: nothing is resigned and nothing revoked. */
  async die(): Promise<void> {
    await this.store.close();
    await this.stop();
  }

  async stop(): Promise<void> {
    await this.duties.stop();
    await this.cluster.close();
    await this.leadership.stop();
    await this.session.stop();
    await this.store.close();
  }
}

const title = `discovery on etcd${problem === null ? "" : ` (${problem})`}`;
describe.skipIf(problem !== null)(title, { timeout: 240_000, retry: 1 }, () => {
  let etcd: EtcdLab;
  let dns: NameServer;
  let a: Node;
  let b: Node;

  beforeEach(async () => {
    [etcd, dns] = await Promise.all([EtcdLab.start({ members: 1 }), NameServer.start()]);
    a = new Node("a", etcd.endpoints, dns);
    await eventually(
      () => a.leadership.held() !== null,
      (leads) => leads,
    );
    b = new Node("b", etcd.endpoints, dns);
  }, 180_000);
  afterEach(async () => {
    // May be dead already.
    await a?.stop().catch(() => {});
    await b?.stop();
    await dns?.close();
    await etcd?.close();
  }, 180_000);

  it("goes on at the next leader when the first one dies: checks, names, and what every node knows", async () => {
    const sockets = new Set<Socket>();
    const target = createServer((socket) => sockets.add(socket)).listen(0, OWN_ADDRESS);
    await once(target, "listening");
    const { port } = target.address() as { port: number };
    dns.zone = { "a.example.org": { addresses: ["192.0.2.1"], timeToLiveS: 5 } };
    b.discovery.names.want(["a.example.org"]);
    const first = a.leadership.held()!;
    const checked = { check: HealthCheckKind.TCP, checkInterval: durationFromMs(1_000) };
    await a.cluster.registry.register(first, instanceOf({ ...checked, address: OWN_ADDRESS!, port }), "test");
    const health = async () => (await b.cluster.registry.list({ namespace: "", service: "" }))[0]?.health;
    await eventually(health, (seen) => seen === ServiceHealth.PASSING);
    const keys = () => b.discovery.world.current().map(({ kind, name }) => `${kind} ${name}`);
    await eventually(keys, (seen) => seen.join() === "member a,member b,service db");
    await eventually(
      () => b.discovery.names.answer("a.example.org")?.addresses.join(),
      (seen) => seen === "192.0.2.1",
    );

    await a.die();
    await expect(a.cluster.registry.register(first, instanceOf({ service: "late" }), "")).rejects.toThrow();
    await eventually(
      () => b.leadership.held() !== null,
      (leads) => leads,
    );
    for (const socket of sockets) socket.destroy();
    target.close();
    dns.zone = { "a.example.org": { addresses: ["192.0.2.2"], timeToLiveS: 5 } };
    await eventually(health, (seen) => seen === ServiceHealth.FAILING);
    await eventually(keys, (seen) => seen.join() === "member a,member b");
    await eventually(
      () => b.discovery.names.answer("a.example.org")?.addresses.join(),
      (seen) => seen === "192.0.2.1,192.0.2.2",
    );
  });
});
