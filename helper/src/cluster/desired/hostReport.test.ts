import { SyncReportSchema, SyncState } from "@wardline/api/wardline/v1/cluster";
import { pino } from "pino";
import { expect, it, vi } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { LAB_KEYS } from "../../testing/desiredLab.ts";
import { HostReport, type ReportContent } from "./hostReport.ts";
import { decode } from "./records.ts";

/** `vi.waitFor` alone gives up after a second, which a busy machine may take for anything. */
const PATIENTLY = { timeout: 60_000 } as const;

const content = (activeSetNumber: bigint): ReportContent => ({
  state: SyncState.ACTIVE,
  activeSetNumber,
  seenSetNumber: activeSetNumber,
  activeDigest: "",
  programDigest: "",
  generation: 1n,
  problem: null,
  tookMs: null,
});

it("keeps quiet while its name is another process's, and says what holds once it is its own again", async () => {
  const written: bigint[] = [];
  const store = {
    transact: async ({ then }: { then: readonly { key: string; value: Uint8Array }[] }) => {
      for (const { key, value } of then) written.push(decode(SyncReportSchema, key, value).activeSetNumber);
      return { succeeded: true, revision: 1n, found: [] };
    },
  };
  let isOwnName = false;
  const report = new HostReport({
    store: store as never,
    keys: LAB_KEYS,
    clock: systemClock,
    log: pino({ enabled: false }),
    hostName: "alpha",
    replica: { inTouch: true } as never,
    mayReport: () => isOwnName,
  });
  report.set(content(6n));
  report.set(content(7n));
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(written).toEqual([]);
  isOwnName = true;
  await vi.waitFor(() => expect(written).toEqual([7n]), PATIENTLY);
  await report.close();
});
