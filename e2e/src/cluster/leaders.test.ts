/** What becomes of the cluster when its leader is killed, stands still, or is cut off while somebody writes to it. */
import { setTimeout } from "node:timers/promises";
import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { failureFromConnectError } from "@wardline/domain/wire";
import { outcomeOf } from "@wardline/helper/testing/agentClient";
import { describe, expect, it } from "vitest";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { openOnly } from "../fleet/policies.ts";
import { skipReason } from "../harness.ts";
import { type ClusterFleet, clusterFleetProblem, LEASE_MS } from "./cluster-fleet.ts";
import { EnforcementProbe } from "./enforcement-probe.ts";
import { compactHistory, etcdctl } from "./etcd-member.ts";
import { shareCluster } from "./tries.ts";

const problem = clusterFleetProblem();
/** On top of the lease: etcd looks for ended leases twice a second, and the processors are shared with everything else. */
const BOUND_MS = 30_000;
const FLAPS = 5;
/** A lead that goes with every flap does so each time; a busy machine that loses it does not. */
const FLAP_TRIES = 3;
/** Of packets, that a probe counts: fewer prove nothing. */
const FEWEST_SENT = 200;
const FLAP_MS = 400;

describe.skipIf(problem !== null)(
  `the leader of a cluster${skipReason(problem)}`,
  { timeout: 400_000, retry: 1 },
  () => {
    let cluster: ClusterFleet;

    shareCluster((made) => {
      cluster = made;
    });

    /** A policy of its own key that selects nobody: what is enforced stays what it is. */
    const note = (name: string) => openOnly(name, 1).replace("app:", "note:");

    /** The documents in the store whose key has this in it. */
    async function written(part: string, on: FleetHost): Promise<readonly DocumentVersion[]> {
      const { documents } = await cluster.answerTo(() => cluster.on(on).listDocuments({ withDeleted: true }));
      return documents.filter(({ key }) => key.includes(part));
    }

    it("is followed by another within its lease and a bound when it is killed, and no packet meets another decision", async () => {
      const leader = await cluster.leader();
      const [other] = cluster.others(leader);
      const { term } = await cluster.newestTerm();
      const probe = await EnforcementProbe.start(leader, other);
      let tookMs = 0;
      let next = { name: "", term };
      const { sent, arrived, leaked } = await probe.during(async () => {
        const killedAtMs = performance.now();
        await leader.killAgent();
        next = await cluster.untilLeads((leading) => leading.term > term, other);
        tookMs = performance.now() - killedAtMs;
      });
      await probe.close();
      expect(tookMs).toBeLessThan(LEASE_MS + BOUND_MS);
      expect({ leaked, passes: arrived > sent * 0.9 && sent > FEWEST_SENT }).toEqual({ leaked: 0, passes: true });
      const { head } = await cluster.write(cluster.host(next.name), [note("after-kill")]);
      expect(head?.term).toBeGreaterThanOrEqual(next.term);
      // No number is left out, however often the lead moved.
      const { terms } = await cluster.status(other);
      expect(terms.map(({ number }) => number)).toEqual(
        terms.map((_, index) => (terms[0]?.number ?? 0n) - BigInt(index)),
      );
      expect(terms.map(({ number }) => number)).toContain(term);
      await cluster.untilActive(head?.setNumber ?? 0n);
    });

    it("writes nothing by its old term after it stood still for longer than its lease", async () => {
      const leader = await cluster.leader();
      const [other] = cluster.others(leader);
      const { term } = await cluster.newestTerm();
      await cluster.pauseAgent(leader);
      // It lies in the socket of the one that stands still, and is the first thing that it meets.
      const writing = cluster
        .on(leader)
        .writeDocuments(
          { writes: [{ text: note("while-paused") }], reason: "a test", mode: EnforcementMode.ENFORCE },
          { timeoutMs: 60_000 },
        );
      const outcome = writing.then(
        ({ head }) => ({ head, isRefused: false }),
        (error: unknown) => ({
          head: undefined,
          isRefused: failureFromConnectError(error)?.code === ErrorCode.NOT_LEADER,
        }),
      );
      const next = await cluster.untilLeads((leading) => leading.term > term, other);
      expect(next.name).not.toBe(leader.name);
      await cluster.resumeAgent(leader);
      const { head, isRefused } = await outcome;
      await cluster.allHealthy();
      // Handed on to the new leader, or refused; never written by who led before.
      const versions = await written("while-paused", other);
      if (isRefused) expect(versions).toEqual([]);
      if (head) expect(versions).toHaveLength(1);
      for (const version of [...versions, ...(head ? [head] : [])])
        expect(version.term).toBeGreaterThanOrEqual(next.term);
      const { sets } = await cluster.answerTo(() => cluster.on(other).listSets({ limit: 100 }));
      const terms = sets.map((set) => set.term);
      expect(terms).toEqual(terms.toSorted((one, two) => Number(two - one)));
    });

    it("cannot write while it is cut off, whatever a client on it asks for, and nothing of it appears afterwards", async () => {
      const leader = await cluster.leader();
      const [other, third] = cluster.others(leader);
      const { term } = await cluster.newestTerm();
      const outcomes = new Map<number, string>();
      const attempts: Promise<void>[] = [];
      const probe = await EnforcementProbe.start(other, third);
      const { sent, arrived, leaked } = await probe.during(async () => {
        await leader.linkDown();
        let hasSuccessor = false;
        const ask = async () => {
          const serial = attempts.length;
          const writes = [{ text: note(`cut-off-${serial}`) }];
          const request = { writes, reason: "a test", mode: EnforcementMode.ENFORCE };
          const attempt = outcomeOf(cluster.on(leader).writeDocuments(request, { timeoutMs: 60_000 }));
          attempts.push(attempt.then((outcome) => void outcomes.set(serial, outcome)));
          await setTimeout(250);
          hasSuccessor ||= (await cluster.leading(other)).term > term;
          return hasSuccessor && outcomes.size >= 5;
        };
        await cluster.until("another leads, and clients of the old leader were answered", ask);
        expect([...outcomes.values()]).not.toContain("ok");
        await cluster.write(other, [note("meanwhile")]);
        await leader.linkUp();
        await Promise.all(attempts);
      });
      await probe.close();
      await cluster.allHealthy();
      // Those at the end may have been handed on to the new leader once the cable was back: then they say so.
      const appeared = await written("cut-off-", other);
      for (const version of appeared) expect(version.term).toBeGreaterThan(term);
      const keys = appeared.map(({ key }) => key);
      for (const [serial, outcome] of outcomes) {
        const isThere = keys.some((key) => key.endsWith(`/cut-off-${serial}-ports`));
        if (outcome === "ok") expect({ serial, isThere }).toEqual({ serial, isThere: true });
        if (outcome === "NOT_LEADER") expect({ serial, isThere }).toEqual({ serial, isThere: false });
      }
      expect(await written("meanwhile", leader)).toHaveLength(1);
      expect({ leaked, passes: arrived > sent * 0.9 && sent > FEWEST_SENT }).toEqual({ leaked: 0, passes: true });
    });

    it("stays or changes, but never stops being found, while a cable flaps", async () => {
      // Each outage is far shorter than the lease: nobody has to follow, and nobody follows over and over. One flap can cost etcd
      // its own leader; on busy processors its election and the renewal after it take longer than a lease.
      let changes = 3n;
      for (let tried = 0; changes > 2n && tried < FLAP_TRIES; tried += 1) {
        const leader = await cluster.leader();
        const { term } = await cluster.newestTerm();
        for (let flap = 0; flap < FLAPS; flap += 1) {
          await leader.linkDown();
          await setTimeout(FLAP_MS);
          await leader.linkUp();
          await setTimeout(FLAP_MS);
        }
        await cluster.allHealthy();
        changes = (await cluster.newestTerm()).term - term;
      }
      expect(changes).toBeLessThanOrEqual(2n);
      const { head } = await cluster.write(await cluster.leader(), [note("after-flaps")]);
      await cluster.untilActive(head?.setNumber ?? 0n);
    });

    it("is followed again by a host whose place in the store's history was compacted away", async () => {
      const leader = await cluster.leader();
      const [follower, other] = cluster.others(leader);
      await cluster.pauseAgent(follower);
      let newest = 0n;
      for (let serial = 0; serial < 3; serial += 1) {
        const { head } = await cluster.write(leader, [note(`unseen-${serial}`)]);
        newest = head?.setNumber ?? 0n;
      }
      // Its open watches would still be told of everything: they end with the servers that they are open to.
      for (const host of cluster.hosts) {
        await cluster.killEtcd(host);
        await cluster.startEtcd(host);
        await cluster.until(
          `etcd of ${host.name} is back`,
          async () => (await etcdctl(host, "endpoint", "health")) !== null,
        );
      }
      const { head } = await cluster.write(await cluster.leader(other), [note("unseen-3")]);
      newest = head?.setNumber ?? newest;
      await cluster.until("history is compacted away", async () => {
        await compactHistory(other);
        return true;
      });
      await cluster.resumeAgent(follower);
      await cluster.untilActive(newest, [follower]);
      const { documents } = await cluster.answerTo(() => cluster.on(follower).listDocuments({ mayBeStale: true }));
      expect(documents.filter(({ key }) => key.includes("unseen-"))).toHaveLength(4);
    });
  },
);
