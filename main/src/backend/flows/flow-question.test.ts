import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { expect, it } from "vitest";
import { flowQuestion } from "./flow-question.ts";

const NOW_MS = Date.UTC(2026, 10, 20);
const FLOW = create(FlowSchema, {
  host: "web-1",
  time: timestampFromMs(NOW_MS),
  direction: Direction.EGRESS,
  protocol: 6,
  sourceAddress: "10.0.0.1",
  destinationAddress: "203.0.113.9",
  destinationPort: 4443,
  verdict: Verdict.DENY,
  enforced: Verdict.ALLOW,
  process: { pid: 7, command: "curl", executable: "/usr/bin/curl" },
});

it("says of single flows what the language says of records", () => {
  const matches = (text: string) => flowQuestion(text, NOW_MS)?.(FLOW);
  for (const text of [
    "port:4000-5000",
    "(port:1 OR host:web-*)",
    "verdict:deny enforced:allow",
    "-policy:*",
    "process:curl",
  ])
    expect({ text, is: matches(text) }).toEqual({ text, is: true });
  for (const text of ["port:443", "-dst:203.0.113.0/24", "until:2026-11-19", "text:nginx"])
    expect({ text, is: matches(text) }).toEqual({ text, is: false });
  expect(flowQuestion("  ", NOW_MS)).toBeNull();
});

it("refuses what it cannot read and what it cannot know", () => {
  expect(() => flowQuestion("prot:1", NOW_MS)).toThrow(/field/);
  expect(() => flowQuestion("port:443 -(label:app=web)", NOW_MS)).toThrow(/label/);
});
