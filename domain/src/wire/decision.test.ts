import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { EvaluationSchema, Tier as WireTier, Verdict as WireVerdict } from "@wardline/api/wardline/v1/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile, diffPrograms, evaluate, PROTOCOL } from "../policy/index.ts";
import {
  arbitraryPacket,
  arbitraryWorld,
  endpointsPeer,
  host,
  packetToFlow,
  policy,
  ports,
  rule,
  selectorFor,
  world,
} from "../policy/testing/index.ts";
import { fromWireDecision, fromWireEvaluation, toWireAccessChange, toWireDecision, toWireEvaluation } from "./index.ts";

describe("evaluations on the wire", () => {
  it("come back as they were sent", () => {
    const cases = arbitraryWorld().chain((asked) => {
      const program = compile(asked, "alpha");
      return arbitraryPacket(asked, program).map((packet) => evaluate(asked, packetToFlow(program, packet)));
    });
    fc.assert(
      fc.property(cases, (evaluation) => {
        const bytes = toBinary(EvaluationSchema, toWireEvaluation(evaluation));
        expect(fromWireEvaluation(fromBinary(EvaluationSchema, bytes))).toEqual(evaluation);
      }),
      { numRuns: 300, seed: 11 },
    );
  });

  it("are refused without both directions", () => {
    const flow = {
      from: { endpointKey: null, address: "10.0.0.1" },
      to: { endpointKey: null, address: "10.0.0.2" },
      protocol: PROTOCOL.tcp,
      port: 80,
    };
    const wire = toWireEvaluation(evaluate(world([], []), flow));
    wire.directions.pop();
    expect(fromWireEvaluation(wire)).toBeNull();
  });
});

describe("decisions on the wire", () => {
  const cache = policy("cache", {
    subject: selectorFor("name=a"),
    rules: [rule("ingress", { peers: [endpointsPeer("name=b")], ports: [ports(6, 6379)] })],
  });
  const asked = world([host("a", { addresses: ["10.0.0.1"] }), host("b", { addresses: ["10.0.0.2"] })], [cache]);

  it("carry a summary for people", () => {
    const summaries = compile(asked, "a").decisions.map((decision) => toWireDecision(decision, "ingress").summary);
    expect(summaries).toContain("allowed by default/cache, ingress[0]");
    expect(summaries).toContain("denied: default/cache isolates ingress and no rule allows it");
  });

  it("read an unknown verdict as a denial", () => {
    const [decision] = compile(asked, "a").decisions;
    if (!decision) throw new Error("a program has decisions");
    const wire = toWireDecision(decision, null);
    wire.verdict = 99 as WireVerdict;
    expect(fromWireDecision(wire).verdict).toBe("deny");
    expect(wire.tier).toBe(WireTier.UNSPECIFIED);
  });

  it("carry access changes with the protocols they leave out", () => {
    const { changes } = diffPrograms(null, compile(asked, "a"), asked);
    const wire = changes.map((change) => toWireAccessChange(change, 3n));
    const fromCache = wire.find((change) => change.peer === "b" && change.protocol === 0);
    expect(fromCache).toMatchObject({
      subjectKey: "Host/a",
      peerNames: ["b"],
      exceptProtocols: [6],
      portLow: 0,
      portHigh: 65535,
      oldVerdict: WireVerdict.ALLOW,
      newVerdict: WireVerdict.DENY,
      recordedFlows: 3n,
    });
  });
});
