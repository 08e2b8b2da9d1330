/** InstallAgent and UninstallAgent of FleetService: checks what is asked for and starts the job. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type FleetService,
  type InstallAgentRequest,
  type InstallAgentResponse,
  InstallAgentResponseSchema,
  type UninstallAgentRequest,
  type UninstallAgentResponse,
  UninstallAgentResponseSchema,
} from "@wardline/api/wardline/console/v1/fleet";
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { JobKind } from "@wardline/api/wardline/console/v1/jobs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgress, JobRunner } from "../jobs/jobs.ts";
import type { Guard } from "../rpc/guard.ts";
import type { LifecycleHost, LifecyclePorts } from "./host-work.ts";
import { installOnHost, rollBackOnHost } from "./install.ts";
import { uninstallFromHost } from "./uninstall.ts";
import { type AgentIdentity, compareVersions } from "./versions.ts";

/** Each upload takes its share of the console's line. */
const PARALLEL_HOSTS = 5;
const LOOK_INTERVAL_MS = 30_000;
const MAX_HOSTS = 1_000;
const MAX_ACCOUNTS = 50;
/** As the script on the host checks it again. */
const ACCOUNT = /^[A-Za-z0-9_.][A-Za-z0-9._-]{0,31}$/;

export interface AgentLifecyclePorts extends LifecyclePorts {
  readonly jobs: JobRunner;
  readonly userName: string;
  /** Throws READ_ONLY where this console was started to change no host. */
  readonly requireWritable?: () => void;
  /** `access` is `null` for the machine of the console. @throws Failure NOT_FOUND */
  readonly hostById: (id: string) => { readonly name: string; readonly access: HostAccess | null };
  /** The agent of a host is another one now, or gone: connect again. */
  readonly onChanged: (hostId: string) => void;
}

export class AgentLifecycle {
  readonly #ports: AgentLifecyclePorts;
  readonly #busy = new Set<string>();
  #offered: AgentIdentity | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: AgentLifecyclePorts) {
    this.#ports = ports;
  }

  /** Those of FleetService that are about the agent's life. */
  routes(guard: Guard): Pick<ServiceImpl<typeof FleetService>, "installAgent" | "uninstallAgent"> {
    return {
      installAgent: guard.unary((request: InstallAgentRequest) => this.installAgent(request)),
      uninstallAgent: guard.unary((request: UninstallAgentRequest) => this.uninstallAgent(request)),
    };
  }

  /** @throws Failure; what concerns one host is how its part of the job ends */
  async installAgent(request: InstallAgentRequest): Promise<InstallAgentResponse> {
    this.#ports.requireWritable?.();
    const hosts = this.#hosts(request.hostIds);
    const options = { force: request.force, operators: accounts(request.operators), admins: accounts(request.admins) };
    if (request.previous) {
      const run = (host: LifecycleHost, progress: HostProgress) => rollBackOnHost(this.#ports, host, progress);
      return this.#installJob("Roll the agent back", hosts, run);
    }
    // Said once and at once, not by each host.
    const manifest = await this.#ports.agentPackage.manifest();
    this.#offered = manifest;
    const run = (host: LifecycleHost, progress: HostProgress) => installOnHost(this.#ports, host, options, progress);
    return this.#installJob(`Install agent ${manifest.version}`, hosts, run);
  }

  /** @throws Failure CONFIRMATION_REQUIRED for several hosts without the typed word */
  uninstallAgent(request: UninstallAgentRequest): UninstallAgentResponse {
    this.#ports.requireWritable?.();
    const hosts = this.#hosts(request.hostIds);
    if (hosts.length > 1 && request.typed !== "uninstall") {
      throw new Failure({
        code: ErrorCode.CONFIRMATION_REQUIRED,
        message: `This ends enforcement on ${hosts.length} hosts.`,
        hint: "Type the word uninstall to say that this is meant.",
      });
    }
    const jobId = this.#start(JobKind.UNINSTALL, "Uninstall the agent", hosts, (host, progress) =>
      uninstallFromHost(this.#ports, host, request.keepState, progress),
    );
    return create(UninstallAgentResponseSchema, { jobId });
  }

  /**
   * The version that this console could install over the given one; empty when it has none that is newer, and until it has
   * looked. Cheap: the manifest is read now and then, aside.
   */
  updateFor(agentVersion: string): string {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs - this.#lookedAtMs >= LOOK_INTERVAL_MS) {
      this.#lookedAtMs = nowMs;
      void this.#look();
    }
    const offered = this.#offered?.version ?? "";
    if (offered === "" || !/^\d+\.\d+\.\d+/.test(agentVersion)) return "";
    return compareVersions(offered, agentVersion) > 0 ? offered : "";
  }

  /** None to install is no failure here: then nothing is offered. */
  async #look(): Promise<void> {
    this.#offered = await this.#ports.agentPackage.manifest().catch(() => null);
  }

  #installJob(title: string, hosts: readonly LifecycleHost[], run: HostRun): InstallAgentResponse {
    return create(InstallAgentResponseSchema, { jobId: this.#start(JobKind.INSTALL, title, hosts, run) });
  }

  #start(kind: JobKind, title: string, hosts: readonly LifecycleHost[], run: HostRun): string {
    const byId = new Map(hosts.map((host) => [host.id, host]));
    const { jobs, userName, agentPackage, onChanged } = this.#ports;
    const jobId = jobs.start({
      kind,
      title,
      author: userName,
      hosts,
      parallel: PARALLEL_HOSTS,
      run: async (id, progress) => {
        const host = byId.get(id);
        try {
          if (host) await this.#exclusive(id, () => run(host, progress));
        } finally {
          onChanged(id);
        }
      },
    });
    void jobs.finished(jobId).then(() => agentPackage.release());
    return jobId;
  }

  async #exclusive(id: string, body: () => Promise<void>): Promise<void> {
    if (this.#busy.has(id)) {
      throw new Failure({
        code: ErrorCode.CONFIRMATION_PENDING,
        message: "Another job of this console is at work on the agent of this host.",
        hint: "Wait for its end.",
        retryable: true,
      });
    }
    this.#busy.add(id);
    try {
      await body();
    } finally {
      this.#busy.delete(id);
    }
  }

  #hosts(ids: readonly string[]): readonly LifecycleHost[] {
    const unique = [...new Set(ids)];
    if (unique.length === 0 || unique.length > MAX_HOSTS) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `Name 1 to ${MAX_HOSTS.toLocaleString("en")} hosts.`,
      });
    }
    return unique.map((id) => {
      const { name, access } = this.#ports.hostById(id);
      if (access) return { id, name, access };
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: `${name} is the machine of this console, which is not reached over SSH.`,
        hint: "Start its agent with `bin/wardline agent run`, or install it as docs/agent.md says.",
        host: name,
      });
    });
  }
}

type HostRun = (host: LifecycleHost, progress: HostProgress) => Promise<void>;

function accounts(names: readonly string[]): readonly string[] {
  const unique = [...new Set(names)];
  const wrong = unique.find((name) => !ACCOUNT.test(name));
  if (wrong === undefined && unique.length <= MAX_ACCOUNTS) return unique;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message:
      wrong === undefined
        ? `At most ${MAX_ACCOUNTS} accounts can be named for a role.`
        : `${JSON.stringify(wrong.slice(0, 50))} is not the name of an account.`,
    hint: "Letters, digits, dot, dash and underscore; at most 32 characters.",
  });
}
