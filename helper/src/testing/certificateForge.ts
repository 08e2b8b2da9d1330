/** Certificates of any kind, right and wrong ones, for tests. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { Extension, GeneralNameType, KeyUsageFlags } from "@peculiar/x509";
import { loadX509 } from "../identity/x509.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;

export interface ForgedCertificate {
  readonly der: Uint8Array;
  readonly privateKey: KeyObject;
}

export interface Forgery {
  readonly commonName?: string;
  readonly names?: readonly { readonly type: GeneralNameType; readonly value: string }[];
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  /** Absent = what fits; `null` = no such extension. */
  readonly usages?: readonly (keyof typeof KeyUsageFlags)[] | null;
  readonly usagesCritical?: boolean;
  readonly extendedUsages?: readonly string[] | null;
  readonly startsAtMs?: number;
  readonly expiresAtMs?: number;
  readonly extensions?: readonly Extension[];
  readonly privateKey?: KeyObject;
  /** Signs with its own key when absent. */
  readonly issuer?: ForgedCertificate;
}

const DAY_MS = 86_400_000;
export const SERVER_AND_CLIENT = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];

export function authorityNames(trustDomain: string): NonNullable<Forgery["names"]> {
  return [{ type: "url", value: `spiffe://${trustDomain}` }];
}

export async function forge(forgery: Forgery, nowMs = Date.now()): Promise<ForgedCertificate> {
  const x509 = await loadX509();
  const privateKey = forgery.privateKey ?? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const { isAuthority = false, issuer } = forgery;
  const usages = forgery.usages === undefined ? [isAuthority ? "keyCertSign" : "digitalSignature"] : forgery.usages;
  const extended = forgery.extendedUsages === undefined && !isAuthority ? SERVER_AND_CLIENT : forgery.extendedUsages;
  const publicKey = createPublicKey(privateKey).toCryptoKey(ALGORITHM, true, ["verify"]);
  const flags = (usages ?? []).reduce((sum, usage) => sum | x509.KeyUsageFlags[usage as "keyCertSign"], 0);
  const extensions: Extension[] = [new x509.BasicConstraintsExtension(isAuthority, forgery.pathLength, true)];
  if (usages) extensions.push(new x509.KeyUsagesExtension(flags, forgery.usagesCritical ?? true));
  if (extended) extensions.push(new x509.ExtendedKeyUsageExtension([...extended]));
  if (forgery.names) extensions.push(new x509.SubjectAlternativeNameExtension([...forgery.names]));
  const name = [{ CN: [forgery.commonName ?? "forged"] }];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: name,
    issuer: issuer ? new x509.X509Certificate(issuer.der).subject : name,
    publicKey,
    signingKey: (issuer?.privateKey ?? privateKey).toCryptoKey(ALGORITHM, false, ["sign"]),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    notBefore: new Date(forgery.startsAtMs ?? nowMs - DAY_MS),
    notAfter: new Date(forgery.expiresAtMs ?? nowMs + DAY_MS),
    extensions: [...extensions, ...(forgery.extensions ?? [])],
  });
  return { der: new Uint8Array(certificate.rawData), privateKey };
}
