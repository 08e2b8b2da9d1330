/** The worlds that questions are about: the draft, what a host enforces, and versions. Read once, kept while they are asked about. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type PolicyWorld,
  type ReadResult,
  readPolicyFiles,
  stateDigest,
  withoutExpired,
} from "@wardline/domain/policy";
import { AskVocabulary } from "@wardline/domain/policy/ask";
import type { HostRegistry, ManagedHost } from "../hosts/managed-host.ts";
import { underQuarantines } from "../hosts/quarantine.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import type { VersionsTable } from "../store/versions-table.ts";

/** Draft, one host and two versions. */
const KEPT_WORLDS = 4;

export interface AskedWorld {
  readonly world: PolicyWorld;
  readonly vocabulary: AskVocabulary;
  readonly stateDigest: string;
}

export interface AskedWorldsPorts {
  readonly workspace: Workspace;
  readonly versions: VersionsTable;
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

export class AskedWorlds {
  readonly #ports: AskedWorldsPorts;
  /** Least recently asked first. */
  readonly #kept = new Map<string, AskedWorld>();

  constructor(ports: AskedWorldsPorts) {
    this.#ports = ports;
  }

  /** @throws Failure POLICY_INVALID */
  draft(): AskedWorld {
    const { reading, stateDigest: digest } = this.#ports.workspace.snapshot();
    return this.#keep("draft", digest, () => reading);
  }

  /** Names to read a question with, also while the draft has errors. */
  vocabulary(): AskVocabulary {
    const { reading } = this.#ports.workspace.snapshot();
    if (reading.ok) return this.draft().vocabulary;
    return new AskVocabulary(reading.world.inventory, reading.services);
  }

  /** @throws Failure with why the host cannot be asked, POLICY_INVALID */
  async enforced(host: ManagedHost) {
    const { files, generation } = await host.enforced.fetch();
    const asked = this.#keep("enforced", stateDigest(files), () => readPolicyFiles(files));
    return { ...asked, generation };
  }

  /** @throws Failure NOT_FOUND, POLICY_INVALID */
  version(id: string): AskedWorld {
    return this.#keep("version", id, () =>
      readPolicyFiles(this.#ports.versions.files(this.#ports.versions.get(id).id)),
    );
  }

  #keep(kind: string, digest: string, read: () => ReadResult): AskedWorld {
    const nowMs = this.#ports.clock.nowMs();
    const quarantines = this.#ports.registry.hosts.map(({ connection }) => connection.state.status?.quarantines ?? []);
    // Policies end by themselves, and hosts are quarantined without a new text.
    const known = this.#kept.get(`${kind} ${digest}`);
    const reading = known && this.#readings.get(known) ? this.#readings.get(known) : read();
    if (!reading) throw new Error("a reading is kept with its world");
    if (!reading.ok) throw invalid(kind, reading);
    const current = withoutExpired(reading.world, nowMs);
    const state = JSON.stringify([current.policies.length, quarantines], (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    );
    if (known && this.#states.get(known) === state) {
      this.#kept.delete(`${kind} ${digest}`);
      this.#kept.set(`${kind} ${digest}`, known);
      return known;
    }
    const world = kind === "version" ? current : underQuarantines(current, this.#ports.registry);
    const asked = { world, vocabulary: new AskVocabulary(world.inventory, reading.services), stateDigest: digest };
    this.#readings.set(asked, reading);
    this.#states.set(asked, state);
    this.#kept.set(`${kind} ${digest}`, asked);
    for (const key of [...this.#kept.keys()].slice(0, Math.max(0, this.#kept.size - KEPT_WORLDS)))
      this.#kept.delete(key);
    return asked;
  }

  readonly #readings = new WeakMap<AskedWorld, ReadResult>();
  readonly #states = new WeakMap<AskedWorld, string>();
}

function invalid(kind: string, reading: ReadResult): Failure {
  const what =
    kind === "draft"
      ? "The policies of the draft"
      : kind === "version"
        ? "The policies of that version"
        : "The enforced policies";
  return new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: `${what} have errors, so nobody can say what they decide.`,
    hint: kind === "draft" ? "Correct them first, or ask about what is enforced." : "Ask about the draft.",
    diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
  });
}
