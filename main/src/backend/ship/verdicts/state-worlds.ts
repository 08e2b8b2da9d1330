/** The worlds of states: the draft, what hosts enforce, what is on its way. Each is read once. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type PolicyWorld, readPolicyFiles, withoutExpired } from "@wardline/domain/policy";
import { type HostRegistry, hostNameOf, labelOf, type ManagedHost } from "../../hosts/managed-host.ts";
import { underQuarantines } from "../../hosts/quarantine.ts";
import type { Workspace } from "../../policies/workspace.ts";
import type { Clock } from "../../ports.ts";
import type { VersionsTable } from "../../store/versions-table.ts";

/**
 * `observed`: nothing of it is enforced but quarantines, as in a generation in observe mode. `promoted`: policies in observe
 * mode as if they were enforced.
 */
export type StateVariant = "plain" | "observed" | "promoted";

/** States that are compared at a time, the draft among them: each makes the space of all connections finer. */
const MAX_WORLDS = 10;

export interface StateWorldPorts {
  readonly workspace: Pick<Workspace, "snapshot">;
  readonly versions: VersionsTable;
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

export class StateWorlds {
  readonly #ports: StateWorldPorts;
  readonly #texts = new Map<string, PolicyWorld>();
  readonly #numbers = new Map<string, number>();
  readonly #worlds: PolicyWorld[] = [];
  readonly draftDigest: string;

  /** @throws Failure POLICY_INVALID when the draft has errors */
  constructor(ports: StateWorldPorts) {
    this.#ports = ports;
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
    this.#texts.set(stateDigest, withoutExpired(reading.world, ports.clock.nowMs()));
    this.#numberOf(stateDigest, "plain");
  }

  /** The draft first. */
  get all(): readonly [PolicyWorld, ...PolicyWorld[]] {
    const [draft, ...others] = this.#worlds;
    if (!draft) throw new Error("the draft is always there");
    return [draft, ...others];
  }

  /** @throws Failure NOT_FOUND, POLICY_INVALID, TOO_LARGE, and why the host cannot be asked */
  async number(host: ManagedHost, stateDigest: string, variant: StateVariant): Promise<number> {
    await this.#load(host, stateDigest);
    return this.#numberOf(stateDigest, variant);
  }

  async hasObservedPolicies(host: ManagedHost, stateDigest: string): Promise<boolean> {
    try {
      const world = await this.#load(host, stateDigest);
      return world.policies.some(({ mode }) => mode === "observe");
    } catch (error) {
      if (error instanceof Failure) return false;
      throw error;
    }
  }

  /** As the hosts enforce it, quarantines included. @throws Failure as {@link number} */
  async world(stateDigest: string, variant: StateVariant): Promise<PolicyWorld> {
    const { registry } = this.#ports;
    const host = registry.hosts.find((one) => one.connection.state.status?.enforced?.stateDigest === stateDigest);
    await this.#load(host ?? registry.local, stateDigest);
    const number = this.#numberOf(stateDigest, variant);
    const world = this.#worlds[number];
    if (!world) throw new Error(`there is no world ${number}`);
    return world;
  }

  #numberOf(stateDigest: string, variant: StateVariant): number {
    const key = `${stateDigest} ${variant}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const plain = this.#texts.get(stateDigest);
    if (!plain) throw new Error("a state is loaded before it is numbered");
    if (this.#worlds.length >= MAX_WORLDS) {
      throw new Failure({
        code: ErrorCode.TOO_LARGE,
        message: `More than ${MAX_WORLDS - 1} different states are in force at once; this one is not compared.`,
        hint: "Look at fewer hosts at a time.",
      });
    }
    const mode = variant === "observed" ? "observe" : "enforce";
    const policies =
      variant === "plain" ? plain.policies : plain.policies.map((policy) => ({ ...policy, mode }) as const);
    const number = this.#worlds.push(underQuarantines({ ...plain, policies }, this.#ports.registry)) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  /** From this console where it is kept, else from the host that says it enforces it. */
  async #load(host: ManagedHost, stateDigest: string): Promise<PolicyWorld> {
    const known = this.#texts.get(stateDigest);
    if (known) return known;
    const { versions, clock } = this.#ports;
    const files = versions.find(stateDigest) ? versions.files(stateDigest) : await fromHost(host, stateDigest);
    const reading = readPolicyFiles(files);
    if (!reading.ok) {
      throw new Failure({
        code: ErrorCode.POLICY_INVALID,
        message: `This console cannot read the state ${stateDigest.slice(0, 12)} of ${labelOf(host)}.`,
        hint: "Console and agent may be of different versions.",
      });
    }
    const world = withoutExpired(reading.world, clock.nowMs());
    this.#texts.set(stateDigest, world);
    return world;
  }
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
