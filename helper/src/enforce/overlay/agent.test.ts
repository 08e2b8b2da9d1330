/** A real agent beside a real Yggdrasil: by itself it finds the interface that makes an address a node's. */
import { existsSync } from "node:fs";
import { yggdrasilAddress } from "@wardline/domain/mesh";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentLab } from "../../testing/agentLab.ts";
import { AGENT_FROM_SOURCE, AgentProcess } from "../../testing/agentProcess.ts";
import { HOST_ADDRESS, kernelLabProblem } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { YggdrasilLab, type YggdrasilNode, yggdrasilProblem } from "../../testing/yggdrasilLab.ts";

const PATIENCE = { timeout: 40_000, interval: 200 };
const problem = kernelLabProblem() ?? yggdrasilProblem() ?? (existsSync("/dev/net/tun") ? null : "needs /dev/net/tun");

function onlyNode(key: string): string {
  return `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: friend}
spec:
  subject: {selector: {matchLabels: {app: web}}}
  ingress:
    - from: [{meshNode: {key: ${key}}}]
      ports: [{port: 7001}]
`;
}

describe.skipIf(problem !== null)(
  `an agent on a host of the mesh${problem === null ? "" : ` (${problem})`}`,
  { timeout: 240_000 },
  () => {
    let lab: AgentLab;
    let mesh: YggdrasilLab;
    let hostNode: YggdrasilNode;
    let friend: YggdrasilNode;
    let peer: SocketPeer;

    /** In the namespace of the lab's host, whose interfaces it then looks at. */
    async function start(...more: readonly string[]): Promise<void> {
      const command = ["nsenter", `--net=${lab.kernel.hostNamespace}`, ...AGENT_FROM_SOURCE];
      const options = [...lab.options, "--yggdrasil-socket", hostNode.socketPath, ...more];
      lab.agent = await AgentProcess.start(command, options);
    }

    const reach = () => peer.connectTcp("friend", yggdrasilAddress(hostNode.key) ?? "", 7001, 1500);

    beforeEach(async () => {
      lab = new AgentLab();
      mesh = new YggdrasilLab();
      const { hostNamespace, peerNamespace } = lab.kernel;
      const own = { interfaceName: "ygg0" };
      hostNode = await mesh.node("host", { ...own, listen: "0.0.0.0", namespace: hostNamespace });
      const peers = [hostNode.uri.replace("0.0.0.0", HOST_ADDRESS[4])];
      friend = await mesh.node("friend", { ...own, listen: null, namespace: peerNamespace, peers });
      await (await lab.kernel.startSocketPeer("host")).listenTcp(7001);
      peer = await lab.kernel.startSocketPeer("peer");
    }, 240_000);

    afterEach(async () => {
      await lab.agent?.end("SIGTERM");
      await mesh.close();
      await lab.close();
    }, 240_000);

    it("lets in the node that policy names, over a restart of the daemon, and goes on when it is killed", async () => {
      await start();
      await expect.poll(reach, PATIENCE).toBe("ok");
      await lab.applyAndConfirm(0n, onlyNode(friend.key));
      await expect.poll(reach, PATIENCE).toBe("ok");
      await hostNode.kill();
      await hostNode.start();
      await expect.poll(reach, { ...PATIENCE, timeout: 240_000 }).toBe("ok");
      await lab.agent?.end("SIGKILL");
      expect(await reach()).toBe("ok");
      await start();
      expect(await reach()).toBe("ok");
      expect((await lab.status()).problems).toEqual([]);
    });

    it("takes no address for a node's when it was told to leave the mesh alone", async () => {
      await start("--mesh", "off");
      await expect.poll(reach, PATIENCE).toBe("ok");
      await lab.applyAndConfirm(0n, onlyNode(friend.key));
      expect(await reach()).toBe("timeout");
    });
  },
);
