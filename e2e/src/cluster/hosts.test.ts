/** What becomes of one host of a cluster that is away, doubled, cut off by its own policy, out of time, or not confirmed. */
import { createPublicKey, X509Certificate } from "node:crypto";
import { cpSync } from "node:fs";
import { SetState, SyncState } from "@wardline/api/wardline/v1/cluster";
import { IdentityStore } from "@wardline/helper/identity/identityStore";
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import { describe, expect, it } from "vitest";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { openOnly } from "../fleet/policies.ts";
import { skipReason } from "../harness.ts";
import { CLOSED_PORT, ClusterFleet, clusterFleetProblem } from "./cluster-fleet.ts";
import { authorityOf } from "./etcd-member.ts";
import { installClock, moveClock } from "./machine-clock.ts";
import { shareBetweenTests } from "./tries.ts";

const problem = clusterFleetProblem();
const HOUR_S = 3_600;
/** Long: these tests are not about who leads, and a machine that is busy with others loses short leases. */
const LEASE_MS = 15_000;
/** Longer than the lease, and than a busy host takes to put a set in force. */
const DEADLINE_MS = 20_000;
/** A jump of a clock that moves the lead does so each time; a busy machine that loses it does not. */
const CLOCK_TRIES = 4;
/** Of a thousand documents, in sets of this many, followed by sets of one. */
const BATCH = 250;
const BATCHES = 4;
const SMALL_SETS = 8;
const STATE_DIRECTORY = "/var/lib/wardline";

/** Opens the port that {@link baseDocuments} leaves closed, on every host. */
const OPENED = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: opened}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: ${CLOSED_PORT}}]}]
`;

/** From the store of the others, and from its own etcd's way to theirs. */
const shutOffFromStore = (name: string): string => `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: shut-off}
spec:
  tier: admin
  subject: {selector: {matchLabels: {app: ${name}}}}
  ingress:
    - name: etcd of the others
      action: deny
      from: [{ipBlock: {cidr: 0.0.0.0/0}}]
      ports: [{port: 2380}]
  egress:
    - name: the store
      action: deny
      to: [{ipBlock: {cidr: 0.0.0.0/0}}]
      ports: [{port: 2379}, {port: 2380}]
`;

describe.skipIf(problem !== null)(`a host of a cluster${skipReason(problem)}`, { timeout: 400_000, retry: 1 }, () => {
  let cluster: ClusterFleet;
  let twin: FleetHost;
  let source: SocketPeer;

  shareBetweenTests({
    make: async () => {
      const others = [{ name: "twin", agent: "stopped" as const, agentOptions: ["--host-name", "node-2"] }];
      const made = await ClusterFleet.start({ leaseMs: LEASE_MS, others });
      for (const host of made.hosts) await (await host.startPeer()).listenTcp(CLOSED_PORT);
      await made.writeBase();
      return { made, source: await made.host("twin").startPeer() };
    },
    begin: (shared) => {
      cluster = shared.made;
      twin = cluster.host("twin");
      source = shared.source;
      return cluster.heal();
    },
    close: ({ made }) => made.close(),
  });

  let serial = 0;
  /** Of a new connection to the port that is closed at first, on each host. */
  const closedPorts = () =>
    Promise.all(
      cluster.hosts.map((host) => {
        serial += 1;
        return source.connectTcp(`c${serial}`, host.address[4], CLOSED_PORT, 700);
      }),
    );
  const enforced = () => Promise.all(cluster.hosts.map((host) => cluster.enforced(host)));

  async function reportOf(host: FleetHost, on: FleetHost) {
    const { members } = await cluster.status(on);
    return members.find(({ record }) => record?.name === host.name)?.report;
  }

  /** What it enforces is what it was; a moment before it may still be on its way back. */
  const untilEnforces = (host: FleetHost, digest: string) =>
    cluster.until(`${host.name} enforces what it did`, async () => (await cluster.enforced(host)).digest === digest);

  it("keeps what was confirmed in time, with all the others", async () => {
    expect(await closedPorts()).toEqual(["timeout", "timeout", "timeout"]);
    const leader = await cluster.leader();
    const { head } = await cluster.write(leader, [OPENED], { confirmWithinMs: 300_000 });
    if (!head) throw new Error("no head");
    expect(head.state).toBe(SetState.PENDING);
    const isOpen = async () => (await closedPorts()).every((each) => each === "ok");
    await cluster.until("it is in force everywhere", isOpen);
    const { setNumber, digest } = head;
    await cluster.until("it says that it waits", async () => {
      return (await reportOf(leader, leader))?.state === SyncState.PENDING;
    });
    // At a host that does not lead: it hands the confirmation on.
    const [other] = cluster.others(leader);
    await cluster.until("it is confirmed", async () => {
      await cluster.on(other).confirmSet({ setNumber, digest });
      return true;
    });
    await cluster.untilActive(setNumber);
    await cluster.until("it stays open", isOpen);
    await cluster.write(other, [], { deletes: ["networkpolicy/default/opened"], reason: "closed again" });
    await cluster.until("it is closed again", async () => (await closedPorts()).every((each) => each === "timeout"));
  });

  it("returns with all the others when nobody confirms and the leader is dead", async () => {
    const before = await enforced();
    const leader = await cluster.leader();
    const [other] = cluster.others(leader);
    const { head } = await cluster.write(leader, [OPENED], { confirmWithinMs: DEADLINE_MS });
    await cluster.until("it is in force", async () => (await closedPorts()).includes("ok"));
    await leader.killAgent();
    await cluster.until("every host returned", async () => (await closedPorts()).every((each) => each === "timeout"));
    await cluster.until("the set is taken back", async () => {
      const { sets } = await cluster.on(other).listSets({ limit: 5 });
      return sets.find(({ setNumber }) => setNumber === head?.setNumber)?.state === SetState.ROLLED_BACK;
    });
    await cluster.allHealthy();
    for (const [index, host] of cluster.hosts.entries()) await untilEnforces(host, before[index]?.digest ?? "");
  });

  it("returns by itself from a policy that cuts it off from the store, and the others keep it", async () => {
    const leader = await cluster.leader();
    const [cutOff, other] = cluster.others(leader);
    const before = await cluster.enforced(cutOff);
    const { head } = await cluster.write(leader, [shutOffFromStore(cutOff.name)]);
    const setNumber = head?.setNumber ?? 0n;
    let problem = "";
    await cluster.until("it returned and said so", async () => {
      const report = await reportOf(cutOff, other);
      problem = report?.problem?.message ?? "";
      return (
        (report?.seenSetNumber ?? 0n) >= setNumber &&
        (report?.state === SyncState.ROLLED_BACK || report?.state === SyncState.REFUSED)
      );
    });
    expect(problem).toBeTruthy();
    await untilEnforces(cutOff, before.digest);
    await cluster.untilActive(setNumber, [leader, other]);
    const gone = await cluster.write(leader, [], { deletes: ["policy/default/shut-off"], reason: "mended" });
    await cluster.untilActive(gone.head?.setNumber ?? 0n);
  });

  it("keeps enforcing when its certificate is over, and gives itself a new one, being a candidate", async () => {
    const leader = await cluster.leader();
    const [, host] = cluster.others(leader);
    const before = await cluster.enforced(host);
    const identities = new IdentityStore(host.path(STATE_DIRECTORY));
    const own = await identities.readIdentity();
    if (!own) throw new Error("no identity");
    const authority = await authorityOf(leader);
    const nowMs = Date.now() - HOUR_S * 500;
    const publicKey = createPublicKey(own.keyPem);
    const ended = { name: host.name, publicKey, ipAddress: host.address[4], nowMs, lifeMs: 60_000 };
    await host.stopAgent();
    await identities.writeIdentity({ ...own, chainPem: (await authority.issueMember(ended)).chainPem });
    const lastsUntil = async () => new X509Certificate((await identities.readIdentity())?.chainPem ?? "").validToDate;
    expect((await lastsUntil()).getTime()).toBeLessThan(Date.now());
    expect(await closedPorts()).toEqual(["timeout", "timeout", "timeout"]);
    await host.startAgent();
    await cluster.until("it has a certificate again", async () => (await lastsUntil()).getTime() > Date.now());
    await cluster.allHealthy();
    await untilEnforces(host, before.digest);
    const { head } = await cluster.write(await cluster.leader(leader), [openOnly("after-expiry", 1)]);
    await cluster.untilActive(head?.setNumber ?? 0n, [host], leader);
  });

  it("goes on when its clock jumps by an hour either way and back, leader or not", async () => {
    const leader = await cluster.leader();
    const [other] = cluster.others(leader);
    const before = await enforced();
    for (const host of [leader, other]) installClock(host, cluster.fleet.directory);
    await Promise.all([leader, other].map((host) => host.stopAgent().then(() => host.startAgent())));
    await cluster.allHealthy();
    for (const [host, seconds] of [leader, other].flatMap((each) => [
      [each, HOUR_S] as const,
      [each, -HOUR_S] as const,
    ])) {
      const jump = `clock-${host.name}-${seconds < 0 ? "back" : "ahead"}`;
      let changes = 0n;
      for (let tried = 0; tried === 0 || (changes > 0n && tried < CLOCK_TRIES); tried += 1) {
        const { term } = await cluster.newestTerm();
        moveClock(host, seconds);
        const { head } = await cluster.write(await cluster.leader(), [openOnly(`${jump}-${tried}`, 1)]);
        await cluster.untilActive(head?.setNumber ?? 0n);
        moveClock(host, 0);
        changes = (await cluster.newestTerm()).term - term;
      }
      expect({ jump, changes }).toEqual({ jump, changes: 0n });
    }
    for (const [index, host] of cluster.hosts.entries()) await untilEnforces(host, before[index]?.digest ?? "");
  });

  it("that was away while 1,000 documents changed catches up in one apply, not in one for each set", async () => {
    const leader = await cluster.leader();
    const [away, other] = cluster.others(leader);
    const before = await cluster.enforced(away);
    await away.linkDown();
    let newest = 0n;
    for (let batch = 0; batch < BATCHES; batch += 1) {
      const texts = Array.from({ length: BATCH }, (_, index) => openOnly(`many-${batch}-${index}`, 1));
      const { head } = await cluster.write(leader, texts);
      newest = head?.setNumber ?? newest;
    }
    for (let serial = 0; serial < SMALL_SETS; serial += 1) {
      const { head } = await cluster.write(leader, [openOnly(`few-${serial}`, 1)]);
      newest = head?.setNumber ?? newest;
    }
    await cluster.untilActive(newest, [leader, other]);
    await away.linkUp();
    await cluster.untilActive(newest, [away]);
    // One apply; or some more, when its own etcd, which was away as well, told it of older sets before it knew of the newest.
    const applies = (await cluster.enforced(away)).number - before.number;
    expect(applies).toBeGreaterThanOrEqual(1n);
    expect(applies).toBeLessThanOrEqual(BigInt((BATCHES + SMALL_SETS) / 2));
    const { documents } = await cluster.answerTo(() =>
      cluster.on(away).listDocuments({ keyPrefix: "networkpolicy/default/many-" }),
    );
    expect(documents).toHaveLength(BATCHES * BATCH);
  });

  // Last: the host says for a minute and a half that somebody wanted its name.
  it("is not replaced by another machine with its name and its identity", async () => {
    const own = cluster.host("node-2");
    cpSync(own.path(`${STATE_DIRECTORY}/cluster`), twin.path(`${STATE_DIRECTORY}/cluster`), { recursive: true });
    await twin.startAgent();
    try {
      let isReplaced = false;
      await cluster.until("somebody says that there are two", async () => {
        const seen = await Promise.all([...cluster.hosts, twin].map((host) => cluster.status(host)));
        // Who holds the lead says so of its own name; whose name is in it and who does not hold it says that nobody leads.
        isReplaced ||=
          seen.at(-1)?.members.some(({ record, isLeader }) => record?.name === own.name && isLeader) ?? false;
        return seen.some(({ problems, members }) =>
          [
            ...problems,
            ...members.flatMap(({ presence }) => [presence?.rival ?? "", ...(presence?.problems ?? [])]),
          ].some((sentence) => sentence.includes("node-2") || sentence.includes(twin.address[4])),
        );
      });
      await cluster.until("the member is the first machine, which speaks for itself", async () => {
        const { members } = await cluster.status(cluster.host("node-1"));
        const member = members.find(({ record }) => record?.name === own.name);
        const addresses = member?.presence?.addresses ?? [];
        // Never the other one, at no look.
        isReplaced ||= addresses.includes(twin.address[4]);
        const { state, generation } = member?.report ?? {};
        const { number } = await cluster.enforced(own);
        return addresses.includes(own.address[4]) && state === SyncState.ACTIVE && generation === number;
      });
      const { head } = await cluster.write(cluster.host("node-1"), [openOnly("with-a-twin", 1)]);
      await cluster.untilActive(head?.setNumber ?? 0n);
      await cluster.until("one of the three leads by its own word", async () => {
        const { name } = await cluster.newestTerm();
        const { members } = await cluster.status(cluster.host(name));
        return members.some(({ record, isLeader }) => record?.name === name && isLeader);
      });
      expect(isReplaced).toBe(false);
    } finally {
      await twin.stopAgent();
    }
  });
});
