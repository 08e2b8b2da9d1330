/** A real agent that dies by SIGKILL between any two steps of a change, and the one that comes after it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentLab, allowPorts } from "../testing/agentLab.ts";
import { HOST_ADDRESS, kernelLabProblem } from "../testing/kernelLab.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";

const problem = kernelLabProblem();
const NARROW = allowPorts(8080);
const WIDE = allowPorts(8080, 9090);

describe.skipIf(problem)(`an agent that is killed${problem ? ` (${problem})` : ""}`, { timeout: 240_000 }, () => {
  let lab: AgentLab;
  let peer: SocketPeer;

  beforeEach(async () => {
    lab = new AgentLab();
    const [host, other] = await Promise.all([lab.kernel.startSocketPeer("host"), lab.kernel.startSocketPeer("peer")]);
    peer = other;
    await Promise.all([8080, 9090].map((port) => host.listenTcp(port)));
    await lab.start();
    await lab.applyAndConfirm(0n, NARROW);
    await lab.agent?.end("SIGTERM");
  }, 240_000);
  afterEach(() => lab.close(), 240_000);

  const verdicts = () =>
    Promise.all([8080, 9090].map((port) => peer.connectTcp(`${port}`, HOST_ADDRESS[4], port, 200)));
  const lost = (call: Promise<unknown>) => expect(call).rejects.toThrow();
  async function stands() {
    const { enforced, pending, problems, quarantines } = await lab.status();
    return { generation: enforced?.number, pending, problems, quarantined: quarantines.length };
  }

  it.each([
    ["prepared", ["ok", "timeout"]],
    ["recorded", ["ok", "timeout"]],
    ["flipped", ["ok", "ok"]],
  ] as const)("in an apply, when it is %s, comes back to the confirmed generation", async (checkpoint, meanwhile) => {
    const dying = await lab.startKilledAt(checkpoint);
    await lost(lab.apply(1n, 3_600_000, WIDE));
    await dying.ended;
    expect(await verdicts()).toEqual(meanwhile);
    await lab.start();
    expect(await verdicts()).toEqual(["ok", "timeout"]);
    expect(await stands()).toMatchObject({ generation: 1n, pending: undefined, problems: [] });
    const again = await lab.applyAndConfirm(1n, WIDE);
    expect(again).toBeGreaterThan(1n);
    expect(await verdicts()).toEqual(["ok", "ok"]);
  });

  it.each(["confirm-recorded", "confirmed"] as const)(
    "in a confirmation, when it is %s, keeps the generation, and the console may ask again",
    async (checkpoint) => {
      const dying = await lab.startKilledAt(checkpoint);
      // Long enough for a busy machine to be killed, looked at and started again before.
      const { generation } = await lab.apply(1n, 15_000, WIDE);
      const overAtMs = performance.now() + 16_000;
      const { number = 0n, programDigest = "" } = generation ?? {};
      await lost(lab.connect().confirm({ generation: number, programDigest }));
      await dying.ended;
      expect(await verdicts()).toEqual(["ok", "ok"]);
      await lab.start();
      expect(await stands()).toMatchObject({ generation: number, pending: undefined, problems: [] });
      const answer = await lab.connect().confirm({ generation: number, programDigest });
      expect(answer.generation?.number).toBe(number);
      // The deadline of the datapath is gone too.
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, overAtMs - performance.now())));
      expect(await verdicts()).toEqual(["ok", "ok"]);
    },
  );

  it.each(["recorded", "quiet-flipped"] as const)(
    "in a quarantine, when it is %s, has cut off at the latest when it is back",
    async (checkpoint) => {
      const dying = await lab.startKilledAt(checkpoint);
      await lost(lab.connect().setQuarantine({ subjectKey: "alpha" }));
      await dying.ended;
      await lab.start();
      expect(await verdicts()).toEqual(["timeout", "timeout"]);
      expect(await stands()).toMatchObject({
        generation: 2n,
        quarantined: 1,
        problems: [expect.stringContaining("in quarantine")],
      });
    },
  );

  it("and never comes back, leaves an unconfirmed generation to the datapath, at most 1 s after its time", async () => {
    const dying = await lab.startKilledAt("flipped");
    const withinMs = 5_000;
    const beforeMs = performance.now();
    await lost(lab.apply(1n, withinMs, WIDE));
    const flippedAtMs = performance.now();
    await dying.ended;
    let leftAfterMs = 0;
    for (;;) {
      const askedAtMs = performance.now();
      const outcome = await peer.connectTcp("9090", HOST_ADDRESS[4], 9090, 100);
      if (outcome !== "ok") break;
      await peer.disconnect("9090");
      leftAfterMs = askedAtMs - flippedAtMs;
    }
    expect(performance.now() - beforeMs, "not before its time").toBeGreaterThan(withinMs);
    expect(leftAfterMs).toBeLessThan(withinMs + 1_000);
    expect(await verdicts()).toEqual(["ok", "timeout"]);
  });
});
