/** Real Yggdrasil nodes with interfaces of their own, and a policy that names one of them by its key. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { yggdrasilAddress } from "@wardline/domain/mesh";
import {
  BUILTIN_DECISIONS,
  compile,
  describeDecision,
  type HostProgram,
  readPolicyFiles,
} from "@wardline/domain/policy";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EdgeLab, HOST_ADDRESS, HOST_FAR_ADDRESS } from "../../testing/edgeLab.ts";
import { kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { YggdrasilLab, type YggdrasilNode, yggdrasilProblem } from "../../testing/yggdrasilLab.ts";
import { EbpfEnforcer } from "../ebpf/ebpfEnforcer.ts";
import type { FlowEvent } from "../enforcer.ts";
import { OverlayWatch } from "./overlayWatch.ts";

const SPOOFED = BUILTIN_DECISIONS.spoofedOverlay.index;
const INTERFACE = "ygg0";
const PATIENCE = { timeout: 40_000, interval: 200 };
const problem = kernelLabProblem() ?? yggdrasilProblem() ?? (existsSync("/dev/net/tun") ? null : "needs /dev/net/tun");

function policies(hostKey: string, friendKey: string): string {
  return `apiVersion: wardline.io/v1
kind: Host
metadata: {name: host, labels: {app: vault}}
spec: {addresses: [${HOST_ADDRESS[4]}], meshKey: ${hostKey}}
---
apiVersion: wardline.io/v1
kind: Policy
metadata: {name: friend}
spec:
  subject: {selector: {matchLabels: {app: vault}}}
  ingress:
    - name: the friend
      from: [{meshNode: {key: ${friendKey}}}]
      ports: [{port: 7001}, {protocol: UDP, port: 7001}]
`;
}

describe.skipIf(problem !== null)(
  `a policy that names a node by its key${problem === null ? "" : ` (${problem})`}`,
  { timeout: 240_000 },
  () => {
    let lab: EdgeLab;
    let mesh: YggdrasilLab;
    let watch: OverlayWatch;
    let enforcer: EbpfEnforcer;
    let hostNode: YggdrasilNode;
    let friend: YggdrasilNode;
    let stranger: YggdrasilNode;
    let program: HostProgram;
    let host: SocketPeer;
    let friendSocket: SocketPeer;
    let strangerSocket: SocketPeer;
    const events: FlowEvent[] = [];
    const addressOf = ({ key }: YggdrasilNode): string => yggdrasilAddress(key) ?? "";

    function drained(): readonly FlowEvent[] {
      enforcer.drainEvents();
      return events.splice(0);
    }

    beforeAll(async () => {
      lab = new EdgeLab();
      mesh = new YggdrasilLab();
      const { hostNamespace, peerNamespace, cgroupRoot, bpffsDir } = lab.kernel;
      const own = { interfaceName: INTERFACE };
      hostNode = await mesh.node("host", { ...own, listen: "0.0.0.0", namespace: hostNamespace });
      const dial = (address: string): string[] => [hostNode.uri.replace("0.0.0.0", address)];
      friend = await mesh.node("friend", {
        ...own,
        listen: null,
        namespace: peerNamespace,
        peers: dial(HOST_ADDRESS[4]),
      });
      stranger = await mesh.node("stranger", {
        ...{ ...own, listen: null, namespace: lab.farNamespace },
        peers: dial(HOST_FAR_ADDRESS[4]),
      });
      host = await lab.kernel.startSocketPeer("host");
      friendSocket = await lab.kernel.startSocketPeer("peer");
      strangerSocket = await lab.startFar();
      await host.listenTcp(7001);
      await host.listenUdp(7001);
      enforcer = new EbpfEnforcer({
        ...{ cgroupRoot, bpffsDir, objectBytes: readBpfObject(), networkNamespace: hostNamespace },
        edge: { isInner: () => false },
      });
      await enforcer.open();
      enforcer.onEvents((more) => void events.push(...more));
      watch = new OverlayWatch({
        enforcer,
        readAddresses: () => readFileSync(`/proc/${host.pid}/net/if_inet6`, "utf8"),
      });
      watch.learn({ key: hostNode.key, interfaceName: INTERFACE });
      // Until the nodes have found each other, with nothing enforced.
      for (const socket of [friendSocket, strangerSocket])
        await vi.waitFor(async () => expect(await socket.askUdp(addressOf(hostNode), 7001)).toBe("ok"), PATIENCE);
      const { world, ok } = readPolicyFiles([{ path: "p.yaml", text: policies(hostNode.key, friend.key) }]);
      expect(ok).toBe(true);
      program = compile(world, "host");
      const prepared = await enforcer.prepare(program, 1);
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
      drained();
    }, 240_000);

    afterAll(async () => {
      watch.close();
      await enforcer.release();
      await mesh.close();
      await lab.close();
    });

    it("lets that node in and nobody else of the mesh", async () => {
      const target = addressOf(hostNode);
      expect(await friendSocket.connectTcp("friend", target, 7001, 2000)).toBe("ok");
      expect(await friendSocket.askUdp(target, 7001, 16, 2000)).toBe("ok");
      drained();
      expect(await strangerSocket.connectTcp("stranger", target, 7001, 800)).toBe("timeout");
      const [denial] = drained().filter(({ kind }) => kind === "deny");
      expect(denial).toMatchObject({
        sourceAddress: addressOf(stranger),
        destinationAddress: target,
        enforced: "deny",
      });
      expect(denial?.decision).not.toBe(SPOOFED);
    });

    it("lets nobody in who claims the node's address, through the mesh or past it", async () => {
      const [target, claimed] = [addressOf(hostNode), addressOf(friend)];
      const arrived = await host.countUdp(7001);
      const farIp = (...words: string[]): void =>
        void execFileSync("ip", ["-n", `${lab.kernel.name}-far`, "-6", ...words]);
      farIp("addr", "add", `${claimed}/128`, "dev", INTERFACE, "nodad");
      drained();
      // His own daemon refuses it already, and that of the host drops what another key than the address's has sealed.
      expect(await strangerSocket.askUdp(target, 7001, 16, 1000, claimed)).toBe("timeout");
      expect(await host.countUdp(7001)).toBe(arrived);
      expect(drained().filter(({ kind }) => kind === "start")).toEqual([]);

      const [link] = JSON.parse(
        execFileSync("ip", ["-n", `${lab.kernel.name}-host`, "-j", "link", "show", "eth1"], { encoding: "utf8" }),
      );
      farIp("neigh", "replace", HOST_FAR_ADDRESS[6], "lladdr", link.address, "dev", "eth0");
      farIp("route", "add", `${target}/128`, "via", HOST_FAR_ADDRESS[6], "dev", "eth0");
      expect(await strangerSocket.askUdp(target, 7001, 16, 600, claimed)).toBe("timeout");
      expect(await host.countUdp(7001)).toBe(arrived);
      const [forged] = drained().filter(({ decision }) => decision === SPOOFED);
      expect(forged).toMatchObject({
        kind: "deny",
        enforced: "deny",
        sourceAddress: claimed,
        destinationAddress: target,
      });
      const cause = program.decisions[SPOOFED];
      expect(cause && describeDecision(cause)).toBe("denied: mesh address outside of the mesh's own interface");
      farIp("route", "del", `${target}/128`, "via", HOST_FAR_ADDRESS[6], "dev", "eth0");
    });

    it("finds the interface again when the daemon has made it anew", async () => {
      const before = watch.interface;
      await hostNode.kill();
      await expect.poll(() => watch.interface, PATIENCE).toBeNull();
      expect(enforcer.heldOverlay()).toBeNull();
      await hostNode.start();
      await expect.poll(() => watch.interface, PATIENCE).not.toBeNull();
      expect(watch.interface?.index).not.toBe(before?.index);
      expect(enforcer.heldOverlay()).toEqual({ index: watch.interface?.index });
      await expect
        .poll(() => friendSocket.askUdp(addressOf(hostNode), 7001), { ...PATIENCE, timeout: 240_000 })
        .toBe("ok");
    });
  },
);
