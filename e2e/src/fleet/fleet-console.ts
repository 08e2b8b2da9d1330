/** A console on a fleet for tests: the real backend, with the SSH home of the fleet's person, and a client of every service. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { FleetService, type NewHostSchema } from "@wardline/api/wardline/console/v1/fleet";
import { type Host, HostService, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import {
  type Rollout,
  RolloutHostState,
  RolloutService,
  RolloutState,
} from "@wardline/api/wardline/console/v1/rollout";
import { type ApplyResponse, ApplyStep, ShipService } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { type Backend, type BackendOptions, createBackend } from "@wardline/main/backend/backend";
import { silentLogger } from "@wardline/main/backend/ports";
import { NOBODY } from "@wardline/main/backend/questions/questions";
import type { Account } from "./accounts.ts";
import type { FleetHost } from "./fleet-host.ts";

const PATIENCE_MS = 60_000;

/** What a console needs to know of a fleet; another process may be told. */
export interface FleetPlaces {
  readonly directory: string;
  readonly home: { readonly directory: string };
}

/** Of a plan for one host. */
export interface Sent {
  readonly hostId: string;
  readonly generation: bigint;
  readonly last: ApplyResponse;
}

export class FleetConsole {
  readonly backend: Backend;
  readonly stateDir: string;
  readonly policies: Client<typeof PolicyService>;
  readonly ship: Client<typeof ShipService>;
  readonly hosts: Client<typeof HostService>;
  readonly fleet: Client<typeof FleetService>;
  readonly rollouts: Client<typeof RolloutService>;
  readonly #defects: string[] = [];
  #isClosed = false;

  /** @param options `stateDir` of an earlier console continues it */
  constructor(fleet: FleetPlaces, options: Partial<BackendOptions> = {}) {
    this.stateDir = options.stateDir ?? mkdtempSync(join(fleet.directory, "state-"));
    this.backend = createBackend({
      agentSocketPath: "/nonexistent/agent.sock",
      // Whatever is logged as an error is a defect: expected failures are warnings.
      logger: {
        ...silentLogger,
        error: (fields, message) => void this.#defects.push(`${message} ${inspect(fields)}`),
      },
      shell: { kind: "browser" },
      userName: "tester",
      introducesLocalHost: false,
      // What a person is warned of is not what these tests are about: a host that is cut off comes back by itself.
      hostNeeds: (host) => ({ hostName: host.connection.hostName, connections: [] }),
      asker: NOBODY,
      settingsFiles: { path: join(this.stateDir, "settings.yaml"), lockedPath: join(this.stateDir, "locked.yaml") },
      ssh: { environment: { homeDir: fleet.home.directory, systemConfigPath: null, environment: {} } },
      ...options,
      stateDir: this.stateDir,
    });
    const transport = createRouterTransport((router) => this.backend.routes(router));
    this.policies = createClient(PolicyService, transport);
    this.ship = createClient(ShipService, transport);
    this.hosts = createClient(HostService, transport);
    this.fleet = createClient(FleetService, transport);
    this.rollouts = createClient(RolloutService, transport);
  }

  /** Manages these hosts under their names, logs in and waits until each is connected. @returns their ids */
  async connect(hosts: readonly FleetHost[], account: Account = "operator"): Promise<string[]> {
    const ids = await this.add(hosts, account);
    await Promise.all(hosts.map(({ name }) => this.until(name, isConnected)));
    return ids;
  }

  /** Only manages them, and keeps trying to reach them. */
  async add(hosts: readonly FleetHost[], account: Account = "operator"): Promise<string[]> {
    const identityFiles = [`~/.ssh/id_${account}`];
    return this.addWith(
      hosts.map(({ name }) => ({ alias: name, access: { address: name, user: account, identityFiles } })),
    );
  }

  /** The same with everything that can be said of a host. */
  async addWith(hosts: MessageInitShape<typeof NewHostSchema>[]): Promise<string[]> {
    const { hostIds } = await this.fleet.addHosts({ hosts });
    for (const id of hostIds) this.backend.registry.byId(id).connection.need();
    return hostIds;
  }

  /** As a person who asks for it now, after a change. */
  async retry(name: string): Promise<void> {
    await this.fleet.connectHost({ hostId: this.idOf(name) });
  }

  idOf(name: string): string {
    return this.backend.registry.byIdOrName(name).id;
  }

  /** As the window would show it right now. */
  async host(name: string): Promise<Host> {
    for await (const { hosts } of this.hosts.watchHosts({})) {
      const found = hosts.find(({ alias }) => alias === name);
      if (found) return found;
    }
    throw new Error(`no host ${name}`);
  }

  /** Waits until the host is as wanted; the error tells what it was instead. */
  async until(name: string, isWanted: (host: Host) => boolean, limitMs = PATIENCE_MS): Promise<Host> {
    let last: Host | null = null;
    const signal = AbortSignal.timeout(limitMs);
    try {
      for await (const { hosts } of this.hosts.watchHosts({}, { signal })) {
        last = hosts.find(({ alias }) => alias === name) ?? null;
        if (last && isWanted(last)) return last;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    const { reachability = 0, problem, status } = last ?? {};
    const seen = { reachability: Reachability[reachability], problem: problem?.message, pending: status?.pending };
    throw new Error(`${name} did not become what was waited for: ${inspect(seen, { depth: 5 })}`);
  }

  /** Makes these the files of the workspace, all others removed. */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    const present = new Map((await this.#files()).map(({ path, revision }) => [path, revision]));
    for (const [path, baseRevision] of present)
      if (!(path in files)) await this.policies.deleteFile({ path, baseRevision });
    for (const [path, text] of Object.entries(files))
      await this.policies.saveFile({ path, text, baseRevision: present.get(path) ?? 0n });
  }

  async #files() {
    for await (const { files } of this.policies.watchWorkspace({})) return files;
    return [];
  }

  /** Plans for one host and sends it. Nobody confirms. @throws what the plan or the apply failed with */
  async send(name: string, confirmWithinMs: number, onSending?: () => void): Promise<Sent> {
    const hostId = this.idOf(name);
    const plan = await this.ship.plan({ hostIds: [hostId] });
    const [planned] = plan.hosts;
    if (!planned || planned.error || plan.planId === "") {
      throw new Error(`${name} cannot be planned for: ${inspect(planned?.error ?? plan.diagnostics, { depth: 4 })}`);
    }
    const request = {
      planId: plan.planId,
      mode: EnforcementMode.ENFORCE,
      confirmWithin: durationFromMs(confirmWithinMs),
      reason: "a test",
    };
    let last: ApplyResponse | null = null;
    for await (const message of this.ship.apply(request)) {
      if (message.step === ApplyStep.SENDING) onSending?.();
      last = message;
    }
    if (!last) throw new Error("the apply said nothing");
    return { hostId, generation: last.pending?.generation?.number ?? 0n, last };
  }

  async sendAndConfirm(name: string): Promise<Sent> {
    const sent = await this.send(name, 30_000);
    if (sent.last.error) throw new Error(`${name}: ${sent.last.error.message}`);
    await this.ship.confirm({ hostId: sent.hostId, generation: sent.generation });
    return sent;
  }

  /** Begins with one host, goes on by itself. @returns the id */
  async startRollout(names: readonly string[], confirmWithinMs: number, watchMs: number): Promise<string> {
    const { planId, diagnostics } = await this.ship.plan({ hostIds: names.map((name) => this.idOf(name)) });
    if (planId === "") throw new Error(`no plan: ${inspect(diagnostics, { depth: 3 })}`);
    const { rolloutId } = await this.rollouts.startRollout({
      planId,
      mode: EnforcementMode.ENFORCE,
      confirmWithin: durationFromMs(confirmWithinMs),
      reason: "a test",
      stagePercents: [1, 100],
      automatic: true,
      gates: { watchFor: durationFromMs(watchMs) },
      typed: `apply to ${names.length} hosts`,
    });
    return rolloutId;
  }

  /** Waits until the roll-out is as wanted; the error tells what it was instead. */
  async untilRollout(id: string, isWanted: (rollout: Rollout) => boolean, limitMs = PATIENCE_MS): Promise<Rollout> {
    let last: Rollout | undefined;
    const signal = AbortSignal.timeout(limitMs);
    try {
      for await (const { rollouts } of this.rollouts.watchRollouts({}, { signal })) {
        last = rollouts.find((rollout) => rollout.id === id);
        if (last && isWanted(last)) return last;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    const hosts = last?.hosts.map(({ hostName, state, error }) => [hostName, RolloutHostState[state], error?.message]);
    const seen = { state: RolloutState[last?.state ?? 0], explanation: last?.explanation, hosts };
    throw new Error(`the roll-out did not become what was waited for: ${inspect(seen, { depth: 4 })}`);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.backend.close();
    if (this.#defects.length > 0) throw new Error(`the backend logged defects:\n${this.#defects.join("\n")}`);
  }
}

export const isConnected = (host: Host): boolean => host.reachability === Reachability.CONNECTED;
