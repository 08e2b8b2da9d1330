/** A state of all files that a person names: a version, the draft, what a host enforces. */
import type { VersionSide } from "@wardline/api/wardline/console/v1/versions";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { stateDigest } from "@wardline/domain/policy";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Workspace } from "../policies/workspace.ts";
import { safeNumber } from "../rpc/guard.ts";
import type { StoredVersion, VersionsTable } from "../store/versions-table.ts";
import type { VersionIndex } from "./version-index.ts";

const SHORTEST_ID = 6;

export interface SidePorts {
  readonly workspace: Workspace;
  readonly versions: VersionsTable;
  readonly index: VersionIndex;
  readonly registry: HostRegistry;
}

export interface Side {
  /** Digest of the content. */
  readonly id: string;
  /** Sorted by path. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** @throws Failure NOT_FOUND, INVALID_ARGUMENT, AGENT_UNREACHABLE */
export async function readSide(ports: SidePorts, given: VersionSide | undefined): Promise<Side> {
  const side = given?.side;
  if (side?.case === "draft") {
    const { files, stateDigest: id } = ports.workspace.snapshot();
    return { id, files };
  }
  if (side?.case === "enforcedHostId") {
    const { files } = await ports.registry.byId(side.value).enforced.fetch();
    return { id: stateDigest(files), files };
  }
  const { id } = namedVersion(ports.index, given);
  return { id, files: ports.versions.files(id) };
}

/** @throws Failure NOT_FOUND, INVALID_ARGUMENT */
export function namedVersion(index: VersionIndex, given: VersionSide | undefined): StoredVersion {
  const side = given?.side;
  if (side?.case === "number") {
    const number = safeNumber(side.value, "The number of the version");
    return index.byNumber(number) ?? notThere(`version ${number}`);
  }
  if (side?.case === "id") {
    if (!/^[0-9a-f]+$/.test(side.value) || side.value.length < SHORTEST_ID) {
      throw invalid(`A version is named by its number, or by at least ${SHORTEST_ID} digits of its digest.`);
    }
    const version = index.byPrefix(side.value);
    if (version === undefined) throw invalid("Several versions begin with these digits: give more of them.");
    return version ?? notThere(`version ${side.value.slice(0, 12)}`);
  }
  throw invalid("The request does not say which version is meant.");
}

function notThere(what: string): never {
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no ${what} on this console.`,
    hint: "List the versions to see which there are.",
  });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
