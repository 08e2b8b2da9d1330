import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JobKind, JobState } from "@wardline/api/wardline/console/v1/jobs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Jobs } from "../jobs/job-runner.ts";
import type { HostProgress } from "../jobs/jobs.ts";
import { silentLogger, systemClock } from "../ports.ts";
import { JobsTable } from "./jobs-table.ts";
import { Store } from "./store.ts";

let stateDir: string;
const stores: Store[] = [];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-jobs-"));
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  rmSync(stateDir, { recursive: true });
});

/** What one process of the console has. */
function processWith(processId: number, alive: ReadonlySet<number>): Jobs {
  const store = new Store({ stateDir, logger: silentLogger });
  stores.push(store);
  let nowMs = 0;
  // Each look is a new one: what is remembered for a second is not in the way.
  const clock = { ...systemClock, nowMs: () => (nowMs += 5_000) };
  const isAlive = (id: number) => alive.has(id);
  const history = new JobsTable({ store, clock, logger: silentLogger, isAlive, processId });
  return new Jobs({ clock: systemClock, logger: silentLogger, history });
}

const start = (jobs: Jobs, run: (id: string, progress: HostProgress) => Promise<void>) =>
  jobs.start({
    kind: JobKind.INSTALL,
    title: "Install",
    author: "ada",
    hosts: [
      { id: "a", name: "alpha" },
      { id: "b", name: "beta" },
    ],
    parallel: 1,
    run,
  });

it("jobs are seen by other processes while they run and after, and can be changed only where they run", async () => {
  const alive = new Set([1, 2]);
  const [first, second] = [processWith(1, alive), processWith(2, alive)];
  const gate = Promise.withResolvers<void>();
  const id = start(first, () => gate.promise);
  expect(second.list()).toMatchObject([{ id, state: JobState.RUNNING, cancelable: false }]);
  expect(() => second.cancel(id)).toThrow("runs in another process");
  gate.resolve();
  await first.finished(id);
  expect(second.job(id)).toMatchObject({ state: JobState.DONE, hosts: [{ hostName: "alpha" }, { hostName: "beta" }] });
  expect(() => second.retry(id, "bob")).toThrow("earlier start");
  expect(first.list().length).toBe(1);
});

it("a job whose process is gone has failed, with what had ended before it", async () => {
  const alive = new Set([1, 2]);
  const first = processWith(1, alive);
  const refused = new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: "No." });
  const id = start(
    first,
    (_id, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(refused))),
  );
  const second = processWith(2, alive);
  expect(second.job(id).state).toBe(JobState.RUNNING);
  alive.delete(1);
  expect(second.job(id)).toMatchObject({
    state: JobState.FAILED,
    hosts: Array(2).fill({ state: JobState.FAILED, error: { code: ErrorCode.CANCELED, retryable: true } }),
  });
  expect(second.job(id).hosts[1]?.error?.host).toBe("beta");
  await first.close();
});

it("the newest fifty are kept", async () => {
  const jobs = processWith(1, new Set([1]));
  for (let index = 0; index < 53; index++) await jobs.finished(start(jobs, async () => {}));
  expect(processWith(2, new Set()).list().length).toBe(50);
});
