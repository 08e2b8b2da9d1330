/**
 * Is somebody who they say they are? The whole answer, by the rules for X.509 paths (RFC 5280) and for X.509-SVIDs, on the
 * bytes of the certificates: the TLS library has checked a chain too, but what it tells is not enough, and where a caller may
 * come without a certificate it only reports.
 */

import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parseSpiffeId, type SpiffeId, toWardlineId } from "@wardline/domain/identity";
import { type CertificateFacts, EKU_CLIENT, EKU_SERVER, readCertificate } from "./certificate.ts";
import type { PeerIdentity } from "./ports.ts";
import type { Roots } from "./trustBundle.ts";

/** Leaf, intermediates, root. More is nobody's chain. */
export const MAX_CHAIN = 4;
export const MAX_CHAIN_BYTES = 32 * 1024;

function refused(reason: string, hint = ""): Failure {
  const message = `The certificate was refused: ${reason}.`;
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message, hint });
}

const day = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** Why the certificate does not count at this moment; `null` when it does. */
function timeProblem(facts: CertificateFacts, nowMs: number, what: string): Failure | null {
  if (nowMs >= facts.expiresAtMs) {
    return refused(
      `${what} ended at ${day(facts.expiresAtMs)}`,
      "Compare the clocks of the two hosts. A host renews its certificate by itself while a candidate of the cluster is in reach.",
    );
  }
  if (nowMs < facts.startsAtMs) {
    return refused(`${what} starts only at ${day(facts.startsAtMs)}`, "Compare the clocks of the two hosts.");
  }
  return null;
}

/**
 * @param rawChain DER, leaf first, as the other end sent it; roots in it count for nothing.
 * @param roots who this node trusts
 */
export function verifyPeer(rawChain: readonly Uint8Array[], roots: Roots, nowMs: number): Failure | PeerIdentity {
  try {
    return verify(readChain(rawChain), roots, nowMs);
  } catch (error) {
    return error instanceof Failure ? error : refused("it cannot be read");
  }
}

function readChain(rawChain: readonly Uint8Array[]): CertificateFacts[] {
  if (rawChain.length === 0) throw refused("there is none");
  const sizeBytes = rawChain.reduce((sum, der) => sum + der.length, 0);
  if (rawChain.length > MAX_CHAIN || sizeBytes > MAX_CHAIN_BYTES) throw refused("its chain is too long");
  return rawChain.map(readCertificate);
}

function verify(chain: readonly CertificateFacts[], roots: Roots, nowMs: number): PeerIdentity {
  const leaf = chain[0] as CertificateFacts;
  const spiffeId = readLeaf(leaf);
  // The domain is compared before any signature: there is no bundle for another one.
  if (spiffeId.trustDomain !== roots.trustDomain) {
    throw refused("it is of another trust domain");
  }
  const late = timeProblem(leaf, nowMs, "it");
  if (late) throw late;
  const problem = pathProblem(leaf, chain.slice(1), roots, nowMs, 0);
  if (problem) throw problem;
  const id = toWardlineId(spiffeId);
  if (id === null) throw refused("its identity is neither that of a host nor of a server");
  const { keyFingerprint, fingerprint: certificateFingerprint, startsAtMs, expiresAtMs } = leaf;
  return { spiffeId, kind: id.kind, name: id.name, keyFingerprint, certificateFingerprint, startsAtMs, expiresAtMs };
}

/** What a leaf has to be; gives the identity in it. */
function readLeaf(leaf: CertificateFacts): SpiffeId {
  const { keyUsages, extendedKeyUsages, unknownCritical, uris } = leaf;
  if (leaf.isAuthority) throw refused("it is that of an authority, which never authenticates");
  if (unknownCritical.length > 0) throw refused("it asks for something that is not understood here");
  if (!keyUsages?.isCritical || !keyUsages.digitalSignature || keyUsages.keyCertSign || keyUsages.crlSign) {
    throw refused("its key is not for authentication");
  }
  const isForBoth = [EKU_SERVER, EKU_CLIENT].every((usage) => extendedKeyUsages?.includes(usage));
  if (!isForBoth) throw refused("its key is not for clients and servers");
  if (uris.length !== 1) throw refused(`it has ${uris.length} identities instead of one`);
  const spiffeId = parseSpiffeId(uris[0] as string);
  if (spiffeId === null) throw refused("its identity is no SPIFFE ID of a workload");
  return spiffeId;
}

/** Searches a way from the certificate to a root. Every certificate is used at most once, so it ends. */
function pathProblem(
  below: CertificateFacts,
  others: readonly CertificateFacts[],
  roots: Roots,
  nowMs: number,
  authoritiesBelow: number,
): Failure | null {
  let nearest: Failure | null = null;
  for (const root of roots.certificates) {
    if (!signed(root, below)) continue;
    const problem = authorityProblem(root, roots, nowMs, authoritiesBelow);
    if (problem === null) return null;
    nearest ??= problem;
  }
  for (const [index, issuer] of others.entries()) {
    if (!signed(issuer, below)) continue;
    const rest = others.filter((_, other) => other !== index);
    const problem =
      authorityProblem(issuer, roots, nowMs, authoritiesBelow) ??
      pathProblem(issuer, rest, roots, nowMs, authoritiesBelow + 1);
    if (problem === null) return null;
    nearest ??= problem;
  }
  return nearest ?? refused("its chain does not lead to the authority of this cluster");
}

function signed(issuer: CertificateFacts, below: CertificateFacts): boolean {
  return below.x509.checkIssued(issuer.x509) && below.x509.verify(issuer.x509.publicKey);
}

function authorityProblem(
  issuer: CertificateFacts,
  roots: Roots,
  nowMs: number,
  authoritiesBelow: number,
): Failure | null {
  if (!issuer.isAuthority || !issuer.keyUsages?.keyCertSign) return refused("who signed it is no authority");
  if (issuer.unknownCritical.length > 0) return refused("who signed it asks for something that is not understood here");
  if (issuer.pathLength !== null && authoritiesBelow > issuer.pathLength) return refused("its chain is too deep");
  // The standard lets an authority carry the id of its trust domain, which has no path.
  const domain = `spiffe://${roots.trustDomain}`;
  if (issuer.uris.length > 1 || issuer.uris.some((uri) => uri !== domain)) {
    return refused("who signed it is of another trust domain");
  }
  return timeProblem(issuer, nowMs, "who signed it");
}
