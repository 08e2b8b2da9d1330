import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FlowBatch, FlowLineReader } from "@wardline/domain/policy/simulate";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readFlowFileOnThread } from "./flow-lines-thread.ts";

const LINES = 30_000;

let dir: string;
let path: string;
let text: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "wardline-flows-"));
  path = join(dir, "flows.ndjson");
  const lines = Array.from({ length: LINES }, (_, index) =>
    index % 997 === 0
      ? "nonsense"
      : JSON.stringify({
          host: `host-${index % 50}`,
          time: new Date(1_790_000_000_000 + index).toISOString(),
          direction: index % 3 === 0 ? "DIRECTION_EGRESS" : "DIRECTION_INGRESS",
          protocol: 6,
          sourceAddress: `10.0.${index % 256}.${index % 199}`,
          destinationAddress: "2001:DB8::1",
          destinationPort: index % 65_536,
          verdict: "VERDICT_ALLOW",
          subjectKey: index % 5 === 0 ? `Workload/zürich/${index}` : `Host/host-${index % 50}`,
          summary: "x".repeat(index % 120),
        }),
  );
  text = lines.join("\n");
  writeFileSync(path, text);
});
afterAll(() => rmSync(dir, { recursive: true }));

const never = new AbortController().signal;

async function readAll(batches: AsyncIterable<FlowBatch>) {
  const flows: FlowBatch["flows"][number][] = [];
  let problemCount = 0;
  for await (const batch of batches) {
    for (const flow of batch.flows) flows.push(flow);
    problemCount += batch.problemCount;
  }
  return { flows, problemCount };
}

it("reads on a thread what is read without one", async () => {
  const reader = new FlowLineReader();
  const batches = [reader.push(Buffer.from(text)), reader.finish()];
  const { flows, problemCount } = await readAll(readFlowFileOnThread(path, never));
  expect(problemCount).toBe(Math.ceil(LINES / 997));
  expect(flows).toHaveLength(LINES - problemCount);
  expect(flows).toEqual(batches.flatMap((batch) => batch.flows));
});

it("ends when nobody wants more, when it is cancelled, and with the error of a file that is not there", async () => {
  for await (const batch of readFlowFileOnThread(path, never)) {
    expect(batch.flows.length).toBeGreaterThan(0);
    break;
  }
  const stopping = new AbortController();
  let batches = 0;
  for await (const _ of readFlowFileOnThread(path, stopping.signal)) {
    batches++;
    stopping.abort();
  }
  expect(batches).toBe(1);
  await expect(readAll(readFlowFileOnThread(join(dir, "absent"), never))).rejects.toMatchObject({ code: "ENOENT" });
});
