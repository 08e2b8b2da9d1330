/** A bare test machine, and a console's part that installs agents there. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import type { Failure } from "@wardline/domain/errors";
import type { HostProgress } from "@wardline/main/backend/jobs/jobs";
import type { LifecycleHost, LifecyclePorts } from "@wardline/main/backend/lifecycle/host-work";
import type { AgentPackage } from "@wardline/main/backend/lifecycle/manifest";
import { silentLogger, systemClock } from "@wardline/main/backend/ports";
import { NOBODY, type QuestionAsker } from "@wardline/main/backend/questions/questions";
import { ConsoleSshConnector } from "@wardline/main/backend/ssh/ssh-connector";
import type { SshConnector, SshSession } from "@wardline/main/backend/ssh/ssh-session";
import type { Account } from "../fleet/accounts.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { FleetHost } from "../fleet/fleet-host.ts";

export const AGENT = "/usr/lib/wardline/wardline-agent";

/** A connector whose connections a test can cut. */
export class CuttableConnector implements SshConnector {
  readonly #inner: SshConnector;
  readonly #sessions: SshSession[] = [];
  opened = 0;

  constructor(inner: SshConnector) {
    this.#inner = inner;
  }

  async connect(...given: Parameters<SshConnector["connect"]>): Promise<SshSession> {
    const session = await this.#inner.connect(...given);
    this.opened++;
    this.#sessions.push(session);
    return session;
  }

  /** Ends every TCP connection under an SSH connection, as a cable would. */
  cut(): void {
    for (const session of this.#sessions.splice(0)) session.close();
  }
}

export class Progress implements HostProgress {
  readonly #canceling = new AbortController();
  readonly steps: { name: string; text: string; percent: number }[] = [];
  /** Called as each step begins or changes. */
  onStep: (name: string, percent: number) => void = () => {};

  get signal(): AbortSignal {
    return this.#canceling.signal;
  }

  step(name: string, text: string, percent = 0): void {
    this.steps.push({ name, text, percent });
    this.onStep(name, percent);
  }

  cancel(reason: Failure): void {
    this.#canceling.abort(reason);
  }

  /** Each once, in order. */
  get names(): string[] {
    return this.steps.map(({ name }) => name).filter((name, index, all) => name !== all[index - 1]);
  }

  text(name: string): string {
    return this.steps.findLast((step) => step.name === name)?.text ?? "";
  }
}

export class LifecycleLab {
  readonly machine: FleetHost;
  readonly connector: CuttableConnector;
  asker: QuestionAsker = NOBODY;
  readonly #fleet: Fleet;

  constructor(fleet: Fleet, machine: FleetHost) {
    this.#fleet = fleet;
    this.machine = machine;
    const asker: QuestionAsker = { ask: (...given) => this.asker.ask(...given) };
    const environment = { homeDir: fleet.home.directory, environment: {}, systemConfigPath: null, localUser: "ada" };
    this.connector = new CuttableConnector(new ConsoleSshConnector({ asker, environment }));
  }

  host(account: Account): LifecycleHost {
    const { path } = this.#fleet.home.keys[account];
    const access = create(HostAccessSchema, {
      address: this.machine.name,
      user: account,
      identityFiles: [path],
    });
    return { id: `id-${this.machine.name}`, name: this.machine.name, access };
  }

  ports(agentPackage: AgentPackage): LifecyclePorts {
    return {
      connector: this.connector,
      asker: { ask: (...given) => this.asker.ask(...given) },
      agentPackage,
      // What is wrong after an exchange is given time to come right; a quarter of it is enough here.
      clock: { ...systemClock, nowMs: () => Date.now() * 4 },
      logger: silentLogger,
    };
  }

  agentPid(): Promise<number> {
    return this.machine.mainPid("wardline-agent.service");
  }

  exists(path: string): boolean {
    return existsSync(this.machine.path(path));
  }

  inode(path: string): number {
    return statSync(this.machine.path(path), { throwIfNoEntry: false })?.ino ?? 0;
  }

  /** `root:root 755`, as stat(1) says it. */
  owner(path: string): string {
    const { uid, gid, mode } = statSync(this.machine.path(path));
    return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
  }

  members(group: string): string[] {
    const text = readFileSync(this.machine.path("/etc/group"), "utf8");
    const line = text.split("\n").find((each) => each.startsWith(`${group}:`));
    return line?.split(":").at(-1)?.split(",").filter(Boolean) ?? [];
  }

  hasGroup(group: string): boolean {
    return new RegExp(`^${group}:`, "m").test(readFileSync(this.machine.path("/etc/group"), "utf8"));
  }

  async version(path = AGENT): Promise<string> {
    const { stdout } = await this.machine.run([path, "--version", "--json"]);
    return (JSON.parse(stdout) as { version: string }).version;
  }
}

export async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const result = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (result === null) throw new Error("it ended well");
  if (!(result instanceof Error) || result.name !== "Failure") throw result;
  return result as Failure;
}
