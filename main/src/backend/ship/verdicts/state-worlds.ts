/** The states that are compared: the draft, what hosts enforce, what is on its way. A thread reads each once. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HeldThread } from "../../async/thread-pool.ts";
import { type HostRegistry, hostNameOf, labelOf, type ManagedHost } from "../../hosts/managed-host.ts";
import type { Workspace } from "../../policies/workspace.ts";
import type { Clock } from "../../ports.ts";
import type { VersionsTable } from "../../store/versions-table.ts";
import type { LoadAnswer, LoadRequest, StateVariant, WorldFrame, WorldReference } from "./verdict-protocol.ts";

/** States that are compared at a time, the draft among them: each makes the space of all connections finer. */
const MAX_WORLDS = 10;

export interface StateWorldPorts {
  readonly workspace: Pick<Workspace, "snapshot">;
  readonly versions: VersionsTable;
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

type Loaded = Extract<LoadAnswer, { kind: "loaded" }>;

export class StateWorlds {
  readonly #ports: StateWorldPorts;
  readonly #thread: HeldThread;
  /** Also those that are on their way: many hosts follow one state. */
  readonly #loaded = new Map<string, Promise<Loaded>>();
  readonly #numbers = new Map<string, number>();
  readonly #worlds: WorldReference[] = [];
  /** States that the thread has read for this comparison; it keeps that many, see `ThreadStates`. */
  readonly #read = new Set<string>();
  readonly draftDigest: string;

  /** @throws Failure POLICY_INVALID when the draft has errors */
  constructor(ports: StateWorldPorts, thread: HeldThread) {
    this.#ports = ports;
    this.#thread = thread;
    const { reading, stateDigest } = ports.workspace.snapshot();
    if (!reading.ok) {
      throw new Failure({
        code: ErrorCode.POLICY_INVALID,
        message: "The draft has errors, so nobody can say what it decides.",
        hint: "Correct them first; each error says where it is.",
        diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
      });
    }
    this.draftDigest = stateDigest;
    this.#numberOf(stateDigest, "plain");
  }

  /** The draft first. */
  get all(): readonly WorldReference[] {
    return this.#worlds;
  }

  /** What counts now besides the texts: the time, and the quarantines that the hosts last reported. */
  frame(): WorldFrame {
    const { registry, clock } = this.#ports;
    const quarantines = registry.hosts.flatMap((host) => {
      const scopes = (host.connection.state.status?.quarantines ?? []).map(
        ({ subjectKey, managementCidrs, managementPorts }) => ({
          ...{ subjectKey, match: null },
          ...{ managementCidrs: [...managementCidrs], managementPorts: [...managementPorts] },
        }),
      );
      return scopes.length === 0 ? [] : [{ hostName: hostNameOf(host), scopes }];
    });
    return { nowMs: clock.nowMs(), quarantines };
  }

  async loadDraft(): Promise<void> {
    await this.#load(this.#ports.registry.local, this.draftDigest);
  }

  /** @throws Failure NOT_FOUND, POLICY_INVALID, TOO_LARGE, and why the host cannot be asked */
  async number(host: ManagedHost, stateDigest: string, variant: StateVariant): Promise<number> {
    await this.#load(host, stateDigest);
    return this.#numberOf(stateDigest, variant);
  }

  async hasObservedPolicies(host: ManagedHost, stateDigest: string): Promise<boolean> {
    try {
      return (await this.#load(host, stateDigest)).hasObservedPolicies;
    } catch (error) {
      if (error instanceof Failure) return false;
      throw error;
    }
  }

  /** Loaded, so that it can be explained. @throws Failure as {@link number} */
  async reference(stateDigest: string, variant: StateVariant): Promise<WorldReference> {
    const { registry } = this.#ports;
    const host = registry.hosts.find((one) => one.connection.state.status?.enforced?.stateDigest === stateDigest);
    await this.#load(host ?? registry.local, stateDigest);
    return { stateDigest, variant };
  }

  #numberOf(stateDigest: string, variant: StateVariant): number {
    const key = `${stateDigest} ${variant}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#worlds.length >= MAX_WORLDS) throw tooManyStates();
    const number = this.#worlds.push({ stateDigest, variant }) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  #load(host: ManagedHost, stateDigest: string): Promise<Loaded> {
    const known = this.#loaded.get(stateDigest);
    if (known) return known;
    const loading = this.#readState(host, stateDigest);
    this.#loaded.set(stateDigest, loading);
    // Another host may have what this one does not.
    loading.catch(() => this.#loaded.delete(stateDigest));
    return loading;
  }

  async #readState(host: ManagedHost, stateDigest: string): Promise<Loaded> {
    const load = (files: LoadRequest["files"]) =>
      this.#thread.call("load", { stateDigest, files } satisfies LoadRequest) as Promise<LoadAnswer>;
    // One more would push out the first, which is the draft.
    if (this.#read.size >= MAX_WORLDS && !this.#read.has(stateDigest)) throw tooManyStates();
    let answer = await load(null);
    if (answer.kind === "missing") answer = await load(await this.#filesOf(host, stateDigest));
    this.#read.add(stateDigest);
    if (answer.kind === "loaded") return answer;
    throw new Failure({
      code: ErrorCode.POLICY_INVALID,
      message: `This console cannot read the state ${stateDigest.slice(0, 12)} of ${labelOf(host)}.`,
      hint: "Console and agent may be of different versions.",
    });
  }

  /** From this console where it is kept, else from the host that says it enforces it. */
  async #filesOf(host: ManagedHost, stateDigest: string) {
    const { workspace, versions } = this.#ports;
    const files =
      stateDigest === this.draftDigest && workspace.snapshot().stateDigest === stateDigest
        ? workspace.snapshot().files
        : versions.find(stateDigest)
          ? versions.files(stateDigest)
          : await fromHost(host, stateDigest);
    return files.map(({ path, text }) => ({ path, text }));
  }
}

function tooManyStates(): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `More than ${MAX_WORLDS - 1} different states are in force at once; this one is not compared.`,
    hint: "Look at fewer hosts at a time.",
  });
}

async function fromHost(host: ManagedHost, stateDigest: string) {
  const { generation, files } = await host.enforced.fetch();
  if (generation?.stateDigest === stateDigest) return files;
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `The state ${stateDigest.slice(0, 12)} is not kept here, and ${hostNameOf(host)} does not have it (any more).`,
    hint: "",
  });
}
