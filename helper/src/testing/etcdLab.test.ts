import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EtcdLab, etcdProblem } from "./etcdLab.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS } from "./kernelLab.ts";

const problem = etcdProblem() ?? kernelLabProblem();

describe.skipIf(problem !== null)(`etcd of a test${problem ? ` (${problem})` : ""}`, () => {
  it("runs across network namespaces, on both kinds of addresses, and leaves nothing behind", async () => {
    const kernel = new KernelLab();
    const { hostNamespace, peerNamespace } = kernel;
    let lab: EtcdLab | null = null;
    try {
      lab = await EtcdLab.start({
        members: 3,
        addresses: [HOST_ADDRESS[4], PEER_ADDRESS[6], PEER_ADDRESS[4]],
        namespaces: [hostNamespace, peerNamespace, peerNamespace],
        dataDir: kernel.directory,
      });
      expect(lab.endpoints).toStrictEqual(["http://10.77.0.2:2379", "http://[fd77::1]:2381", "http://10.77.0.1:2383"]);
      await lab.etcdctl(["put", "/a", "1"], [0]);
      expect(await lab.etcdctl(["get", "/a", "--print-value-only"], [1])).toBe("1\n");
      const leader = await lab.leader();
      await lab.pause(leader);
      expect(await lab.leader()).not.toBe(leader);
      lab.resume(leader);
      await lab.waitHealthy();
      await lab.kill(leader);
      expect(lab.isRunning(leader)).toBe(false);
      await lab.waitHealthy();
      lab.wipe(leader);
      expect(existsSync(lab.dataDir(leader))).toBe(false);
      const running = [0, 1, 2].filter((index) => index !== leader).map((index) => lab!.pid(index));
      await lab.close();
      for (const pid of running) expect(existsSync(`/proc/${pid}`)).toBe(false);
      expect(existsSync(lab.directory)).toBe(false);
    } finally {
      await lab?.close();
      await kernel.close();
    }
  });
});
