import { yggdrasilAddress } from "../../mesh/yggdrasil-address.ts";
import { nearestWord } from "../formats/suggest.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import { type DiagnosticSink, replaceFix } from "./sink.ts";
import type { CheckedEndpoint } from "./world.ts";

/** Reports what does not fit between hosts and workloads. */
export function checkInventory(
  endpoints: readonly CheckedEndpoint[],
  index: EndpointIndex,
  sink: DiagnosticSink,
): void {
  const hostOfKey = new Map<string, string>();
  for (const { endpoint } of endpoints) {
    const { meshKey, key } = endpoint;
    const known = meshKey === undefined ? undefined : hostOfKey.get(meshKey);
    if (meshKey !== undefined && (known === undefined || key < known)) hostOfKey.set(meshKey, key);
  }
  for (const checked of endpoints) {
    checkMeshKey(checked, hostOfKey, sink);
    checkHostName(checked, index, sink);
    checkAddresses(checked, index, sink);
  }
}

function checkHostName({ endpoint, hostSource }: CheckedEndpoint, index: EndpointIndex, sink: DiagnosticSink): void {
  if (endpoint.kind !== "workload" || endpoint.hostName === null || !hostSource) return;
  if (index.host(endpoint.hostName)) return;
  const nearest = nearestWord(endpoint.hostName, index.hostNames);
  const hint = nearest === null ? "Add a Host document for it." : `Did you mean "${nearest}"?`;
  const message = `No Host document declares "${endpoint.hostName}", so the workload has no address. ${hint}`;
  const fix = nearest === null ? null : replaceFix(`Change to ${nearest}`, hostSource, nearest);
  sink.report("WL309", hostSource, message, fix);
}

/** A key that another host has too; the host that comes first by its identity keeps it. */
function checkMeshKey(
  { endpoint, addressSources }: CheckedEndpoint,
  hostOfKey: ReadonlyMap<string, string>,
  sink: DiagnosticSink,
): void {
  if (endpoint.meshKey === undefined) return;
  const first = hostOfKey.get(endpoint.meshKey);
  const source = addressSources.get(yggdrasilAddress(endpoint.meshKey) ?? "") ?? endpoint.source;
  if (first === undefined || first === endpoint.key || !source) return;
  sink.report("WL235", source, `The key of this host's node is also that of ${first}; a node belongs to one host.`);
}

/** An address of its own that another document claims too. */
function checkAddresses(
  { endpoint, addressSources }: CheckedEndpoint,
  index: EndpointIndex,
  sink: DiagnosticSink,
): void {
  const ofMeshKey = endpoint.meshKey === undefined ? null : yggdrasilAddress(endpoint.meshKey);
  for (const [address, source] of addressSources) {
    // Two hosts with one key are told as that.
    if (
      address === ofMeshKey &&
      index.endpointsAt(address).some(({ key, meshKey }) => key !== endpoint.key && meshKey === endpoint.meshKey)
    )
      continue;
    const others = index.endpointsAt(address).filter((other) => other.key < endpoint.key && other.addresses.length > 0);
    const other = others.find(({ kind }) => kind === endpoint.kind);
    if (!other) continue;
    const message = `${address} is also an address of ${other.key}; connections of the two cannot be told apart.`;
    sink.report("WL313", source, message);
  }
}
