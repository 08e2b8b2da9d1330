/** What the commands of the mesh share: hosts are asked first, as they are now. */
import type { MeshTopology } from "@wardline/api/wardline/console/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { labelOf } from "../../backend/hosts/managed-host.ts";
import type { Output } from "../output.ts";
import type { Session } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { MeshOptions } from "./mesh.options.ts";

export interface Asked {
  /** Empty = all. */
  readonly hostIds: readonly string[];
  /** Whether a host could not be asked; agents that are older than meshes do not count. */
  readonly isIncomplete: boolean;
}

/** Asks the named host, or all. @throws Failure of the host that was named */
export async function askHosts(output: Output, session: Session, { host }: MeshOptions): Promise<Asked> {
  const { registry, services } = session.backend;
  const hostIds = host === undefined ? [] : [registry.byIdOrName(host).id];
  const problems = await services.mesh.refresh(hostIds);
  let isIncomplete = false;
  for (const [id, failure] of problems) {
    if (host !== undefined) throw outdated(failure, labelOf(registry.byId(id)));
    const isOlder = failure.code === ErrorCode.VERSION_MISMATCH;
    // A machine that has no agent at all and never had one is nothing that is missing.
    const isNoHost = id === registry.local.id && registry.hosts.length > 1 && isUnheard(session, id);
    if (isNoHost) continue;
    isIncomplete ||= !isOlder;
    const why = isOlder ? "Its agent is older than meshes." : failure.message;
    output.note(`${visible(labelOf(registry.byId(id)))}: ${visible(why)}`);
  }
  return { hostIds, isIncomplete };
}

function isUnheard({ backend }: Session, id: string): boolean {
  return backend.registry.byId(id).connection.state.lastHeardAtMs === 0;
}

function outdated(failure: Failure, host: string): Failure {
  if (failure.code !== ErrorCode.VERSION_MISMATCH) return failure;
  return new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The agent on ${host} is older than meshes.`,
    hint: "Update it: wardline host upgrade",
    host,
  });
}

/** The picture as it is now, whole. */
export async function pictureNow(session: Session): Promise<MeshTopology> {
  const leaving = new AbortController();
  let whole: MeshTopology | null = null;
  try {
    for await (const { topology, nodes, links, summary } of session.mesh.watchMesh({}, { signal: leaving.signal })) {
      if (topology) whole = topology;
      else if (whole) {
        whole.nodes.push(...nodes);
        whole.links.push(...links);
        if (summary) whole.summary = summary;
      }
      // A large picture comes in pieces; its summary says how many nodes and links there are.
      const { nodes: nodeCount = 0, links: linkCount = 0 } = whole?.summary ?? {};
      if (whole && whole.nodes.length >= nodeCount && whole.links.length >= linkCount) return whole;
    }
  } finally {
    leaving.abort();
  }
  throw new Failure({ code: ErrorCode.INTERNAL, message: "The picture of the meshes did not come." });
}
