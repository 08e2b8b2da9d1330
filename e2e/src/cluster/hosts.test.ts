/** What becomes of one host of a cluster that is away, doubled, cut off by its own policy, out of time, or not confirmed. */
import { createPublicKey, X509Certificate } from "node:crypto";
import { cpSync } from "node:fs";
import { SetState, SyncState } from "@wardline/api/wardline/v1/cluster";
import { IdentityStore } from "@wardline/helper/identity/identityStore";
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { openOnly } from "../fleet/policies.ts";
import { skipReason } from "../harness.ts";
import { CLOSED_PORT, ClusterFleet, clusterFleetProblem } from "./cluster-fleet.ts";
import { authorityOf } from "./etcd-member.ts";
import { installClock, moveClock } from "./machine-clock.ts";

const problem = clusterFleetProblem();
const HOUR_S = 3_600;
/** Long: these tests are not about who leads, and a machine that is busy with others loses short leases. */
const LEASE_MS = 6_000;
const DEADLINE_MS = 10_000;
/** Of a thousand documents, in sets of this many. */
const BATCH = 250;
const BATCHES = 4;
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

describe.skipIf(problem !== null)(`a host of a cluster${skipReason(problem)}`, { timeout: 120_000 }, () => {
  let cluster: ClusterFleet;
  let twin: FleetHost;
  let source: SocketPeer;

  beforeAll(async () => {
    cluster = await ClusterFleet.start({
      leaseMs: LEASE_MS,
      others: [{ name: "twin", agent: "stopped", agentOptions: ["--host-name", "node-2"] }],
    });
    twin = cluster.host("twin");
    source = await twin.startPeer();
    for (const host of cluster.hosts) await (await host.startPeer()).listenTcp(CLOSED_PORT);
    await cluster.writeBase();
  }, 120_000);
  beforeEach(() => cluster.heal(), 60_000);
  afterAll(() => cluster?.close(), 60_000);

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

  it("keeps what was confirmed in time, with all the others", async () => {
    expect(await closedPorts()).toEqual(["timeout", "timeout", "timeout"]);
    const leader = await cluster.leader();
    const { head } = await cluster.write(leader, [OPENED], { confirmWithinMs: 60_000 });
    if (!head) throw new Error("no head");
    expect(head.state).toBe(SetState.PENDING);
    await cluster.until("it is in force everywhere", async () => (await closedPorts()).every((each) => each === "ok"));
    const { setNumber, digest } = head;
    expect((await reportOf(leader, leader))?.state).toBe(SyncState.PENDING);
    // At a host that does not lead: it hands the confirmation on.
    const [other] = cluster.others(leader);
    await cluster.on(other).confirmSet({ setNumber, digest });
    await cluster.untilActive(setNumber);
    expect(await closedPorts()).toEqual(["ok", "ok", "ok"]);
    await cluster.on(other).writeDocuments({
      ...(await deletionOf("networkpolicy/default/opened")),
      reason: "closed again",
      mode: 2,
    });
    await cluster.until("it is closed again", async () => (await closedPorts()).every((each) => each === "timeout"));
  });

  async function deletionOf(key: string) {
    const { document } = await cluster.on(await cluster.leader()).getDocument({ key });
    return { writes: [{ deleteKey: key, baseVersion: document?.version ?? 0n }] };
  }

  it("returns with all the others when nobody confirms and the leader is dead", async () => {
    const before = await enforced();
    const leader = await cluster.leader();
    const [other] = cluster.others(leader);
    const { head } = await cluster.write(leader, [OPENED], { confirmWithinMs: DEADLINE_MS });
    const pendingSinceMs = performance.now();
    await cluster.until("it is in force", async () => (await closedPorts()).includes("ok"));
    await leader.killAgent();
    await cluster.until("every host returned", async () => (await closedPorts()).every((each) => each === "timeout"));
    expect(performance.now() - pendingSinceMs).toBeLessThan(DEADLINE_MS + 10_000);
    await cluster.until("the set is taken back", async () => {
      const { sets } = await cluster.on(other).listSets({ limit: 5 });
      return sets.find(({ setNumber }) => setNumber === head?.setNumber)?.state === SetState.ROLLED_BACK;
    });
    await cluster.allHealthy();
    expect((await enforced()).map(({ digest }) => digest)).toEqual(before.map(({ digest }) => digest));
  });

  it("returns by itself from a policy that cuts it off from the store, and the others keep it", async () => {
    const leader = await cluster.leader();
    const [cutOff, other] = cluster.others(leader);
    const before = await cluster.enforced(cutOff);
    const { head } = await cluster.write(leader, [shutOffFromStore(cutOff.name)]);
    const setNumber = head?.setNumber ?? 0n;
    await cluster.until("it returned and said so", async () => {
      const report = await reportOf(cutOff, other);
      return (
        (report?.seenSetNumber ?? 0n) >= setNumber &&
        (report?.state === SyncState.ROLLED_BACK || report?.state === SyncState.REFUSED)
      );
    });
    expect((await reportOf(cutOff, other))?.problem?.message).toBeTruthy();
    expect((await cluster.enforced(cutOff)).digest).toBe(before.digest);
    await cluster.untilActive(setNumber, [leader, other]);
    const gone = await cluster.on(leader).writeDocuments({
      ...(await deletionOf("policy/default/shut-off")),
      reason: "mended",
      mode: 2,
    });
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
    expect((await cluster.enforced(host)).digest).toBe(before.digest);
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
    const { term } = await cluster.leading();
    for (const [host, seconds] of [leader, other].flatMap((each) => [
      [each, HOUR_S] as const,
      [each, -HOUR_S] as const,
    ])) {
      moveClock(host, seconds);
      const jump = `clock-${host.name}-${seconds < 0 ? "back" : "ahead"}`;
      const { head } = await cluster.write(await cluster.leader(), [openOnly(jump, 1)]);
      await cluster.untilActive(head?.setNumber ?? 0n);
      moveClock(host, 0);
    }
    expect((await cluster.leading()).term).toBe(term);
    expect((await enforced()).map(({ digest }) => digest)).toEqual(before.map(({ digest }) => digest));
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
    await cluster.untilActive(newest, [leader, other]);
    await away.linkUp();
    await cluster.untilActive(newest, [away]);
    // One apply: or two, when its own etcd, which was away as well, told it of an older set before it knew of the newest.
    const applies = (await cluster.enforced(away)).number - before.number;
    expect(applies).toBeGreaterThanOrEqual(1n);
    expect(applies).toBeLessThanOrEqual(2n);
    const { documents } = await cluster.on(away).listDocuments({ keyPrefix: "networkpolicy/default/many-" });
    expect(documents).toHaveLength(BATCHES * BATCH);
  });

  // Last: the host says for a minute and a half that somebody wanted its name.
  it("is not replaced by another machine with its name and its identity", async () => {
    const own = cluster.host("node-2");
    const before = await cluster.leading();
    cpSync(own.path(`${STATE_DIRECTORY}/cluster`), twin.path(`${STATE_DIRECTORY}/cluster`), { recursive: true });
    await twin.startAgent();
    await cluster.until("somebody says that there are two", async () => {
      const seen = await Promise.all([...cluster.hosts, twin].map((host) => cluster.status(host)));
      return seen.some(({ problems, members }) =>
        [
          ...problems,
          ...members.flatMap(({ presence }) => [presence?.rival ?? "", ...(presence?.problems ?? [])]),
        ].some((sentence) => sentence.includes("node-2") || sentence.includes(twin.address[4])),
      );
    });
    const { members } = await cluster.status(cluster.host("node-1"));
    const member = members.find(({ record }) => record?.name === "node-2");
    expect(member?.presence?.addresses).toContain(own.address[4]);
    expect(member?.presence?.addresses).not.toContain(twin.address[4]);
    // Nor does it speak for the host whose name it has.
    expect(member?.report).toMatchObject({ state: SyncState.ACTIVE, generation: (await cluster.enforced(own)).number });
    expect((await cluster.leading()).term).toBe(before.term);
    const { head } = await cluster.write(await cluster.leader(), [openOnly("with-a-twin", 1)]);
    await cluster.untilActive(head?.setNumber ?? 0n);
  });
});
