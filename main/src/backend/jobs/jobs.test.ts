import { JobKind, JobState } from "@wardline/api/wardline/console/v1/jobs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { type Clock, silentLogger, systemClock } from "../ports.ts";
import { Jobs } from "./job-runner.ts";
import { JobServiceImpl } from "./job-service.ts";
import type { HostProgress, JobSpecification } from "./jobs.ts";

const refused = new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: "No systemd.", hint: "Install it." });

function specification(count: number, run: JobSpecification["run"], parallel = 2): JobSpecification {
  const hosts = Array.from({ length: count }, (_, index) => ({ id: `h${index}`, name: `host ${index}` }));
  return { kind: JobKind.INSTALL, title: "Install the agent", author: "ada", hosts, parallel, run };
}

const jobsOf = (clock: Clock = systemClock) => new Jobs({ clock, logger: silentLogger });

async function failureOf(body: () => unknown): Promise<Failure> {
  try {
    await body();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

/** Work that waits until it is told to go on, and ends when it is canceled. */
class Gate {
  readonly begun: string[] = [];
  readonly #open = Promise.withResolvers<void>();
  running = 0;
  most = 0;

  readonly run = async (id: string, { signal }: HostProgress): Promise<void> => {
    this.begun.push(id);
    this.most = Math.max(this.most, ++this.running);
    const canceled = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      await Promise.race([this.#open.promise, canceled]);
    } finally {
      this.running--;
    }
  };

  open(): void {
    this.#open.resolve();
  }
}

describe("a job", () => {
  it("runs so many hosts at once and each of them once", async () => {
    const jobs = jobsOf();
    const gate = new Gate();
    const id = jobs.start(specification(7, gate.run, 3));
    await expect.poll(() => gate.begun.length).toBe(3);
    expect(jobs.job(id).hosts.map(({ state }) => state)).toEqual([
      ...Array(3).fill(JobState.RUNNING),
      ...Array(4).fill(JobState.QUEUED),
    ]);
    gate.open();
    expect((await jobs.finished(id)).state).toBe(JobState.DONE);
    expect([gate.most, gate.begun]).toEqual([3, ["h0", "h1", "h2", "h3", "h4", "h5", "h6"]]);
  });

  it("keeps steps in order, changes the one that runs, and bounds their number", async () => {
    const jobs = jobsOf();
    const id = jobs.start(
      specification(1, async (_id, progress) => {
        progress.step("connect", "Connecting");
        progress.step("upload", "0 of 47 MB");
        progress.step("upload", "x".repeat(1_000), 140.6);
        for (let index = 0; index < 100; index++) progress.step(`step-${index}`, "");
      }),
    );
    const { hosts } = await jobs.finished(id);
    const steps = hosts[0]?.steps ?? [];
    expect(steps.slice(0, 3).map(({ name, percent, text }) => [name, percent, text.length])).toEqual([
      ["connect", 0, 10],
      ["upload", 100, 300],
      ["step-0", 0, 0],
    ]);
    expect([steps.length, steps.at(-1)?.name]).toEqual([50, "step-99"]);
  });

  it("tells failures of hosts from defects, and goes on with the others", async () => {
    const jobs = jobsOf();
    const run = async (id: string) => {
      if (id === "h0") throw refused;
      if (id === "h1") throw new TypeError("oops");
    };
    const job = await jobs.finished(jobs.start(specification(3, run)));
    expect(job.state).toBe(JobState.FAILED);
    expect(job.hosts.map(({ state, error }) => [state, error?.code, error?.host])).toEqual([
      [JobState.FAILED, ErrorCode.HOST_UNSUPPORTED, "host 0"],
      [JobState.FAILED, ErrorCode.INTERNAL, "host 1"],
      [JobState.DONE, undefined, undefined],
    ]);
  });

  it("is canceled: what runs hears of it, what waits never begins", async () => {
    const jobs = jobsOf();
    const gate = new Gate();
    const id = jobs.start(specification(4, gate.run, 1));
    await expect.poll(() => gate.begun.length).toBe(1);
    jobs.cancel(id);
    const job = await jobs.finished(id);
    expect([job.state, gate.begun, job.cancelable]).toEqual([JobState.CANCELED, ["h0"], false]);
    expect(new Set(job.hosts.map(({ error }) => error?.code))).toEqual(new Set([ErrorCode.CANCELED]));
    jobs.cancel(id);
    expect((await failureOf(() => jobs.cancel("nothing"))).code).toBe(ErrorCode.NOT_FOUND);
  });

  it("is retried for the hosts that failed, with the same work", async () => {
    const jobs = jobsOf();
    const tried: string[] = [];
    let isBroken = true;
    const run = async (id: string) => {
      tried.push(id);
      if (id !== "h1" && isBroken) throw refused;
    };
    const first = jobs.start(specification(3, run));
    expect((await failureOf(() => jobs.retry(first, "bob"))).message).toContain("still running");
    await jobs.finished(first);
    isBroken = false;
    const second = jobs.retry(first, "bob");
    const job = await jobs.finished(second);
    expect([job.state, job.author, tried]).toEqual([JobState.DONE, "bob", ["h0", "h1", "h2", "h0", "h2"]]);
    expect((await failureOf(() => jobs.retry(second, "bob"))).code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("needs a host", async () => {
    const failure = await failureOf(() => jobsOf().start(specification(0, async () => {})));
    expect(failure.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });
});

describe("the list of jobs", () => {
  it("keeps the newest ones, by number and by hosts, and never forgets one that runs", async () => {
    const jobs = jobsOf();
    const gate = new Gate();
    const running = jobs.start(specification(1, gate.run));
    const done = async (count: number) => jobs.finished(jobs.start(specification(count, async () => {}, 64)));
    for (let index = 0; index < 60; index++) await done(1);
    expect(jobs.list().length).toBe(51);
    await done(3_980);
    expect(jobs.list().reduce((sum, { hosts }) => sum + hosts.length, 0)).toBe(4_001);
    await done(5_000);
    expect(
      jobs
        .list()
        .map(({ hosts }) => hosts.length)
        .sort(),
    ).toEqual([1, 5_000]);
    expect(jobs.job(running).state).toBe(JobState.RUNNING);
    gate.open();
    await jobs.finished(running);
  });

  it("is sent whole after each change, with numbers", async () => {
    const jobs = jobsOf();
    const service = new JobServiceImpl({ jobs, clock: { ...systemClock, sleep: async () => {} }, userName: "ada" });
    const closing = new AbortController();
    const messages = service.watch({ $typeName: "wardline.console.v1.WatchJobsRequest" }, closing.signal);
    const next = async () => (await messages.next()).value;
    expect(await next()).toMatchObject({ sequence: 1n, jobs: [] });
    const id = jobs.start(specification(1, async () => {}));
    expect(await next()).toMatchObject({ sequence: 2n, jobs: [{ id }] });
    closing.abort();
    await messages.return(undefined as never);
  });

  it("is closed: what runs is canceled and awaited, and nothing begins any more", async () => {
    const jobs = jobsOf();
    const gate = new Gate();
    const id = jobs.start(specification(2, gate.run, 1));
    await expect.poll(() => gate.begun.length).toBe(1);
    await jobs.close();
    expect([jobs.job(id).state, gate.running]).toEqual([JobState.CANCELED, 0]);
    expect((await failureOf(() => jobs.start(specification(1, gate.run)))).code).toBe(ErrorCode.CANCELED);
  });
});
