import { formatCidr } from "../address.ts";
import { formatSelector } from "../labels.ts";
import type { Peer, Policy, PortMatch } from "../model.ts";
import { readPolicyFiles } from "../read.ts";

export function codes(text: string): readonly string[] {
  return readPolicyFiles([{ path: "a.yaml", text }]).diagnostics.map(
    ({ code, source }) => `${code} ${source.line}:${source.column}`,
  );
}

function portText(port: PortMatch): string {
  return port.kind === "named" ? `${port.protocol}/${port.name}` : `${port.protocol}/${port.low}-${port.high}`;
}

function peerText(peer: Peer): string {
  if (peer.kind === "addresses") {
    return [formatCidr(peer.cidr), ...peer.except.map((except) => `!${formatCidr(except)}`)].join(" ");
  }
  if (peer.kind === "entity") return `entity ${peer.entity}`;
  if (peer.kind === "domains") return `domains ${peer.names.join(" ")}`;
  const { namespaces, endpoints, kind } = peer.selector;
  const where =
    namespaces.kind === "selector"
      ? formatSelector(namespaces.selector)
      : namespaces.kind === "name"
        ? namespaces.name
        : "*";
  return `${kind === undefined ? "" : `${kind} `}${where}: ${formatSelector(endpoints)}`;
}

/** The rules of a policy, one line each. */
export function rulesOf(policy: Policy): readonly string[] {
  return policy.rules.map(({ direction, index, peers, ports }) => {
    const who = peers === null ? "any" : `[${peers.map(peerText).join("; ")}]`;
    const what = ports === null ? "any" : `[${ports.map(portText).join(" ")}]`;
    return `${direction}[${index}] ${who} ${what}`;
  });
}

export function kubernetes(spec: string): string {
  return `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: ${spec}}`;
}

export function ztap(spec: string): string {
  return `{apiVersion: ztap/v1, kind: NetworkPolicy, metadata: {name: p}, spec: ${spec}}`;
}
