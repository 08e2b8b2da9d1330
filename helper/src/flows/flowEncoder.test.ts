import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { WatchFlowsResponseSchema } from "@wardline/api/wardline/agent/v1/agent";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GenerationContexts } from "../generations/contexts.ts";
import { withoutNames } from "../generations/switching.ts";
import { FakeEngine, fakeProgram } from "../testing/fakeEngine.ts";
import { FlowEncoder, flowsResponse } from "./flowEncoder.ts";
import { type FlowSurroundings, type KeptFlow, toWireFlow } from "./flowMessage.ts";

const contexts = new GenerationContexts();
contexts.remember(4, {
  program: fakeProgram("x"),
  world: new FakeEngine().read([]).world,
  circumstances: withoutNames(0),
  dependencies: { expiriesUnixMs: [], domainNames: [] },
  readUs: 0,
  compileUs: 0,
});

const surroundings: FlowSurroundings = {
  hostName: "größe-東京",
  contextOf: (generation) => contexts.get(generation),
  wallMsOf: (bootNs) => 1_700_000_000_000 + Number(bootNs) / 1e6,
  userNameOf: (userId) => (userId === 33 ? "www-data" : ""),
};

/** Lone surrogates cannot be written as UTF-8 by anybody. */
const text = (maxLength: number) => fc.string({ unit: "grapheme", maxLength });
const unsigned64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const port = fc.nat(65_535);

const kept: fc.Arbitrary<KeptFlow> = fc.record({
  id: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  cgroupPath: fc.oneof(text(20), text(400)),
  executable: fc.oneof(text(30), text(20_000)),
  event: fc.record({
    kind: fc.constantFrom("start", "end", "deny"),
    hook: fc.constantFrom("socket", "connect", "edge"),
    process: fc.option(
      fc.record({ pid: fc.nat(2 ** 31 - 1), userId: fc.constantFrom(0, 33, 4_294_967_294), command: text(15) }),
    ),
    bootNs: fc.bigInt({ min: 0n, max: 10n ** 18n }),
    generation: fc.constantFrom(0, 4, 5, 2 ** 40),
    decision: fc.nat(3),
    verdict: fc.constantFrom("allow", "deny"),
    enforced: fc.constantFrom("allow", "deny"),
    direction: fc.constantFrom("ingress", "egress"),
    protocol: fc.nat(255),
    sourceAddress: fc.oneof(fc.ipV4(), fc.ipV6()),
    sourcePort: port,
    destinationAddress: fc.oneof(fc.ipV4(), fc.ipV6()),
    destinationPort: port,
    set: fc.nat(1),
    cgroupId: unsigned64,
    packets: unsigned64,
    bytes: unsigned64,
    originatorBytes: unsigned64,
    responderBytes: unsigned64,
  }),
});

describe("FlowEncoder", () => {
  it("writes what toWireFlow describes, whatever it meets, with one encoder for many messages", () => {
    const encoder = new FlowEncoder();
    fc.assert(
      fc.property(fc.array(kept, { maxLength: 12 }), fc.nat(), (flows, sequence) => {
        const response = flowsResponse(BigInt(sequence), encoder.encode(flows, surroundings));
        const read = fromBinary(WatchFlowsResponseSchema, toBinary(WatchFlowsResponseSchema, response));
        expect(read.sequence).toBe(BigInt(sequence));
        expect(read.flows).toEqual(flows.map((flow) => toWireFlow(flow, surroundings)));
        expect(read.$unknown).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it("grows beyond the room that it began with", () => {
    const one = fc.sample(kept, { numRuns: 1, seed: 7 })[0];
    if (!one) throw new Error("no sample");
    const flows = Array.from({ length: 500 }, () => ({ ...one, executable: "/x".repeat(500) }));
    const response = flowsResponse(1n, new FlowEncoder().encode(flows, surroundings));
    const read = fromBinary(WatchFlowsResponseSchema, toBinary(WatchFlowsResponseSchema, response));
    expect(read.flows).toHaveLength(500);
    expect(read.flows.at(-1)).toEqual(toWireFlow(flows[0] as KeptFlow, surroundings));
  });
});
