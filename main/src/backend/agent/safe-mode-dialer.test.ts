import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { expect, it } from "vitest";
import { startTestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";

it("in safe mode no agent is contacted before a person asks for it", async () => {
  const agent = new FakeAgent();
  let dials = 0;
  const dialer = {
    address: "counted",
    dial: () => {
      dials += 1;
      return agent.dial();
    },
  };
  const tester = startTestConsole(agent, { dialer, isSafeMode: true });
  try {
    const { connection } = tester.backend.registry.local;
    await expect.poll(() => connection.state.problem?.message, { timeout: 15_000 }).toContain("Safe mode");
    expect(dials).toBe(0);
    await tester.fleet.connectHost({ hostId: "local" });
    await expect.poll(() => connection.state.reachability, { timeout: 15_000 }).toBe(Reachability.CONNECTED);
    expect(dials).toBeGreaterThan(0);
  } finally {
    await tester.close();
  }
});
