import { create } from "@bufbuild/protobuf";
import { InstallAgentRequestSchema, UninstallAgentRequestSchema } from "@wardline/api/wardline/console/v1/fleet";
import { HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { JobKind, JobState } from "@wardline/api/wardline/console/v1/jobs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { Jobs } from "../jobs/job-runner.ts";
import { silentLogger, systemClock } from "../ports.ts";
import { NOBODY } from "../questions/questions.ts";
import { AgentLifecycle } from "./agent-lifecycle.ts";
import type { AgentPackage, VerifiedManifest } from "./manifest.ts";

const MANIFEST: VerifiedManifest = { version: "1.2.0", build: "b1", agents: [], services: [], signedBy: "a test" };
const unreachable = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "No route." });

function newLifecycle(manifest: () => Promise<VerifiedManifest> = async () => MANIFEST, requireWritable = () => {}) {
  const jobs = new Jobs({ clock: systemClock, logger: silentLogger });
  const changed: string[] = [];
  const called: string[] = [];
  const lifecycle = new AgentLifecycle({
    jobs,
    requireWritable,
    userName: "ada",
    asker: NOBODY,
    clock: systemClock,
    logger: silentLogger,
    agentPackage: { manifest, release() {} } as unknown as AgentPackage,
    connector: {
      connect: async (_access, { hostId }) => {
        called.push(hostId);
        throw unreachable;
      },
    },
    hostById: (id) => ({
      name: `host ${id}`,
      access: id === "local" ? null : create(HostAccessSchema, { address: id }),
    }),
    onChanged: (id) => void changed.push(id),
  });
  return { lifecycle, jobs, changed, called };
}

async function failureOf(body: () => unknown): Promise<Failure> {
  try {
    await body();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("installing", () => {
  const request = (change: object) => create(InstallAgentRequestSchema, change);

  it("is a job in which each host ends for itself, and is connected anew afterwards", async () => {
    const { lifecycle, jobs, changed, called } = newLifecycle();
    const { jobId } = await lifecycle.installAgent(request({ hostIds: ["a", "b", "a"] }));
    const job = await jobs.finished(jobId);
    expect(job).toMatchObject({
      kind: JobKind.INSTALL,
      title: "Install agent 1.2.0",
      author: "ada",
      state: JobState.FAILED,
    });
    expect(job.hosts.map(({ hostName, error }) => [hostName, error?.code])).toEqual([
      ["host a", ErrorCode.HOST_UNREACHABLE],
      ["host b", ErrorCode.HOST_UNREACHABLE],
    ]);
    expect([changed, called]).toEqual([
      ["a", "b"],
      ["a", "b"],
    ]);
  });

  it.each([
    ["no host", { hostIds: [] }, "Name 1 to 1,000 hosts"],
    ["too many", { hostIds: Array.from({ length: 1_001 }, (_, index) => `h${index}`) }, "Name 1 to 1,000 hosts"],
    ["this machine", { hostIds: ["local"] }, "not reached over SSH"],
    ["an option for an account", { hostIds: ["a"], operators: ["-rf"] }, "is not the name of an account"],
    ["a command for an account", { hostIds: ["a"], admins: ["x;reboot"] }, "is not the name of an account"],
    ["a line break", { hostIds: ["a"], admins: ["x\nadmins y"] }, "is not the name of an account"],
    [
      "accounts without end",
      { hostIds: ["a"], operators: Array.from({ length: 51 }, (_, i) => `u${i}`) },
      "At most 50",
    ],
  ])("is refused at once for %s", async (_, change, words) => {
    const { lifecycle, jobs } = newLifecycle();
    const failure = await failureOf(() => lifecycle.installAgent(request(change)));
    expect([failure.code, failure.message]).toEqual([ErrorCode.INVALID_ARGUMENT, expect.stringContaining(words)]);
    expect(jobs.list()).toEqual([]);
  });

  it("is refused at once when there is nothing to install", async () => {
    const missing = new Failure({ code: ErrorCode.NOT_FOUND, message: "None." });
    const { lifecycle, jobs } = newLifecycle(() => Promise.reject(missing));
    expect((await failureOf(() => lifecycle.installAgent(request({ hostIds: ["a"] })))).code).toBe(ErrorCode.NOT_FOUND);
    expect(jobs.list()).toEqual([]);
  });
});

describe("uninstalling", () => {
  it("several hosts wants the typed word", async () => {
    const { lifecycle, jobs } = newLifecycle();
    const request = (typed: string) => create(UninstallAgentRequestSchema, { hostIds: ["a", "b"], typed });
    for (const typed of ["", "yes", "Uninstall"]) {
      const failure = await failureOf(() => lifecycle.uninstallAgent(request(typed)));
      expect(failure.code).toBe(ErrorCode.CONFIRMATION_REQUIRED);
    }
    expect(jobs.list()).toEqual([]);
    const { jobId } = lifecycle.uninstallAgent(request("uninstall"));
    expect((await jobs.finished(jobId)).kind).toBe(JobKind.UNINSTALL);
    const single = lifecycle.uninstallAgent(create(UninstallAgentRequestSchema, { hostIds: ["a"] }));
    expect((await jobs.finished(single.jobId)).hosts.length).toBe(1);
  });
});

it("a console that changes no host installs and removes nothing", async () => {
  const { lifecycle, jobs } = newLifecycle(undefined, () => {
    throw new Failure({ code: ErrorCode.READ_ONLY, message: "No." });
  });
  const hostIds = ["a"];
  const attempts = [
    () => lifecycle.installAgent(create(InstallAgentRequestSchema, { hostIds })),
    () => lifecycle.installAgent(create(InstallAgentRequestSchema, { hostIds, previous: true })),
    () => lifecycle.uninstallAgent(create(UninstallAgentRequestSchema, { hostIds })),
  ];
  for (const attempt of attempts) expect((await failureOf(attempt)).code).toBe(ErrorCode.READ_ONLY);
  expect(jobs.list()).toEqual([]);
});

describe("an update", () => {
  it("is offered to agents that are older, and to no others", async () => {
    const { lifecycle } = newLifecycle();
    lifecycle.updateFor("1.0.0");
    await expect.poll(() => lifecycle.updateFor("1.1.9")).toBe("1.2.0");
    expect(["1.2.0", "1.10.0", "", "nonsense"].map((version) => lifecycle.updateFor(version))).toEqual([
      "",
      "",
      "",
      "",
    ]);
  });
});
