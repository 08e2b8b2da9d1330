/** TLS as agents speak it among themselves: 1.3 only, HTTP/2 only, no resumed sessions. */
import type { X509Certificate } from "node:crypto";
import type { SecureContextOptions, TLSSocket } from "node:tls";

export const HANDSHAKE_TIMEOUT_MS = 10_000;
export const ALPN: readonly string[] = ["h2"];

/**
 * A resumed session would bring back the certificate of an earlier handshake. They are not offered: connections between agents
 * are few and long.
 */
export const TLS_OPTIONS = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
} as const satisfies SecureContextOptions;

const MAX_CERTIFICATES = 8;

/** DER, leaf first, as the other end sent it. Empty = it sent none. */
export function chainOf(socket: Pick<TLSSocket, "getPeerX509Certificate">): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  while (certificate && chain.length < MAX_CERTIFICATES) {
    chain.push(certificate.raw);
    const issuer: X509Certificate | undefined = certificate.issuerCertificate;
    // A root names itself as its issuer.
    certificate = issuer?.fingerprint256 === certificate.fingerprint256 ? undefined : issuer;
  }
  return chain;
}
