import { describe, expect, it } from "vitest";
import { ErrorCode, Failure } from "../errors/index.ts";
import { compile } from "../policy/compile/index.ts";
import { readPolicyFiles } from "../policy/read.ts";
import {
  denyingDecisionIds,
  driftOf,
  exceedsForecast,
  forecastDenials,
  type Gates,
  type RecordedAttempts,
  requiredWords,
  requireGates,
  requireTyped,
} from "./rollout.ts";

const POLICY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha}
spec: {addresses: [10.0.0.1]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-ssh, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 22}]}]
`;

function program() {
  const reading = readPolicyFiles([{ path: "a.yaml", text: POLICY }]);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return compile(reading.world, "alpha");
}

const attempts = (over: Partial<RecordedAttempts>): RecordedAttempts => ({
  subjectKey: "Host/alpha",
  direction: "ingress",
  remoteAddress: "10.0.0.9",
  protocol: 6,
  port: 80,
  started: 0,
  deniedPackets: 0,
  ...over,
});

describe("the forecast", () => {
  it.each([
    ["a connection from outside, with its repetitions", { started: 10 }, 60],
    ["UDP from outside, once", { started: 10, protocol: 17 }, 10],
    ["what was denied before", { deniedPackets: 7 }, 7],
    ["nothing that is allowed", { started: 10, deniedPackets: 5, port: 22 }, 0],
    ["nothing of the other direction", { started: 10, direction: "egress" as const }, 0],
    ["an unknown subject as the host", { started: 1, subjectKey: "Workload/x/y", protocol: 17 }, 1],
    ["nothing without an address", { started: 1, remoteAddress: "nowhere" }, 0],
  ])("counts %s", (_what, over, expected) => {
    expect(forecastDenials(program(), [attempts(over)], 1).perMinute).toBe(expected);
    expect(forecastDenials(program(), [attempts(over)], 60).perMinute).toBeCloseTo(expected / 60, 9);
  });

  it("knows which decisions drop packets by policy", () => {
    const { decisions } = program();
    const expected = decisions.filter(({ verdict, reason }) => verdict === "deny" && reason === "isolated");
    expect(expected.length).toBeGreaterThan(0);
    expect([...denyingDecisionIds(program())]).toEqual(expected.map(({ id }) => id));
  });
});

describe("gates", () => {
  const gates: Gates = { watchMs: 10_000, denialsAboveForecast: 60 };

  it("allow what the whole watch allows, and then what the time since the flip allows", () => {
    const at = (deniedPackets: number, elapsedMs: number) =>
      exceedsForecast({ deniedPackets, elapsedMs, forecastPerMinute: 30 }, gates);
    expect([at(15, 100), at(16, 100)]).toEqual([false, true]);
    expect([at(90, 60_000), at(91, 60_000)]).toEqual([false, true]);
    const any = { ...gates, denialsAboveForecast: 0 };
    expect(exceedsForecast({ deniedPackets: 1e9, elapsedMs: 1, forecastPerMinute: 0 }, any)).toBe(false);
  });

  it.each([
    ["longer than 10 min", { watchMs: 600_001, denialsAboveForecast: 0 }, 3_600_000],
    ["negative", { watchMs: -1, denialsAboveForecast: 0 }, 60_000],
    ["not a number", { watchMs: Number.NaN, denialsAboveForecast: 0 }, 60_000],
    ["no time to count", { watchMs: 0, denialsAboveForecast: 5 }, 60_000],
    ["no time to confirm", { watchMs: 57_000, denialsAboveForecast: 0 }, 60_000],
  ])("are refused: %s", (_why, given, confirmWithinMs) => {
    expect(() => requireGates(given, confirmWithinMs)).toThrow(Failure);
    expect(() => requireGates(gates, 60_000)).not.toThrow();
  });
});

describe("typed words", () => {
  const host = (name: string, isRed = false) => ({ name, isRed });

  it("are needed for several hosts and for a red one", () => {
    expect(requiredWords("apply to", [host("a")])).toBeNull();
    expect(requiredWords("apply to", [host("a", true)])).toBe("apply to a");
    expect(requiredWords("apply to", [host("a"), host("b")])).toBe("apply to 2 hosts");
    expect(requiredWords("quarantine", [])).toBeNull();
  });

  it("are compared without case and spaces, and named when they are missing", () => {
    const hosts = [host("a"), host("b", true)];
    expect(() => requireTyped("apply to", hosts, "  Apply  to 2 HOSTS ")).not.toThrow();
    for (const typed of ["", "yes", "apply to 3 hosts"]) {
      try {
        requireTyped("apply to", hosts, typed);
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ code: ErrorCode.CONFIRMATION_REQUIRED, hint: "Type: apply to 2 hosts" });
      }
    }
  });
});

it.each([
  ["none", {}],
  ["other-state", { enforcedStateDigest: "b" }],
  ["other-state", { enforcedStateDigest: "" }],
  ["behind", { isAwaited: true, isConnected: false }],
  ["never-applied", { desiredStateDigest: "" }],
  ["unknown", { isConnected: false }],
  ["unknown", { enforcedStateDigest: null }],
])("drift is %s with %j", (expected, over) => {
  const facts = { desiredStateDigest: "a", enforcedStateDigest: "a", isAwaited: false, isConnected: true };
  expect(driftOf({ ...facts, ...over })).toBe(expected);
});
