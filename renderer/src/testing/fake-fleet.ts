/** The part of the fake backend that is about many hosts: managed machines, checks, questions, jobs and roll-outs. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type CheckHostRequest,
  CheckHostResponseSchema,
  CheckStep,
  type NewHost,
  type Question,
  QuestionKind,
  QuestionSchema,
  StepState,
} from "@wardline/api/wardline/console/v1/fleet";
import {
  Drift,
  EnvironmentColor,
  type Host,
  HostSchema,
  Reachability,
  SshTransport,
} from "@wardline/api/wardline/console/v1/hosts";
import { type Job, JobKind, JobSchema, JobState } from "@wardline/api/wardline/console/v1/jobs";
import {
  type Rollout,
  RolloutHostState,
  RolloutSchema,
  RolloutState,
  type StartRolloutRequest,
} from "@wardline/api/wardline/console/v1/rollout";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { BackendKind, Role } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { failure } from "./fake-workspace.ts";

const FINGERPRINT = "SHA256:Qm3Y4hDk9yqv0pYw0yV4Xh9bLQkqg4w2T0n5oZr7fXs";
const RANDOM_ART = `+--[ED25519 256]--+
|      .o=*B=o.   |
|     . o+=*X.    |
|      o ++=.o    |
|     . o.+ o .   |
|        S o .    |
|       . = .     |
|        o B o    |
|         +.*.o   |
|        .oE*=.   |
+----[SHA256]-----+`;

interface Machine {
  readonly name: string;
  readonly reachability?: Reachability;
  readonly environment?: readonly [string, EnvironmentColor];
  readonly groups?: readonly string[];
  readonly drift?: Drift;
  readonly agentUpdate?: string;
  readonly problem?: readonly [ErrorCode, string, string];
}

const RED = ["production", EnvironmentColor.RED] as const;
const AMBER = ["staging", EnvironmentColor.AMBER] as const;

const MACHINES: readonly Machine[] = [
  { name: "web-1", environment: RED, groups: ["web", "edge"] },
  { name: "web-2", environment: RED, groups: ["web", "edge"], drift: Drift.BEHIND },
  {
    name: "db-1",
    environment: RED,
    groups: ["db"],
    reachability: Reachability.HOST_KEY,
    problem: [
      ErrorCode.HOST_KEY_CHANGED,
      "db-1 shows another key than the one in ~/.ssh/known_hosts, line 14. Nothing was sent to it.",
      "Look at it step by step to compare both.",
    ],
  },
  { name: "web-3", environment: AMBER, groups: ["web"], agentUpdate: "0.2.0" },
  {
    name: "cache-1",
    environment: AMBER,
    reachability: Reachability.UNREACHABLE,
    problem: [
      ErrorCode.HOST_UNREACHABLE,
      "cache-1 does not answer on port 22 within 10 s.",
      "Is it on, and does a firewall in between let SSH through?",
    ],
  },
];

function fakeMachine(machine: Machine, index: number, nowMs: number): Host {
  const { name, reachability = Reachability.CONNECTED, environment, groups = [], problem } = machine;
  const isConnected = reachability === Reachability.CONNECTED;
  const host = create(HostSchema, {
    id: `host-${name}`,
    name,
    alias: name,
    reachability,
    groups: [...groups],
    labels: { app: name.split("-")[0] ?? name },
    namespace: "default",
    declared: true,
    role: Role.OPERATOR,
    actor: "ops (1001)",
    access: { address: `${name}.example.org`, user: "ops", jump: name.startsWith("db") ? "bastion" : "" },
    drift: machine.drift ?? Drift.NONE,
    agentUpdate: machine.agentUpdate ?? "",
    lastHeardAt: timestampFromMs(nowMs - (isConnected ? 700 : 3_900_000)),
    status: {
      attached: true,
      observedAt: timestampFromMs(nowMs - (isConnected ? 700 : 3_900_000)),
      memoryBytes: 68_000_000n,
      enforced: {
        number: BigInt(12 + index),
        mode: EnforcementMode.ENFORCE,
        programDigest: "c".repeat(64),
        policyCount: 2,
        ruleCount: 6,
        appliedAt: timestampFromMs(nowMs - 86_400_000),
        appliedBy: "ops",
      },
      info: {
        name,
        operatingSystem: "Debian GNU/Linux 12",
        architecture: "x64",
        kernelRelease: "6.1.0-28-amd64",
        agentVersion: "0.1.0",
        agentBuild: "3f9c2ab",
        addresses: [`10.20.0.${21 + index}`],
        backend: BackendKind.EBPF,
        backendReason: "cgroup2, bpffs and every map type are there.",
        processId: 812,
        startedAt: timestampFromMs(nowMs - 1_000_000_000),
      },
    },
  });
  if (environment)
    host.environment = { $typeName: "wardline.console.v1.Environment", name: environment[0], color: environment[1] };
  if (problem)
    host.problem = {
      $typeName: "wardline.v1.ErrorDetail",
      code: problem[0],
      message: problem[1],
      hint: problem[2],
      retryable: true,
      host: name,
      diagnostics: [],
    };
  if (isConnected)
    host.ssh = {
      $typeName: "wardline.console.v1.SshSummary",
      user: "ops",
      address: `10.20.0.${21 + index}`,
      port: 22,
      hostKeyFingerprint: FINGERPRINT,
      hostKeyType: "ssh-ed25519",
      via: [],
      transport: SshTransport.BUILT_IN,
      command: `ssh ops@${name}.example.org`,
    };
  return host;
}

export type FleetKind = "none" | "fleet" | "question" | "rollout" | "jobs";

export class FakeFleet {
  readonly hosts: Host[] = [];
  jobs: Job[] = [];
  rollouts: Rollout[] = [];
  questions: Question[] = [];
  readonly added: NewHost[] = [];
  readonly answered: (readonly string[])[] = [];
  readonly started: StartRolloutRequest[] = [];
  readonly trusted = new Set<string>();
  readonly #notify: () => void;
  readonly #gate: () => Promise<void>;

  constructor(kind: FleetKind, ports: { readonly notify: () => void; readonly gate: () => Promise<void> }) {
    this.#notify = ports.notify;
    this.#gate = ports.gate;
    const nowMs = Date.now();
    if (kind === "none") return;
    this.hosts.push(...MACHINES.map((machine, index) => fakeMachine(machine, index, nowMs)));
    if (kind === "question") this.questions = [passphraseQuestion(nowMs)];
    if (kind === "rollout") this.rollouts = [this.#rollout(RolloutState.WAITING, nowMs)];
    if (kind === "jobs") this.jobs = [installJob(nowMs)];
  }

  fleetService() {
    const fake = this;
    return {
      async listCandidates() {
        await fake.#gate();
        return {
          candidates: ["build-1", "build-2", "printer"].map((alias, index) => ({
            alias,
            access: { address: alias, user: "ops", jump: alias === "printer" ? "bastion" : "" },
            origin: `~/.ssh/config:${4 + index * 5}`,
          })),
          problems: ["~/.ssh/config:30: Match exec is never run, so what it says is left out."],
        };
      },
      async readInventory({ text }: { text: string }) {
        await fake.#gate();
        const entries = text
          .split("\n")
          .map((line, index) => ({ alias: line.trim(), line: index + 1 }))
          .filter(({ alias }) => alias !== "" && !alias.startsWith("#"))
          .map(({ alias, line }) => ({
            alias,
            line,
            access: { address: alias },
            known: fake.hosts.some((host) => host.alias === alias),
          }));
        return { entries, format: "lines" };
      },
      async addHosts({ hosts }: { hosts: NewHost[] }) {
        await fake.#gate();
        for (const host of hosts) {
          const name = host.alias || (host.access?.address ?? "");
          if (fake.hosts.some((known) => known.alias === name))
            throw failure(ErrorCode.ALREADY_EXISTS, Code.AlreadyExists, `There is a host ${name} already.`);
        }
        fake.added.push(...hosts);
        const nowMs = Date.now();
        const added = hosts.map((host, index) => {
          const name = host.alias || (host.access?.address ?? "");
          const made = fakeMachine({ name, reachability: Reachability.NO_AGENT }, index, nowMs);
          delete made.status;
          delete made.lastHeardAt;
          return made;
        });
        fake.hosts.push(...added);
        fake.#notify();
        return { hostIds: added.map(({ id }) => id) };
      },
      async updateHost() {
        await fake.#gate();
        return {};
      },
      async removeHost({ hostId }: { hostId: string }) {
        await fake.#gate();
        fake.hosts.splice(
          fake.hosts.findIndex(({ id }) => id === hostId),
          1,
        );
        fake.#notify();
        return {};
      },
      async *checkHost(request: CheckHostRequest) {
        await fake.#gate();
        yield* fake.#check(request);
      },
      async connectHost() {
        await fake.#gate();
        return { reachability: Reachability.CONNECTED };
      },
      async trustHostKey({ fingerprint }: { fingerprint: string }) {
        await fake.#gate();
        fake.trusted.add(fingerprint);
        return { path: "~/.ssh/known_hosts" };
      },
      async answerQuestion({ id, answers }: { id: string; answers: string[] }) {
        await fake.#gate();
        fake.answered.push(answers);
        fake.questions = fake.questions.filter((question) => question.id !== id);
        fake.#notify();
        return {};
      },
      async installAgent() {
        await fake.#gate();
        fake.jobs = [installJob(Date.now()), ...fake.jobs];
        fake.#notify();
        return { jobId: "job-1" };
      },
      async uninstallAgent() {
        await fake.#gate();
        return { jobId: "job-2" };
      },
    };
  }

  async *#check(request: CheckHostRequest) {
    const host = this.hosts.find(({ id }) => id === request.hostId);
    const address = host?.access?.address ?? request.access?.address ?? "";
    const isChanged = host?.reachability === Reachability.HOST_KEY;
    const isUnknown = host === undefined && !this.trusted.has(FINGERPRINT);
    const found: readonly (readonly [CheckStep, string, number])[] = [
      [CheckStep.CONFIGURATION, `ops@${address}, as ~/.ssh/config:12 says`, 1],
      [CheckStep.NAME, `${address} is 10.20.0.31`, 14],
      [CheckStep.ROUTE, "through eth0", 1],
      [CheckStep.PORT, "SSH-2.0-OpenSSH_9.2p1 on port 22", 22],
      [CheckStep.HOST_KEY, `${FINGERPRINT} (ssh-ed25519), known_hosts:9`, 31],
      [CheckStep.AUTHENTICATION, "as ops with ~/.ssh/id_ed25519", 118],
      [CheckStep.PLATFORM, "Debian GNU/Linux 12, kernel 6.1, x64, systemd", 64],
      [CheckStep.PRIVILEGE, "sudo without a password", 40],
    ];
    for (const [step, detail, tookMs] of found) {
      yield create(CheckHostResponseSchema, { step, state: StepState.RUNNING });
      if (step === CheckStep.HOST_KEY && (isChanged || isUnknown)) {
        const message = isChanged ? "It shows another key than the known one." : "Nobody has vouched for its key yet.";
        yield create(CheckHostResponseSchema, {
          step,
          state: StepState.FAILED,
          error: { code: isChanged ? ErrorCode.HOST_KEY_CHANGED : ErrorCode.HOST_KEY_UNKNOWN, message },
          shownKey: {
            address,
            port: 22,
            keyType: "ssh-ed25519",
            fingerprint: FINGERPRINT,
            randomArt: RANDOM_ART,
            known: isChanged ? ["SHA256:p2f5oKkUq6p2b0bVt3Z8k1m7N2s9d4h6j8l0q3w5e7r (~/.ssh/known_hosts:14)"] : [],
          },
        });
        return;
      }
      yield create(CheckHostResponseSchema, { step, state: StepState.PASSED, detail, tookMs });
    }
    yield create(CheckHostResponseSchema, {
      step: CheckStep.AGENT,
      state: StepState.FAILED,
      error: {
        code: ErrorCode.AGENT_MISSING,
        message: "No agent is installed there.",
        hint: "Install it from here; the machine goes on as it is until you apply something.",
      },
      platform: {
        operatingSystem: "Debian GNU/Linux 12",
        kernelRelease: "6.1.0-28-amd64",
        architecture: "x64",
        serviceManager: "systemd",
        privilege: "sudo",
        capabilities: [
          { name: "cgroup2", available: true, detail: "/sys/fs/cgroup" },
          { name: "libbpf", available: true, detail: "libbpf.so.1" },
          { name: "glibc", available: true, detail: "2.36" },
        ],
      },
    });
  }

  jobService() {
    const fake = this;
    return {
      async cancelJob({ jobId }: { jobId: string }) {
        await fake.#gate();
        for (const job of fake.jobs) if (job.id === jobId) job.state = JobState.CANCELED;
        fake.jobs = [...fake.jobs];
        fake.#notify();
        return {};
      },
      async retryJob() {
        await fake.#gate();
        return { jobId: "job-3" };
      },
    };
  }

  rolloutService() {
    const fake = this;
    return {
      async startRollout(request: StartRolloutRequest) {
        await fake.#gate();
        fake.started.push(request);
        fake.rollouts = [fake.#rollout(RolloutState.RUNNING, Date.now())];
        fake.#notify();
        return { rolloutId: "rollout-1" };
      },
      async continueRollout() {
        await fake.#gate();
        fake.rollouts = [fake.#rollout(RolloutState.DONE, Date.now())];
        fake.#notify();
        return {};
      },
      async stopRollout() {
        await fake.#gate();
        fake.rollouts = [fake.#rollout(RolloutState.STOPPED, Date.now())];
        fake.#notify();
        return {};
      },
    };
  }

  #rollout(state: RolloutState, nowMs: number): Rollout {
    const isDone = state === RolloutState.DONE;
    const second = isDone
      ? RolloutHostState.CONFIRMED
      : state === RolloutState.STOPPED
        ? RolloutHostState.NOT_STARTED
        : RolloutHostState.WAITING;
    const host = (name: string, stage: number, hostState: RolloutHostState, number: bigint | null) => ({
      hostId: `host-${name}`,
      hostName: name,
      stage,
      state: hostState,
      ...(number === null
        ? {}
        : {
            receipt: {
              generation: { number },
              appliedAt: timestampFromMs(nowMs - 42_000),
              confirmedAt: timestampFromMs(nowMs - 30_000),
              allowedPackets: 18_412n,
              deniedPackets: 37n,
              forecastDenialsPerMinute: 41.2,
            },
          }),
    });
    return create(RolloutSchema, {
      id: "rollout-1",
      state,
      startedAt: timestampFromMs(nowMs - 44_000),
      author: "lena",
      reason: "open 8443 for the new balancer",
      mode: EnforcementMode.ENFORCE,
      stage: isDone ? 1 : 0,
      stageCount: 2,
      explanation:
        state === RolloutState.WAITING ? "Stage 1 passed its gates: web-1 denied no more than was forecast." : "",
      hosts: [
        host("web-1", 0, state === RolloutState.RUNNING ? RolloutHostState.PENDING : RolloutHostState.CONFIRMED, 13n),
        host("web-2", 1, second, isDone ? 14n : null),
        host("web-3", 1, second, isDone ? 16n : null),
        host("cache-1", 1, RolloutHostState.AWAY, null),
      ],
    });
  }
}

function passphraseQuestion(nowMs: number): Question {
  return create(QuestionSchema, {
    id: "question-1",
    hostId: "host-web-1",
    kind: QuestionKind.PASSPHRASE,
    subject: "~/.ssh/id_ed25519",
    instruction: "The key is protected. Its passphrase stays in memory unless you keep it.",
    prompts: [{ text: "Passphrase", echo: false }],
    askedAt: timestampFromMs(nowMs),
  });
}

function installJob(nowMs: number): Job {
  const step = (name: string, text: string, percent = 0) => ({ name, text, percent, at: timestampFromMs(nowMs) });
  return create(JobSchema, {
    id: "job-1",
    kind: JobKind.INSTALL,
    title: "Install the agent 0.2.0 on 2 hosts",
    state: JobState.RUNNING,
    startedAt: timestampFromMs(nowMs - 12_000),
    author: "lena",
    cancelable: true,
    hosts: [
      {
        hostId: "host-web-3",
        hostName: "web-3",
        state: JobState.RUNNING,
        steps: [
          step("connect", "Connected as ops"),
          step("check", "Debian 12, x64, systemd, sudo without a password"),
          step("upload", "Uploading the agent, 31 of 47 MB", 66),
        ],
      },
      {
        hostId: "host-cache-1",
        hostName: "cache-1",
        state: JobState.FAILED,
        steps: [step("connect", "Connecting")],
        error: {
          code: ErrorCode.HOST_UNREACHABLE,
          message: "cache-1 does not answer on port 22 within 10 s.",
          hint: "Is it on?",
          retryable: true,
        },
      },
    ],
  });
}
