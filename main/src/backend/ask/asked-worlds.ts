/** The worlds that questions are about, as they are asked for: the draft, what a host enforces, and versions. */
import type { Generation } from "@wardline/api/wardline/v1/host";
import { type ReadResult, stateDigest } from "@wardline/domain/policy";
import { AskVocabulary } from "@wardline/domain/policy/ask";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import type { VersionsTable } from "../store/versions-table.ts";
import type { PolicyText, WorldKind, WorldRequest } from "./ask-protocol.ts";

/** What a thread is asked about; its text is fetched when the thread does not know it. */
export interface AskedWorld {
  readonly request: WorldRequest;
  readonly files: () => readonly PolicyText[];
}

export interface AskedWorldsPorts {
  readonly workspace: Workspace;
  readonly versions: VersionsTable;
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

export class AskedWorlds {
  readonly #ports: AskedWorldsPorts;
  readonly #vocabularies = new WeakMap<ReadResult, AskVocabulary>();
  readonly #digests = new WeakMap<readonly PolicyText[], string>();

  constructor(ports: AskedWorldsPorts) {
    this.#ports = ports;
  }

  draft(): AskedWorld {
    const { files, stateDigest: digest } = this.#ports.workspace.snapshot();
    return this.#asked("draft", digest, () => files);
  }

  /** Names that a question about the draft can use, also while it has errors. */
  vocabulary(): AskVocabulary {
    const { reading } = this.#ports.workspace.snapshot();
    const vocabulary = this.#vocabularies.get(reading) ?? new AskVocabulary(reading.world.inventory, reading.services);
    this.#vocabularies.set(reading, vocabulary);
    return vocabulary;
  }

  /** @throws Failure with why the host cannot be asked */
  async enforced(host: ManagedHost): Promise<AskedWorld & { readonly generation: Generation | null }> {
    const { files, generation } = await host.enforced.fetch();
    const digest = this.#digests.get(files) ?? stateDigest(files);
    this.#digests.set(files, digest);
    return { ...this.#asked("enforced", digest, () => files), generation };
  }

  version(id: string): AskedWorld {
    return this.#asked("version", id, () => this.#ports.versions.files(id));
  }

  #asked(kind: WorldKind, digest: string, files: () => readonly PolicyText[]): AskedWorld {
    const { clock, registry } = this.#ports;
    const quarantines = kind === "version" ? [] : quarantinesOf(registry);
    return { request: { kind, digest, files: null, nowMs: clock.nowMs(), quarantines }, files };
  }
}

/** The quarantines that the hosts last reported. */
function quarantinesOf(registry: HostRegistry): WorldRequest["quarantines"] {
  return registry.hosts.flatMap((host) => {
    const scopes = (host.connection.state.status?.quarantines ?? []).map(
      ({ subjectKey, managementCidrs, managementPorts }) => ({
        ...{ subjectKey, match: null },
        ...{ managementCidrs: [...managementCidrs], managementPorts: [...managementPorts] },
      }),
    );
    return scopes.length === 0 ? [] : [{ hostName: hostNameOf(host), scopes }];
  });
}
