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
  for (const checked of endpoints) {
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

/** An address of its own that another document claims too. */
function checkAddresses(
  { endpoint, addressSources }: CheckedEndpoint,
  index: EndpointIndex,
  sink: DiagnosticSink,
): void {
  for (const [address, source] of addressSources) {
    const others = index.endpointsAt(address).filter((other) => other.key < endpoint.key && other.addresses.length > 0);
    const other = others.find(({ kind }) => kind === endpoint.kind);
    if (!other) continue;
    const message = `${address} is also an address of ${other.key}; connections of the two cannot be told apart.`;
    sink.report("WL313", source, message);
  }
}
