import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { BackendKind, Emergency } from "@wardline/api/wardline/v1/host";
import { DesiredStateSchema, EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { PROTOCOL } from "@wardline/domain/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootMs } from "../../agent/clock.ts";
import { createDomainEngine } from "../../agent/domainEngine.ts";
import type { RunningAgent } from "../../agent/runAgent.ts";
import { outcomeOf } from "../../testing/agentClient.ts";
import { FakePfConf, FakePfctl, FakePfStore } from "../../testing/fakePfctl.ts";
import { TestAgent } from "../../testing/testAgent.ts";
import { EnforcerSession } from "../enforcerSession.ts";
import { createPfEnforcer } from "./pfEnforcer.ts";

const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {app: web}}
spec: {addresses: [192.0.2.10]}
`;
const policyFor = (ports: string): string => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{ports: [${ports}]}]
`;
const [WEB, SSH, SCTP] = [policyFor("{port: 443}"), policyFor("{port: 22}"), policyFor("{protocol: SCTP, port: 5060}")];

/** The whole agent over its socket, with pf as a Mac would have it. */
describe("an agent on pf, on a double of pfctl", () => {
  let test: TestAgent;
  let pfctl: FakePfctl;
  let conf: FakePfConf;
  let store: FakePfStore;
  let running: RunningAgent;
  let bootId: string;

  const start = async (): Promise<void> => {
    running = await test.start({
      engine: createDomainEngine(),
      bootId,
      chooseBackend: async (_options, clock) => ({
        enforcer: new EnforcerSession(
          createPfEnforcer({ commands: pfctl, confFile: conf, store, bootMs: () => bootMs(clock) }),
        ),
        reason: "A double.",
        capabilities: [],
        cgroupRoot: "",
      }),
    });
  };
  const apply = async (base: bigint, ...policies: readonly string[]) => {
    const { agent } = test.connect();
    const files = [INVENTORY, ...policies].map((text, position) => ({ path: `${position}.yaml`, text }));
    const state = create(DesiredStateSchema, { files });
    const { programDigest } = await agent.check({ state });
    const { generation } = await agent.apply({
      state,
      mode: EnforcementMode.ENFORCE,
      expectedProgramDigest: programDigest,
      baseGeneration: base,
      confirmWithin: durationFromMs(10_000),
    });
    return { generation: generation?.number ?? 0n, programDigest };
  };
  const status = async () => (await test.connect().agent.getStatus({})).status;
  let openerPort = 30_000;
  const reach = (port: number) =>
    pfctl.pf.send({
      direction: "ingress",
      local: "192.0.2.10",
      remote: "198.51.100.7",
      protocol: PROTOCOL.tcp,
      port,
      openerPort: ++openerPort,
    });

  beforeEach(async () => {
    test = new TestAgent();
    pfctl = new FakePfctl();
    conf = new FakePfConf();
    store = new FakePfStore();
    bootId = "boot-1";
    await start();
  });
  afterEach(() => test.close());

  it("applies, confirms, counts, rolls back and releases", async () => {
    await test.connect().agent.confirm(await apply(0n, WEB));
    expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
    const applied = await status();
    expect(applied).toMatchObject({
      attached: true,
      problems: [],
      enforced: { number: 1n },
      info: { backend: BackendKind.PF },
    });
    expect(applied?.counters.reduce((sum, { packets }) => sum + packets, 0n)).toBe(2n);
    await test.connect().agent.confirm(await apply(1n, SSH));
    expect([reach(443), reach(22)]).toEqual(["block", "pass"]);
    await test.connect().agent.rollback({ generation: 2n });
    expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
    await test.connect().agent.release({ reason: "end" });
    expect(reach(22)).toBe("pass");
    expect([pfctl.pf.tokens.size, store.text]).toEqual([0, null]);
  });

  it("takes back what nobody confirms: at its time, at a restart, and at a reboot", async () => {
    await test.connect().agent.confirm(await apply(0n, WEB));
    await apply(1n, SSH);
    expect(reach(22)).toBe("pass");
    await test.clock.advance(10_001);
    expect((await status())?.enforced?.number).toBe(1n);
    expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
    for (const boot of ["boot-1", "boot-2"]) {
      await apply(1n, SSH);
      expect(reach(22)).toBe("pass");
      await running.close();
      if (boot !== bootId) pfctl.pf.reboot();
      bootId = boot;
      await start();
      expect(await status()).toMatchObject({ enforced: { number: 1n }, problems: [], attached: true });
      expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
    }
  });

  it("changes no verdict by a restart, and enforces again after a reboot", async () => {
    await test.connect().agent.confirm(await apply(0n, WEB));
    await running.close();
    expect([reach(443), reach(22)], "without an agent").toEqual(["pass", "block"]);
    const loads = () => pfctl.calls.filter((call) => call.includes("-f") && !call.includes("-n")).length;
    const before = loads();
    await start();
    expect(loads(), "adopted as it is").toBe(before);
    await running.close();
    pfctl.pf.reboot();
    bootId = "boot-2";
    await start();
    expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
    expect(await status()).toMatchObject({ enforced: { number: 1n }, problems: [], attached: true });
  });

  it("refuses by name what pf cannot honour, and says when pf no longer obeys", async () => {
    await test.connect().agent.confirm(await apply(0n, WEB));
    expect(await outcomeOf(apply(1n, SCTP))).toBe("POLICY_UNSUPPORTED");
    expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
    pfctl.pf.disable();
    const lost = await status();
    expect(lost?.attached).toBe(false);
    expect(lost?.info?.backendLimits.join(" ")).toContain("pf is turned off.");
  });

  it("closes and opens the network in an emergency", async () => {
    await test.connect().agent.confirm(await apply(0n, WEB));
    expect(reach(443)).toBe("pass");
    const pull = (emergency: Emergency) => test.connect().agent.setEmergency({ emergency, reason: "test" });
    await pull(Emergency.CLOSED);
    expect([reach(443), (await status())?.emergency]).toEqual(["block", Emergency.CLOSED]);
    await pull(Emergency.OPEN);
    expect(reach(22)).toBe("pass");
    await pull(Emergency.NONE);
    expect([reach(443), reach(22)]).toEqual(["pass", "block"]);
  });
});
