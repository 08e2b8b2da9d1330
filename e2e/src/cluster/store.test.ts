/** What becomes of a cluster of real hosts when the etcd under it dies in part, dies in most, or is full. */
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { outcomeOf } from "@wardline/helper/testing/agentClient";
import { describe, expect, it } from "vitest";
import { openOnly } from "../fleet/policies.ts";
import { skipReason } from "../harness.ts";
import { type ClusterFleet, clusterFleetProblem } from "./cluster-fleet.ts";
import { EnforcementProbe } from "./enforcement-probe.ts";
import {
  clientUrl,
  compactHistory,
  ETCD_UNIT,
  etcdctl,
  etcdctlLine,
  putCertificate,
  putExpiredCertificate,
} from "./etcd-member.ts";
import { shareCluster } from "./tries.ts";

const problem = clusterFleetProblem();
/** etcd elects anew within two of its election timeouts; the processors are shared. */
const ETCD_FAILOVER_LIMIT_MS = 30_000;
/** Longer than etcd may take here to elect anew: within it the cluster's own leader stays. */
const LEASE_LONGER_THAN_ELECTION_MS = 20_000;
const QUOTA_BYTES = 16 * 1024 * 1024;
const MEBIBYTE = 1024 * 1024;

describe.skipIf(problem !== null)(
  `the store of a cluster${skipReason(problem)}`,
  { timeout: 400_000, retry: 1 },
  () => {
    let cluster: ClusterFleet;

    shareCluster(
      (made) => {
        cluster = made;
      },
      { quotaBytes: QUOTA_BYTES, leaseMs: LEASE_LONGER_THAN_ELECTION_MS },
    );

    /** A policy of its own key that selects nobody: what is enforced stays what it is. */
    const note = (name: string) => openOnly(name, 1).replace("app:", "note:");

    it("takes writes again within seconds when the leader of etcd is killed, and keeps the cluster's own leader", async () => {
      const leader = await cluster.leader();
      const etcdLeader = await cluster.etcdLeader();
      const { term } = await cluster.leading(leader);
      const before = (await cluster.write(leader, [note("before")])).head?.setNumber ?? 0n;
      const killedAtMs = performance.now();
      await cluster.killEtcd(etcdLeader);
      const after = (await cluster.write(leader, [note("after")])).head?.setNumber ?? 0n;
      expect(performance.now() - killedAtMs).toBeLessThan(ETCD_FAILOVER_LIMIT_MS);
      const { sets } = await cluster.answerTo(() => cluster.on(leader).listSets({ limit: 100 }));
      // None is missing.
      expect(sets.map(({ setNumber }) => setNumber)).toEqual(
        sets.map((_, index) => (sets[0]?.setNumber ?? 0n) - BigInt(index)),
      );
      expect(after).toBeGreaterThan(before);
      // etcd gives every lease its full time again after an election.
      expect((await cluster.leading(leader)).term - term).toBeLessThanOrEqual(1n);
      await cluster.until("one server is shown as gone", async () => {
        const { endpoints } = await cluster.status(leader);
        return endpoints.filter(({ reachable }) => !reachable).length === 1;
      });
      await cluster.startEtcd(etcdLeader);
      await cluster.untilActive(after);
    });

    it("answers old and says so, takes no write and changes no packet while two of three are down; then all goes on", async () => {
      const [first, second, third] = cluster.hosts;
      if (!first || !second || !third) throw new Error("three hosts");
      const { head: before } = await cluster.answerTo(() => cluster.on(first).listDocuments({}));
      const enforcedBefore = await Promise.all(cluster.hosts.map((host) => cluster.enforced(host)));
      const probes = await Promise.all([
        EnforcementProbe.start(first, second),
        EnforcementProbe.start(second, third),
        EnforcementProbe.start(third, first),
      ]);
      const outage = async (): Promise<void> => {
        await Promise.all([cluster.killEtcd(second), cluster.killEtcd(third)]);
        await cluster.until("every host says that what it shows is old", async () => {
          const seen = await Promise.all(cluster.hosts.map((host) => cluster.status(host)));
          return seen.every(({ stale, storeWritable }) => stale && !storeWritable);
        });
        const look = cluster.hosts.map(async (host) => {
          const old = await cluster.answerTo(() => cluster.on(host).listDocuments({ mayBeStale: true }));
          expect(old).toMatchObject({ stale: true, head: { setNumber: before?.setNumber } });
          expect(await outcomeOf(cluster.on(host).listDocuments({}))).toBe("STORE_UNAVAILABLE");
          const write = cluster.on(host).writeDocuments({
            writes: [{ text: note("without-majority") }],
            reason: "a test",
            mode: EnforcementMode.ENFORCE,
          });
          expect(await outcomeOf(write)).toBe("STORE_UNAVAILABLE");
        });
        await Promise.all(look);
      };
      let run = outage;
      for (const probe of probes) {
        const inner = run;
        run = async () => {
          const { sent, arrived, leaked } = await probe.during(inner);
          expect({ leaked, passes: arrived > sent * 0.8 && sent > 200 }).toEqual({ leaked: 0, passes: true });
        };
      }
      await run();
      await Promise.all(probes.map((probe) => probe.close()));
      expect(await Promise.all(cluster.hosts.map((host) => cluster.enforced(host)))).toEqual(enforcedBefore);
      await Promise.all([cluster.startEtcd(second), cluster.startEtcd(third)]);
      await cluster.allHealthy();
      const { documents, head } = await cluster.answerTo(() => cluster.on(first).listDocuments({}));
      expect(documents.filter(({ key }) => key.includes("without-majority"))).toEqual([]);
      expect(head?.setNumber).toBe(before?.setNumber);
      const next = await cluster.write(await cluster.leader(), [note("with-majority")]);
      await cluster.untilActive(next.head?.setNumber ?? 0n);
    });

    it("does without a server whose certificate is over, says so, and takes it back with a new one", async () => {
      const leader = await cluster.leader();
      const [other] = cluster.others(leader);
      await cluster.killEtcd(other);
      await putExpiredCertificate(other, leader);
      await cluster.startEtcd(other);
      await cluster.until("every host says that it does not answer", async () => {
        const seen = await Promise.all(cluster.hosts.map((host) => cluster.status(host)));
        return seen.every(({ endpoints }) =>
          endpoints.some(
            ({ endpoint, reachable, problem }) => endpoint === clientUrl(other) && !reachable && problem !== "",
          ),
        );
      });
      // The other servers refuse it, so it never comes to answering clients.
      await cluster.until("it was refused", async () => other.log(ETCD_UNIT).includes("bad certificate"));
      const { head } = await cluster.write(await cluster.leader(), [note("without-the-expired")]);
      await cluster.untilActive(head?.setNumber ?? 0n);
      await cluster.until("it has a new certificate", async () => {
        await putCertificate(other, cluster.on(await cluster.leader()));
        return true;
      });
      await cluster.killEtcd(other);
      await cluster.startEtcd(other);
      await cluster.until("it is taken back", async () => {
        const { endpoints } = await cluster.status(leader);
        return endpoints.every(({ reachable }) => reachable);
      });
    });

    it("says that etcd is full, keeps its leader and members, and takes writes again when there is room", async () => {
      const leader = await cluster.leader();
      const { term } = await cluster.leading(leader);
      const filler = "x".repeat(MEBIBYTE);
      let isFull = false;
      for (let part = 0; part < 64 && !isFull; part += 1) {
        const put = leader.run(etcdctlLine(leader, "put", `/filler/${part}`), { input: filler });
        isFull = (await put).stderr.includes("space");
      }
      expect(isFull).toBe(true);
      const write = cluster.writeOnce(leader, [note("no-room")]);
      const failure = await write.then(
        () => null,
        (error: unknown) => error,
      );
      expect(await outcomeOf(Promise.reject(failure))).toBe(ErrorCode[ErrorCode.STORE_UNAVAILABLE]);
      expect(String(failure)).toMatch(/full|space|NOSPACE/i);
      await cluster.until("the alarm is shown", async () => {
        const { endpoints } = await cluster.status(leader);
        return endpoints.some(({ alarms }) => alarms.includes("NOSPACE"));
      });
      // Leases are renewed without a write: nobody is lost, and nobody else leads.
      const { currentTerm, members } = await cluster.status(leader);
      expect(currentTerm).toMatchObject({ number: term, leader: leader.name });
      expect(members).toHaveLength(3);
      await cluster.until("there is room", async () => {
        await etcdctl(leader, "del", "--prefix", "/filler/");
        await compactHistory(leader);
        for (const host of cluster.hosts) await etcdctl(host, "defrag");
        await etcdctl(leader, "alarm", "disarm");
        return true;
      });
      const { head } = await cluster.write(await cluster.leader(), [note("room")]);
      await cluster.untilActive(head?.setNumber ?? 0n);
    });
  },
);
