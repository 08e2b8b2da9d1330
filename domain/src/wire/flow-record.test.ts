import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import type { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FlowRecord } from "../flows/record.ts";
import { fromWireFlowRecord, toWireFlowRecord } from "./flow-record.ts";

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const word = fc.string({ maxLength: 8 });
const time = fc.integer({ min: 0, max: 4e12 });
const record: fc.Arbitrary<FlowRecord> = fc.record({
  host: fc.constant("h"),
  windowStartMs: fc.integer({ min: 0, max: 4e9 }).map((seconds) => seconds * 1000),
  windowMs: fc.integer({ min: 1, max: 86_400 }).map((seconds) => seconds * 1000),
  firstSeenMs: time,
  lastSeenMs: time,
  direction: fc.constantFrom("ingress", "egress"),
  protocol: fc.integer({ min: 0, max: 255 }),
  sourceAddress: word,
  destinationAddress: word,
  destinationPort: fc.integer({ min: 0, max: 65_535 }),
  sourceName: word,
  destinationName: word,
  observedName: word,
  verdict: fc.constantFrom("allow", "deny"),
  enforced: fc.constantFrom("allow", "deny"),
  policyKeys: fc.array(word, { maxLength: 3 }),
  decisionSummary: word,
  subjectKey: word,
  cgroupPath: word,
  process: fc.record({ pid: fc.nat(), userId: fc.nat(), userName: word, command: word, executable: word }),
  started: count,
  ended: count,
  deniedPackets: count,
  packets: count,
  originatorBytes: count,
  responderBytes: count,
  foldedFlows: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

describe("flow records on the wire", () => {
  it("come back as they were, through bytes", () => {
    fc.assert(
      fc.property(record, (original) => {
        const bytes = toBinary(FlowRecordSchema, toWireFlowRecord(original));
        expect(fromWireFlowRecord(fromBinary(FlowRecordSchema, bytes), original.host)).toEqual(original);
      }),
    );
  });

  it("reads what a hostile or newer host says as something that can be worked with", () => {
    const wire = create(FlowRecordSchema, {
      packets: 2n ** 64n - 1n,
      verdict: 77 as Verdict,
      direction: 9 as Direction,
    });
    const plain = fromWireFlowRecord(wire, "h");
    expect(plain).toMatchObject({ packets: Number.MAX_SAFE_INTEGER, verdict: "deny", direction: "ingress" });
    expect(plain).toMatchObject({ windowStartMs: 0, policyKeys: [], process: { pid: 0, command: "" } });
  });
});
