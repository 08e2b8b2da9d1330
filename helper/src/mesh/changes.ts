/** Whether two observations differ by what is told at once, or only by figures. */
import type { MeshObservation, MeshPeer, MeshProviderReport } from "@wardline/api/wardline/v1/mesh";

/** Equal texts: only figures differ. */
export function stateOf({
  providers,
  probes,
  problems,
}: Pick<MeshObservation, "providers" | "probes" | "problems">): string {
  const reached = probes
    .map(({ targetHost, address, reachable, lossProven }) => `${targetHost} ${address} ${reachable} ${lossProven}`)
    .sort();
  return JSON.stringify([providers.map(providerState), reached, problems]);
}

function providerState({
  provider,
  state,
  detail,
  generation,
  self,
  interfaceName,
  peers,
  gateways,
}: MeshProviderReport) {
  const best = gateways.filter((gateway) => gateway.best).map(({ key }) => key);
  return [provider, state, detail, generation, self?.key ?? "", interfaceName, peers.map(peerState).sort(), best];
}

function peerState({ key, uri, up, inbound, configured, interfaceName }: MeshPeer): string {
  // An inbound connection comes from another port each time: that alone is no other peer.
  return [key, inbound ? "" : uri, up, inbound, configured, interfaceName].join(" ");
}
