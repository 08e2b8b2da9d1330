/** The desired set down to the packets: the agent's own controller, engine and eBPF programs, judged by real sockets. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type DocumentWrite, DocumentWriteSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { type SyncReport, SyncState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { Closers, controllerPorts, layFoundation } from "../../agent/foundation.ts";
import type { AgentOptions } from "../../agent/options.ts";
import { GenerationController } from "../../generations/controller.ts";
import { allowPorts } from "../../testing/agentLab.ts";
import { LAB_KEYS, LabNode, LeadOffice, requestOf, SILENT } from "../../testing/desiredLab.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { Reconciler } from "./reconciler.ts";

const problem = kernelLabProblem();
/** Stands for the store's port: what the host has to reach from inside. */
const STORE_PORT = 2379;

const HOST = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {app: web}}
spec: {addresses: [${HOST_ADDRESS[4]}, "${HOST_ADDRESS[6]}"]}
`;
const NOTHING_OUT = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}
`;

const text = (value: string, baseVersion = 0n): DocumentWrite =>
  create(DocumentWriteSchema, { text: value, baseVersion });

describe.skipIf(problem !== null)(
  `the desired set in a kernel (${problem ?? "eBPF"})`,
  { timeout: 240_000, retry: 1 },
  () => {
    let lab: KernelLab;
    let host: SocketPeer;
    let peer: SocketPeer;
    let closers: Closers;
    let leader: LabNode;
    let reconciler: Reconciler;
    let controller: GenerationController;

    beforeEach(async () => {
      readBpfObject();
      lab = new KernelLab();
      closers = new Closers();
      closers.add(() => lab.close());
      [host, peer] = await Promise.all([lab.startSocketPeer("host"), lab.startSocketPeer("peer")]);
      await Promise.all([host.listenTcp(8080), host.listenTcp(9090), peer.listenTcp(STORE_PORT)]);
      const options: AgentOptions = {
        socketPath: join(lab.directory, "agent.sock"),
        stateDir: join(lab.directory, "state"),
        bpffsDir: lab.bpffsDir,
        cgroupRoot: lab.cgroupRoot,
        hostName: "alpha",
        backend: "ebpf",
        logLevel: "fatal",
        edge: false,
        earlyDrop: [],
        bootFailure: "closed",
      };
      const foundation = await layFoundation(options, { log: SILENT }, closers);
      controller = new GenerationController({
        ...controllerPorts(options, foundation),
        newestConnection: () => 0,
        circumstances: async () => ({ domainAddresses: new Map() }),
      });
      await controller.start();
      closers.add(() => controller.close());
      leader = new LabNode(new LeadOffice(), "leader", new MemoryClusterStore(new MemoryStoreState(systemClock)));
      await leader.lead.take();
      closers.add(() => leader.close());
      reconciler = makeReconciler(foundation.engine, options.stateDir);
      await reconciler.start();
      closers.add(() => reconciler.close());
    }, 180_000);
    afterEach(() => closers.close(), 180_000);

    function makeReconciler(
      engine: ConstructorParameters<typeof Reconciler>[0]["engine"],
      stateDir: string,
    ): Reconciler {
      let proofs = 0;
      return new Reconciler({
        store: leader.store,
        keys: LAB_KEYS,
        replica: leader.replica,
        controller,
        engine,
        clock: systemClock,
        log: SILENT,
        hostName: "alpha",
        stateDir,
        safetyDeadlineMs: 5_000,
        freshProof: async () => {
          proofs += 1;
          const outcome = await host.connectTcp(`proof ${proofs}`, PEER_ADDRESS[4], STORE_PORT, 500);
          if (outcome !== "ok") throw new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: outcome });
          await host.disconnect(`proof ${proofs}`);
          return leader.replica.state?.head ?? null;
        },
        recordAutomatic: () => {},
      });
    }

    const write = (writes: readonly DocumentWrite[]) => leader.set.write(requestOf(writes), { actor: "alice" });
    const reach = async () => [
      await peer.connectTcp("8080", HOST_ADDRESS[4], 8080, 200),
      await peer.connectTcp("9090", HOST_ADDRESS[4], 9090, 200),
    ];

    async function reported(over: Partial<SyncReport>): Promise<void> {
      await vi.waitFor(() => expect(reconciler.report).toMatchObject(over), { timeout: 60_000, interval: 20 });
    }

    it("decides about packets, and a set that cuts the host off from the store returns by itself", async () => {
      expect(await reach()).toEqual(["ok", "ok"]);
      await write([text(HOST), text(allowPorts(8080))]);
      await reported({ state: SyncState.ACTIVE, activeSetNumber: 1n });
      expect(await reach()).toEqual(["ok", "timeout"]);
      await write([text(allowPorts(9090), 1n)]);
      await reported({ state: SyncState.ACTIVE, activeSetNumber: 2n });
      expect(await reach()).toEqual(["timeout", "ok"]);
      await write([text(NOTHING_OUT)]);
      await reported({ state: SyncState.REFUSED, activeSetNumber: 2n, seenSetNumber: 3n });
      expect(reconciler.report.problem?.code).toBe(ErrorCode.WOULD_LOCK_OUT);
      expect(await host.connectTcp("out", PEER_ADDRESS[4], STORE_PORT, 500)).toBe("ok");
      expect(await reach()).toEqual(["timeout", "ok"]);
      expect(controller.pending).toBeNull();
      await write([create(DocumentWriteSchema, { deleteKey: "networkpolicy/default/out", baseVersion: 1n })]);
      await reported({ state: SyncState.ACTIVE, activeSetNumber: 4n });
    });
  },
);
