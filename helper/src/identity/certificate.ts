/** What a certificate says, read from its bytes. Nothing here is a judgement: see verifyPeer. */
import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import {
  contentOf,
  DerError,
  type DerValue,
  readBoolean,
  readObjectIdentifier,
  readValue,
  readValues,
  TAG,
} from "./der.ts";

export const MAX_CERTIFICATE_BYTES = 16 * 1024;

const OID = {
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
} as const;
export const EKU_SERVER = "1.3.6.1.5.5.7.3.1";
export const EKU_CLIENT = "1.3.6.1.5.5.7.3.2";

/** Tags of a GeneralName. */
const NAME_DNS = 0x82;
const NAME_URI = 0x86;
const NAME_IP = 0x87;
/** Context tags within a certificate. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;

export interface KeyUsages {
  readonly isCritical: boolean;
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly crlSign: boolean;
}

export interface CertificateFacts {
  readonly x509: X509Certificate;
  /** As they stand in the certificate, one per name; bytes above 127 as Latin-1. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
  readonly isAuthority: boolean;
  /** How many authorities may follow below; `null` = any number. */
  readonly pathLength: number | null;
  readonly keyUsages: KeyUsages | null;
  readonly extendedKeyUsages: readonly string[] | null;
  /** Critical extensions that nobody here understands, by their object identifiers. */
  readonly unknownCritical: readonly string[];
  readonly startsAtMs: number;
  readonly expiresAtMs: number;
  /** SHA-256 over the certificate, 64 hex digits. */
  readonly fingerprint: string;
  /** SHA-256 over its public key (SPKI), 64 hex digits. */
  readonly keyFingerprint: string;
}

interface Extension {
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function fingerprintOfKey(key: KeyObject): string {
  return sha256Hex(key.export({ type: "spki", format: "der" }));
}

/**
 * The public key of a member or server: ECDSA on P-256, written in the one usual way. `null` for everything else.
 * @param spki DER
 */
export function readPublicKey(spki: Uint8Array): KeyObject | null {
  if (spki.length > 256) return null;
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    const isP256 = key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
    return isP256 && key.export({ type: "spki", format: "der" }).equals(spki) ? key : null;
  } catch {
    return null;
  }
}

/** Throws DerError or an error of OpenSSL when the bytes are no certificate of version 3. */
export function readCertificate(der: Uint8Array): CertificateFacts {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new DerError("the certificate is too large");
  const x509 = new X509Certificate(der);
  const [toBeSigned] = readValues(readValue(der, TAG.sequence));
  const fields = readValues(contentOf(toBeSigned, TAG.sequence));
  const extensions = readExtensions(fields);
  const names = readNames(extensions.get(OID.subjectAltName));
  const understood = new Set<string>(Object.values(OID));
  return {
    x509,
    ...names,
    ...readConstraints(extensions.get(OID.basicConstraints)),
    keyUsages: readKeyUsages(extensions.get(OID.keyUsage)),
    extendedKeyUsages: readExtendedUsages(extensions.get(OID.extendedKeyUsage)),
    unknownCritical: [...extensions]
      .filter(([oid, { isCritical }]) => isCritical && !understood.has(oid))
      .map(([oid]) => oid),
    startsAtMs: x509.validFromDate.getTime(),
    expiresAtMs: x509.validToDate.getTime(),
    fingerprint: sha256Hex(der),
    // As it stands there: asking OpenSSL for it takes longer than checking a signature.
    keyFingerprint: sha256Hex(publicKeyOf(fields)),
  };
}

/** Version, serial number, algorithm, issuer, validity, subject, key: version 3 always says its version. */
function publicKeyOf(fields: readonly DerValue[]): Uint8Array {
  if (fields[0]?.tag !== VERSION || fields[6]?.tag !== TAG.sequence) throw new DerError("it has no version 3");
  return fields[6].encoded;
}

function readExtensions(fields: readonly DerValue[]): Map<string, Extension> {
  const holder = fields.find(({ tag }) => tag === EXTENSIONS);
  const extensions = new Map<string, Extension>();
  if (!holder) return extensions;
  for (const value of readValues(readValue(holder.content, TAG.sequence))) {
    const parts = readValues(contentOf(value, TAG.sequence));
    const oid = readObjectIdentifier(contentOf(parts[0], TAG.objectIdentifier));
    const isCritical = parts.length === 3 && readBoolean(contentOf(parts[1], TAG.boolean));
    if (extensions.has(oid)) throw new DerError("an extension is there twice");
    extensions.set(oid, { isCritical, value: contentOf(parts.at(-1), TAG.octetString) });
  }
  return extensions;
}

function readNames(extension: Extension | undefined) {
  const names = extension ? readValues(readValue(extension.value, TAG.sequence)) : [];
  const texts = (tag: number) =>
    names.filter((name) => name.tag === tag).map(({ content }) => Buffer.from(content).toString("latin1"));
  return {
    uris: texts(NAME_URI),
    dnsNames: texts(NAME_DNS),
    ipAddresses: names.filter(({ tag }) => tag === NAME_IP).map(({ content }) => content),
  };
}

function readConstraints(extension: Extension | undefined) {
  if (!extension) return { isAuthority: false, pathLength: null };
  const parts = readValues(readValue(extension.value, TAG.sequence));
  const isAuthority = parts[0]?.tag === TAG.boolean && readBoolean(parts[0].content);
  const number = parts.find(({ tag }) => tag === 0x02)?.content;
  if (number && number.length !== 1) throw new DerError("the length of the path is out of range");
  return { isAuthority, pathLength: number ? (number[0] as number) : null };
}

function readKeyUsages(extension: Extension | undefined): KeyUsages | null {
  if (!extension) return null;
  // The first byte says how many bits of the last one are unused.
  const bits = readValue(extension.value, TAG.bitString)[1] ?? 0;
  return {
    isCritical: extension.isCritical,
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    crlSign: (bits & 0x02) !== 0,
  };
}

function readExtendedUsages(extension: Extension | undefined): string[] | null {
  if (!extension) return null;
  const values = readValues(readValue(extension.value, TAG.sequence));
  return values.map((value) => readObjectIdentifier(contentOf(value, TAG.objectIdentifier)));
}
