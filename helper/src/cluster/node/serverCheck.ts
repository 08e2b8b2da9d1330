/** Whether the other end of a connection to the store is a server of this cluster, and the one that was dialled. */
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";
import { Failure } from "@wardline/domain/errors";
import type { Clock } from "../../agent/clock.ts";
import type { Roots } from "../../identity/trustBundle.ts";
import { verifyPeer } from "../../identity/verifyPeer.ts";

const MAX_CERTIFICATES = 4;

/** For servers whose certificate the cluster's authority issued (`IssueCertificate`). */
export function serverCheck(roots: () => Roots, clock: Clock) {
  return (hostName: string, certificate: PeerCertificate): Error | undefined => {
    const wrongName = checkServerIdentity(hostName, certificate);
    if (wrongName !== undefined) return wrongName;
    const server = verifyPeer(chainOf(certificate), roots(), clock.wallMs());
    if (server instanceof Failure) return server;
    if (server.kind === "server") return undefined;
    return new Error(`At ${hostName} answers the member ${server.name}, which is no server of the store.`);
  };
}

/** DER, leaf first. */
function chainOf(certificate: PeerCertificate | DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: PeerCertificate | DetailedPeerCertificate | undefined = certificate;
  while (next !== undefined && chain.length < MAX_CERTIFICATES) {
    chain.push(next.raw);
    const issuer: DetailedPeerCertificate | undefined =
      "issuerCertificate" in next ? next.issuerCertificate : undefined;
    // A root names itself as its issuer.
    next = issuer?.fingerprint256 === next.fingerprint256 ? undefined : issuer;
  }
  return chain;
}
