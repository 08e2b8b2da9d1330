import { create } from "@bufbuild/protobuf";
import { AnomalyListSchema } from "@wardline/api/wardline/console/v1/anomalies";
import { HistoryRecordSchema } from "@wardline/api/wardline/console/v1/history";
import { FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import { expect, it } from "vitest";
import { fakeRecord } from "../../../testing/fake-history.ts";
import { flagsOf } from "./flags.ts";

const at = Date.UTC(2026, 10, 20, 12);
const item = (index: number, host = "web-1", timeMs = at) =>
  create(HistoryRecordSchema, { id: String(index), host, record: fakeRecord(timeMs, index) });
const finding = (id: string, evidenceQuery: string, host = "web-1", kind = FeedbackKind.UNSPECIFIED) => ({
  finding: { id, host, evidenceQuery, sentence: id, feedback: kind === FeedbackKind.UNSPECIFIED ? [] : [{ kind }] },
});

it("flags the rows that the finding's own query finds, of its host and its time, until somebody calls it normal", () => {
  const beacon = "host:web-1 address:203.0.113.9 port:4444 since:2026-11-20T11:59:00Z until:2026-11-20T12:01:00Z";
  const flags = flagsOf(
    create(AnomalyListSchema, { anomalies: [finding("beacon", beacon), finding("broken", "prot:1")] }),
  );
  expect(flags.findingOf(item(4))?.id).toBe("beacon");
  expect(flags.findingOf(item(0))).toBeUndefined();
  expect(flags.findingOf(item(4, "web-2"))).toBeUndefined();
  expect(flags.findingOf(item(4, "web-1", at + 3_600_000))).toBeUndefined();
  const judged = create(AnomalyListSchema, { anomalies: [finding("beacon", beacon, "web-1", FeedbackKind.NORMAL)] });
  expect(flagsOf(judged).findingOf(item(4))).toBeUndefined();
  const confirmed = create(AnomalyListSchema, {
    anomalies: [finding("beacon", beacon, "web-1", FeedbackKind.CONFIRMED)],
  });
  expect(flagsOf(confirmed).findingOf(item(4))?.id).toBe("beacon");
  expect(flagsOf(null).findingOf(item(4))).toBeUndefined();
});
