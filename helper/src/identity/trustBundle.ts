/** Who is trusted: the roots of one trust domain, and how a newer list of them is told from a forged one. */
import { verify } from "node:crypto";
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type TrustBundle, TrustBundleSchema } from "@wardline/api/wardline/v1/identity";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type CertificateFacts, readCertificate } from "./certificate.ts";
import { decodePem, encodePem } from "./pem.ts";

export const MAX_ROOTS = 8;
const MAX_BUNDLE_CHARACTERS = 256 * 1024;

export interface Roots {
  readonly trustDomain: string;
  readonly certificates: readonly CertificateFacts[];
}

function refused(message: string): Failure {
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
}

/** Throws `Failure` IDENTITY_REFUSED for text that is not a list of authorities' certificates. */
export function readRoots(trustDomain: string, pem: string): Roots {
  const certificates = decodePem(pem).map((der) => {
    try {
      return readCertificate(der);
    } catch {
      throw refused("A certificate of the authority cannot be read.");
    }
  });
  if (certificates.length > MAX_ROOTS) throw refused(`More than ${MAX_ROOTS} authorities are named.`);
  if (!certificates.every(({ isAuthority }) => isAuthority))
    throw refused("A certificate is named that is no authority's.");
  return { trustDomain, certificates };
}

export function rootsPem({ certificates }: Roots): string {
  return encodePem(certificates.map(({ x509 }) => x509.raw));
}

/** What the roots sign. Lengths are part of it, so that no two bundles have the same bytes. */
export function bundleBytes(trustDomain: string, sequence: bigint, certificates: readonly Uint8Array[]): Uint8Array {
  const head = `wardline trust bundle v1\n${trustDomain}\n${sequence}\n${certificates.length}\n`;
  const parts = certificates.flatMap((der) => [Buffer.from(`${der.length}\n`), der]);
  return Buffer.concat([Buffer.from(head), ...parts]);
}

export function encodeBundle(bundle: TrustBundle): Uint8Array {
  return Buffer.from(toJsonString(TrustBundleSchema, bundle));
}

/** Throws `Failure` IDENTITY_REFUSED. */
export function decodeBundle(value: Uint8Array): TrustBundle {
  try {
    if (value.length > MAX_BUNDLE_CHARACTERS) throw new RangeError("too large");
    return fromJsonString(TrustBundleSchema, Buffer.from(value).toString("utf8"), { ignoreUnknownFields: true });
  } catch {
    throw refused("The list of the cluster's authorities in the store cannot be read.");
  }
}

/**
 * The roots of a newer bundle, or `null` when it is not newer. Throws `Failure` IDENTITY_REFUSED when none of the present
 * roots vouches for it: whoever can write into the store does not become an authority by that.
 */
export function adoptBundle(present: Roots, presentSequence: bigint, bundle: TrustBundle): Roots | null {
  if (bundle.trustDomain !== present.trustDomain) throw refused("The list of authorities is of another trust domain.");
  if (bundle.sequence <= presentSequence) return null;
  const roots = readRoots(bundle.trustDomain, bundle.certificatesPem.slice(0, MAX_ROOTS + 1).join("\n"));
  const signedBytes = bundleBytes(
    bundle.trustDomain,
    bundle.sequence,
    roots.certificates.map(({ x509 }) => x509.raw),
  );
  const isVouchedFor = bundle.signatures.slice(0, MAX_ROOTS).some(({ rootFingerprint, signature }) => {
    const signer = present.certificates.find(({ fingerprint }) => fingerprint === rootFingerprint);
    return signer !== undefined && verify("sha256", signedBytes, signer.x509.publicKey, signature);
  });
  if (!isVouchedFor) throw refused("A new list of authorities is signed by nobody whom this host trusts.");
  return roots;
}
