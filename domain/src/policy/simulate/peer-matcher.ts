/** Whether a rule matches a packet, asked of an end whose endpoints are known. Same meaning as `matchRule`. */
import { cidrContainsAddress } from "../address.ts";
import type { PlanRule } from "../compile/plan.ts";
import { endpointMatches } from "../labels.ts";
import type { Direction, Endpoint, Inventory, Peer, PortMatch } from "../model.ts";
import { domainNameMatches } from "../named-peers.ts";
import type { RemoteEnd } from "./address-book.ts";

export class PeerMatcher {
  readonly #inventory: Inventory;

  constructor(inventory: Inventory) {
    this.#inventory = inventory;
  }

  /** Whether the other end is among the rule's peers, whatever the port. */
  hasPeer({ rule, owners }: PlanRule, remote: RemoteEnd): boolean {
    return rule.peers === null || rule.peers.some((peer) => this.#contains(peer, remote, owners));
  }

  matches({ rule, owners }: PlanRule, remote: RemoteEnd, protocol: number, port: number): boolean {
    const { peers, ports, direction } = rule;
    if (ports !== null && !ports.some((match) => mayMatch(match, protocol, port))) return false;
    const hasPort = (peer: Peer | null): boolean =>
      ports === null ||
      ports.some((match) => this.#hasPort(match, { peer, owners, direction, remote, protocol, port }));
    if (peers === null) return hasPort(null);
    return peers.some((peer) => this.#contains(peer, remote, owners) && hasPort(peer));
  }

  #contains(peer: Peer, remote: RemoteEnd, owners: readonly Endpoint[]): boolean {
    switch (peer.kind) {
      case "addresses":
        return (
          cidrContainsAddress(peer.cidr, remote.bytes) &&
          !peer.except.some((except) => cidrContainsAddress(except, remote.bytes))
        );
      case "endpoints":
        return remote.behind.some((endpoint) => endpointMatches(peer.selector, endpoint, this.#inventory.namespaces));
      case "domains":
        return remote.domainNames.some((name) => peer.names.some((pattern) => domainNameMatches(pattern, name)));
      case "entity": {
        if (peer.entity === "host") return isOwnHost(remote, owners);
        const isCluster = remote.behind.length > 0;
        return peer.entity === "cluster"
          ? isCluster
          : peer.entity === "mesh"
            ? remote.isMesh
            : !isCluster && !remote.isMesh;
      }
    }
  }

  #hasPort(match: PortMatch, question: PortQuestion): boolean {
    if (!mayMatch(match, question.protocol, question.port)) return false;
    if (match.kind === "range") return true;
    const named = question.direction === "ingress" ? question.owners : this.#namedAt(question);
    return named.some(({ ports }) =>
      ports.some(
        ({ name, protocol, port }) => name === match.name && protocol === match.protocol && port === question.port,
      ),
    );
  }

  /** The endpoints behind the other end whose port names count: those that the peer picks, or all for any peer. */
  #namedAt({ peer, remote }: PortQuestion): readonly Endpoint[] {
    if (peer === null) return remote.behind;
    if (peer.kind !== "endpoints") return [];
    return remote.behind.filter((endpoint) => endpointMatches(peer.selector, endpoint, this.#inventory.namespaces));
  }
}

interface PortQuestion {
  /** `null` = any. */
  readonly peer: Peer | null;
  readonly owners: readonly Endpoint[];
  readonly direction: Direction;
  readonly remote: RemoteEnd;
  readonly protocol: number;
  readonly port: number;
}

function mayMatch(match: PortMatch, protocol: number, port: number): boolean {
  return match.protocol === protocol && (match.kind === "named" || (port >= match.low && port <= match.high));
}

function isOwnHost(remote: RemoteEnd, [owner]: readonly Endpoint[]): boolean {
  const hostName = owner?.hostName ?? null;
  return hostName !== null && remote.behind.some(({ key }) => key === `Host/${hostName}`);
}
