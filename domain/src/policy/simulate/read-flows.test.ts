import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FlowLineReader, MAX_LINE_BYTES, readFlowLines } from "./read-flows.ts";
import { FlowChecker, NotAFlow, type RecordedFlow, rawFlow } from "./recorded-flow.ts";

const LINE = {
  id: "7",
  host: "alpha",
  time: "2026-11-21T05:17:15.123456Z",
  kind: "FLOW_EVENT_KIND_START",
  direction: "DIRECTION_INGRESS",
  protocol: 6,
  sourceAddress: "10.0.0.9",
  sourcePort: 40_000,
  destinationAddress: "10.0.0.1",
  destinationPort: 443,
  verdict: "VERDICT_DENY",
  enforced: "VERDICT_ALLOW",
  decision: { id: "0123456789abcdef", policyKeys: ["a", "b"], source: { line: 1 }, observeOnly: true, rule: null },
  generation: "3",
  subjectKey: "Host/alpha",
};

const FLOW: RecordedFlow = {
  timeMs: Date.parse("2026-11-21T05:17:15.123Z"),
  kind: "start",
  direction: "ingress",
  protocol: 6,
  sourceAddress: "10.0.0.9",
  destinationAddress: "10.0.0.1",
  port: 443,
  verdict: "deny",
  enforced: "allow",
  subjectKey: "Host/alpha",
  host: "alpha",
};

const encode = (text: string) => new TextEncoder().encode(text);

function readText(text: string | Uint8Array) {
  const reader = new FlowLineReader();
  const bytes = typeof text === "string" ? encode(text) : text;
  const batches = [reader.push(bytes), reader.finish()];
  return { flows: batches.flatMap(({ flows }) => flows), problems: batches.flatMap(({ problems }) => problems) };
}

/** What a line means without the scanner. */
function readSlowly(line: string): RecordedFlow | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "it is not valid JSON";
  }
  const raw = rawFlow(value);
  const flow = raw instanceof NotAFlow ? raw : new FlowChecker().check(raw);
  return flow instanceof NotAFlow ? flow.problem : flow;
}

describe("lines of flows", () => {
  it("are read as `wardline flows` prints them, with CRLF, a byte order mark, empty lines and no last line break", () => {
    const line = JSON.stringify(LINE);
    expect(readText(`\ufeff${line}\r\n\n${line}`)).toEqual({ flows: [FLOW, FLOW], problems: [] });
  });

  it("may lack what a protobuf leaves out because it is zero", () => {
    const { sourceAddress, destinationAddress } = LINE;
    const { flows } = readText(JSON.stringify({ sourceAddress, destinationAddress, protocol: 50 }));
    expect(flows).toMatchObject([
      { protocol: 50, port: 0, verdict: null, enforced: null, direction: null, timeMs: null, kind: "start" },
    ]);
  });

  it.each([
    ["{", "it is not valid JSON"],
    ["[]", "it is not a JSON object"],
    ["null", "it is not a JSON object"],
    ["{}", "sourceAddress is missing"],
    [JSON.stringify({ ...LINE, sourceAddress: "10.0.0.300" }), 'sourceAddress "10.0.0.300" is not an IP address'],
    [JSON.stringify({ ...LINE, destinationPort: 65_536 }), "destinationPort 65536 is not a port"],
    [JSON.stringify({ ...LINE, destinationPort: "443" }), "destinationPort is not a number"],
    [JSON.stringify({ ...LINE, protocol: 1.5 }), "protocol 1.5 is not an IP protocol number"],
    [JSON.stringify({ ...LINE, verdict: "MAYBE" }), 'verdict "MAYBE" is unknown'],
    [JSON.stringify({ ...LINE, time: "yesterday" }), 'time "yesterday" is not an RFC 3339 time'],
    [`${JSON.stringify(LINE)}x`, "it is not valid JSON"],
    [`{"a":"${"x".repeat(MAX_LINE_BYTES)}"}`, `it is longer than ${MAX_LINE_BYTES} bytes`],
  ])("that are none are named with their number and pass by: %.40s", (line, problem) => {
    const { flows, problems } = readText(`${JSON.stringify(LINE)}\n${line}\n${JSON.stringify(LINE)}\n`);
    expect(flows).toHaveLength(2);
    expect(problems).toEqual([{ line: 2, problem }]);
  });

  it("refuses bytes that are no text", () => {
    const bytes = encode(JSON.stringify({ ...LINE, host: "?" }));
    bytes[bytes.indexOf("?".charCodeAt(0))] = 0xff;
    expect(readText(bytes).problems).toEqual([{ line: 1, problem: "it is not UTF-8 text" }]);
  });

  it("mean the same however the bytes are cut into chunks", async () => {
    const bytes = encode([LINE, { ...LINE, host: "zürich" }, 5, LINE].map((value) => JSON.stringify(value)).join("\n"));
    const whole = readText(bytes);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
        const edges = [0, ...cuts.toSorted((left, right) => left - right), bytes.length];
        const chunks = edges.slice(1).map((end, index) => bytes.slice(edges[index], end));
        const flows: RecordedFlow[] = [];
        for await (const batch of readFlowLines(chunks)) flows.push(...batch.flows);
        expect(flows).toEqual(whole.flows);
      }),
      { numRuns: 100 },
    );
  });

  it("keep their number far down and only the first problems of a chunk", () => {
    const reader = new FlowLineReader();
    const { problems, problemCount } = reader.push(encode("x\n".repeat(1000)));
    expect(problemCount).toBe(1000);
    expect(problems.length).toBeLessThan(100);
    expect(reader.push(encode("y\n")).problems).toEqual([{ line: 1001, problem: "it is not valid JSON" }]);
  });
});

describe("the scanner", () => {
  const scalar = fc.oneof(
    fc.constantFrom("", "10.0.0.9", "::ffff:10.0.0.1", "VERDICT_ALLOW", "DIRECTION_EGRESS", "2026-02-29T00:00:00Z"),
    fc.constantFrom("2026-11-21T23:59:60Z", "2026-11-21T05:17:15.9999Z", "2026-11-21T05:17:15.1Z", "2026-11-21T05:17Z"),
    fc.constantFrom(0, 1, 2, 6, 443, 65_535, 65_536, -1, 1e21, 0.5),
    fc.string({ maxLength: 8, unit: "binary" }),
    fc.boolean(),
    fc.constant(null),
  );
  const value = fc.oneof({ weight: 4, arbitrary: scalar }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) });
  const line = fc
    .tuple(
      fc.dictionary(fc.constantFrom(...Object.keys(LINE), "more", "__proto__"), value, { maxKeys: 4 }),
      fc.constantFrom(undefined, 1),
    )
    .map(([fields, space]) => JSON.stringify({ ...LINE, ...fields }, null, space).replaceAll("\n", " "));

  it("says exactly what JSON.parse says, of lines whole and damaged", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        line,
        fc.option(fc.tuple(fc.nat(500), fc.constantFrom("", '"', "{", "}", ",", "0", "\\", "e"))),
        (text, damage) => {
          const cut = damage === null ? text : text.slice(0, damage[0]) + damage[1] + text.slice(damage[0] + 1);
          // Half a character cannot be sent as UTF-8.
          const damaged = cut.toWellFormed();
          const expected = readSlowly(damaged);
          const { flows, problems } = readText(damaged);
          if (typeof expected === "string") expect(problems).toEqual([{ line: 1, problem: expected }]);
          else expect(flows).toEqual([expected]);
        },
      ),
      { numRuns: 1000, seed: 20_261_121 },
    );
  });
});
