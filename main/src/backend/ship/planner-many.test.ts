import { ErrorCode, Failure } from "@wardline/domain/errors";
import { expect, it } from "vitest";
import { testFleet } from "../testing/fleet.ts";
import { watchTurns } from "../testing/longest-turn.ts";

const HOSTS = 100;

// What is too slow is so every time; a machine that stops every process is not.
it("plans 100 hosts while one is gone, and the rest of the console goes on meanwhile", { retry: 2 }, async () => {
  const names = Array.from({ length: HOSTS - 1 }, (_, index) => `host-${index}`);
  const fleet = testFleet(names);
  const tester = fleet.start();
  try {
    await fleet.connected(tester);
    const gone = fleet.agent("host-7");
    gone.dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "No route." });
    gone.dropConnections();
    const text =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: default}\n" +
      "spec: {podSelector: {}, ingress: [{ports: [{port: 22}]}]}\n";
    await tester.policies.saveFile({ path: "a.yaml", text });
    const { result: plan, longestMs } = await watchTurns(() => tester.ship.plan({}));
    // The aim is 50 ms on a machine of its own. Processor time: others take the processor away now and then.
    console.info(`longest turn: ${longestMs.toFixed(1)} ms`);
    expect(longestMs).toBeLessThan(250);
    expect(plan.planId).not.toBe("");
    const bad = plan.hosts.filter(({ error }) => error);
    expect(bad.map(({ hostId }) => hostId)).toEqual(["host-7"]);
    expect(new Set(plan.hosts.map(({ stateDigest }) => stateDigest)).size).toBe(1);
  } finally {
    await tester.close();
  }
});
