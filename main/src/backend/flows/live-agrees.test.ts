/** What is followed live is what the store answers afterwards: the same question over the same connections, each one record. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Flow, FlowEventKind, FlowProcessSchema, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { formatFlowQuery, parseFlowQuery, recordOfFlow } from "@wardline/domain/flows";
import { toWireFlowRecord } from "@wardline/domain/wire";
import { afterEach, beforeEach, expect, it } from "vitest";
import { USUAL_RETENTION_LIMITS } from "../history/flow-history.ts";
import type { EndpointFacts } from "../history/service/endpoint-book.ts";
import { SqliteHistory } from "../history/sqlite/sqlite-history.ts";
import { firstPage } from "../history/testing/history-contract.ts";
import { everyCondition, LABELS, randomNode } from "../history/testing/random-queries.ts";
import { pick, type Random, randomRecord, seededRandom } from "../history/testing/random-records.ts";
import { silentLogger, systemClock } from "../ports.ts";
import { flowQuestion } from "./flow-question.ts";

const START_MS = Math.floor(Date.now() / 10_000) * 10_000 - 600_000;
const FLOWS = 300;

const facts = { labels: LABELS, hostNames: (value: string) => [value] } as unknown as EndpointFacts;
const book = { known: () => facts, facts: async () => facts };

let directory: string;
let history: SqliteHistory;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-live-agrees-"));
  const retention = () => USUAL_RETENTION_LIMITS;
  history = new SqliteHistory({ directory, retention, clock: systemClock, logger: silentLogger });
});
afterEach(async () => {
  await history.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The generation is its number: it comes back with the record, and no question asks for it. */
function randomFlow(random: Random, number: number): Flow {
  const { direction, protocol, sourceAddress, destinationAddress, ...like } = randomRecord(random, START_MS);
  const verdict = pick(random, [Verdict.ALLOW, Verdict.DENY]);
  const isDenied = verdict === Verdict.DENY;
  return create(FlowSchema, {
    ...{ id: BigInt(number), host: "alpha", time: timestampFromMs(START_MS + Math.floor(number / 10) * 1_000) },
    kind: isDenied ? FlowEventKind.DENY : pick(random, [FlowEventKind.START, FlowEventKind.END]),
    direction: direction === Direction.UNSPECIFIED ? Direction.EGRESS : direction,
    ...{ protocol, sourceAddress, destinationAddress, destinationPort: like.destinationPort, sourcePort: number },
    ...{ sourceName: like.sourceName, destinationName: like.destinationName, verdict },
    enforced: isDenied ? pick(random, [Verdict.ALLOW, Verdict.DENY]) : Verdict.ALLOW,
    ...(like.decision ? { decision: like.decision } : {}),
    ...(like.process ? { process: create(FlowProcessSchema, like.process) } : {}),
    ...{ subjectKey: like.subjectKey, cgroupPath: like.cgroupPath, generation: BigInt(number) },
    ...{ packets: like.packets, originatorBytes: like.originatorBytes, responderBytes: like.responderBytes },
  });
}

it("answers every question alike", async () => {
  const random = seededRandom(23);
  const flows = Array.from({ length: FLOWS }, (_, index) => randomFlow(random, index + 1));
  const records = flows.map((flow) => {
    const wire = toWireFlowRecord({ ...recordOfFlow(flow), windowMs: 1_000 });
    return Object.assign(wire, { generation: flow.generation });
  });
  const batch = create(FlowRecordBatchSchema, { sequence: 1n, records });
  expect(await history.ingest([{ hostId: "local", hostName: "alpha", journalId: "journal", batches: [batch] }])).toBe(
    FLOWS,
  );
  const nodes = [...everyCondition(), ...Array.from({ length: 80 }, () => randomNode(random))];
  let answers = 0;
  for (const where of nodes) {
    // Through its text, as it is asked.
    const text = formatFlowQuery({ where, sinceMs: null, untilMs: null });
    const { query } = parseFlowQuery(text, { nowMs: Date.now() });
    // Words of the random questions that a person would have to write otherwise.
    if (!query) continue;
    const question = await flowQuestion(text, Date.now(), book);
    const followed = flows
      .filter((flow) => question?.isWanted(flow) ?? true)
      .map(({ generation }) => Number(generation));
    const found = (await firstPage(history, query, 10_000)).records.map(({ record }) => Number(record.generation));
    expect({ text, numbers: found.toSorted((a, b) => a - b) }).toEqual({ text, numbers: followed });
    if (followed.length > 0 && followed.length < FLOWS) answers++;
  }
  // Questions that tell nothing apart prove nothing.
  expect(answers).toBeGreaterThan(60);
}, 120_000);
