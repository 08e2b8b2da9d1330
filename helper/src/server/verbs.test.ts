/** The emergency brake and quarantine over the socket: bounds, audit, status. */
import { Emergency } from "@wardline/api/wardline/v1/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AgentClient, outcomeOf } from "../testing/agentClient.ts";
import { TestAgent } from "../testing/testAgent.ts";

let tester: TestAgent;
let agent: AgentClient["agent"];
beforeEach(async () => {
  tester = new TestAgent();
  await tester.start();
  agent = tester.connect().agent;
});
afterEach(() => tester.close());

async function audited(): Promise<string[]> {
  const { entries } = await agent.listAudit({ limit: 10 });
  return entries.map(({ action, outcome, detail }) => `${action} ${outcome}: ${detail}`);
}

describe("the emergency brake", () => {
  it("answers with the status, which says it as a problem, and is audited", async () => {
    const { status } = await agent.setEmergency({ emergency: Emergency.CLOSED, reason: "breach" });
    expect(status).toMatchObject({
      emergency: Emergency.CLOSED,
      problems: [
        expect.stringMatching(/^Emergency closed since .* by root \(0\) \(breach\): nothing passes but loopback/),
      ],
    });
    await agent.setEmergency({ emergency: Emergency.NONE });
    const after = await agent.getStatus({});
    expect(after.status).toMatchObject({ emergency: Emergency.NONE, problems: [] });
    expect(await audited()).toEqual([
      "emergency done: NONE, reason: ",
      "emergency started: NONE, reason: ",
      "emergency done: CLOSED, reason: breach",
      "emergency started: CLOSED, reason: breach",
    ]);
  });

  it("refuses what is no state", async () => {
    expect(await outcomeOf(agent.setEmergency({}))).toBe("INVALID_ARGUMENT");
    expect(await outcomeOf(agent.setEmergency({ emergency: 9 as Emergency }))).toBe("INVALID_ARGUMENT");
    expect(await outcomeOf(agent.setEmergency({ emergency: Emergency.OPEN, reason: "x".repeat(1001) }))).toBe(
      "INVALID_ARGUMENT",
    );
    expect(tester.kernel.emergency).toBe("none");
  });
});

describe("quarantine", () => {
  it("answers with the status, in canonical form, and is audited", async () => {
    const { status } = await agent.setQuarantine({
      subjectKey: "alpha",
      managementCidrs: ["192.0.2.7", "2001:DB8::/32"],
      reason: "odd",
    });
    expect(status).toMatchObject({
      enforced: { number: 1n },
      quarantines: [
        {
          subjectKey: "Host/alpha",
          managementCidrs: ["192.0.2.7/32", "2001:db8::/32"],
          managementPorts: [22],
          actor: "root (0)",
          reason: "odd",
        },
      ],
      problems: [expect.stringMatching(/^Host\/alpha is in quarantine .*TCP 22 from 192.0.2.7\/32, 2001:db8::\/32/)],
    });
    const lifted = await agent.setQuarantine({ subjectKey: "Host/alpha", lifted: true });
    expect(lifted.status).toMatchObject({ quarantines: [], problems: [] });
    expect((await audited())[0]).toBe("quarantine done: lift Host/alpha, reason: ");
  });

  it.each([
    ["nobody", {}, "INVALID_ARGUMENT"],
    ["a subject without end", { subjectKey: "x".repeat(601) }, "INVALID_ARGUMENT"],
    ["an unknown subject", { subjectKey: "Host/beta" }, "NOT_FOUND"],
    ["text for an address", { subjectKey: "alpha", managementCidrs: ["home"] }, "INVALID_ARGUMENT"],
    ["no port", { subjectKey: "alpha", managementCidrs: ["::1"], managementPorts: [0] }, "INVALID_ARGUMENT"],
    ["a port without addresses", { subjectKey: "alpha", managementPorts: [22] }, "INVALID_ARGUMENT"],
    ["too many addresses", { subjectKey: "alpha", managementCidrs: Array(17).fill("192.0.2.1") }, "TOO_LARGE"],
  ])("refuses %s", async (_name, request, expected) => {
    expect(await outcomeOf(agent.setQuarantine(request))).toBe(expected);
    expect(tester.kernel.slots[0].generation).toBe(0);
    expect((await audited())[0]).toMatch(/^quarantine refused/);
  });
});
