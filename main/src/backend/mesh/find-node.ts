/** Which node a person means. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type GraphNode, type MeshGraph, resolveNode } from "@wardline/domain/mesh";

const MAX_LENGTH = 300;
const SHOWN = 5;

/** By id, label, key, address, or the host's id on this console. @throws Failure INVALID_ARGUMENT, NOT_FOUND */
export function findNode(graph: MeshGraph, text: string, what: string): GraphNode {
  if (text === "") throw invalid(`${what} is missing.`, "Name a host, a key or an address.");
  if (text.length > MAX_LENGTH) throw invalid(`${what} is too long to be the name of a node.`);
  const found = graph.nodes.get(resolveNode(graph, text) ?? "") ?? ofHost(graph, text);
  if (found) return found;
  const shown = JSON.stringify(text.slice(0, 100));
  const same = [...graph.nodes.values()].filter(({ label }) => label === text);
  if (same.length > 1) {
    const ids = same.slice(0, SHOWN).map(({ id }) => id);
    throw invalid(`${same.length} nodes are meant by ${shown}.`, `Say which: ${ids.join(", ")}.`);
  }
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no node ${shown} in the mesh, or more than one is meant.`,
    hint: "`wardline mesh status` lists the nodes.",
  });
}

function ofHost(graph: MeshGraph, hostId: string): GraphNode | undefined {
  return [...graph.nodes.values()].find((node) => node.hostId === hostId);
}

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
