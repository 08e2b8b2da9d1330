/** Certificates as this product writes them: roots, and X.509-SVIDs below them. ECDSA on P-256 with SHA-256 throughout. */
import { createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { loadX509 } from "./x509.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface Validity {
  readonly startsAtMs: number;
  readonly expiresAtMs: number;
}

export interface RootRequest extends Validity {
  readonly keys: KeyPair;
  readonly commonName: string;
  readonly trustDomain: string;
}

export interface LeafRequest extends Validity {
  readonly publicKey: KeyObject;
  readonly commonName: string;
  readonly spiffeId: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Who signs: a root's certificate (DER) and its key. */
export interface Signer {
  readonly certificate: Uint8Array;
  readonly privateKey: KeyObject;
}

/** 127 random bits: positive, and never shorter than the standard allows. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

// The global type is the browser's where this is checked together with pages; both know more uses than the other.
const signingKey = (key: KeyObject) => key.toCryptoKey(ALGORITHM, false, ["sign"]) as unknown as CryptoKey;
const verifyingKey = (key: KeyObject) => key.toCryptoKey(ALGORITHM, true, ["verify"]) as unknown as CryptoKey;
const validity = ({ startsAtMs, expiresAtMs }: Validity) => ({
  notBefore: new Date(startsAtMs),
  notAfter: new Date(expiresAtMs),
});
/** Not a text: in a text of several parts a name could bring parts of its own. */
const nameOf = (commonName: string) => [{ CN: [commonName] }];

export async function writeRoot(request: RootRequest): Promise<Uint8Array> {
  const x509 = await loadX509();
  const { keys, commonName, trustDomain } = request;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: nameOf(commonName),
    keys: { privateKey: signingKey(keys.privateKey), publicKey: verifyingKey(keys.publicKey) },
    signingAlgorithm: SIGNATURE,
    ...validity(request),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }]),
      await x509.SubjectKeyIdentifierExtension.create(verifyingKey(keys.publicKey)),
    ],
  });
  return new Uint8Array(certificate.rawData);
}

/** What of a signer is the same for each certificate: most of the work of one. */
async function prepare({ certificate, privateKey }: Signer) {
  const x509 = await loadX509();
  return {
    issuer: new x509.X509Certificate(Uint8Array.from(certificate)).subject,
    signingKey: signingKey(privateKey),
    authorityKey: await x509.AuthorityKeyIdentifierExtension.create(verifyingKey(createPublicKey(privateKey))),
    constraints: new x509.BasicConstraintsExtension(false, undefined, true),
    usages: new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    extendedUsages: new x509.ExtendedKeyUsageExtension([
      x509.ExtendedKeyUsage.serverAuth,
      x509.ExtendedKeyUsage.clientAuth,
    ]),
  };
}

const prepared = new WeakMap<KeyObject, ReturnType<typeof prepare>>();

function preparedSigner(signer: Signer): ReturnType<typeof prepare> {
  const known = prepared.get(signer.privateKey) ?? prepare(signer);
  prepared.set(signer.privateKey, known);
  return known;
}

export async function writeLeaf(request: LeafRequest, signer: Signer): Promise<Uint8Array> {
  const x509 = await loadX509();
  const { publicKey, commonName, spiffeId, dnsNames, ipAddresses } = request;
  const { issuer, authorityKey, constraints, usages, extendedUsages, ...by } = await preparedSigner(signer);
  const subjectKey = verifyingKey(publicKey);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: nameOf(commonName),
    issuer,
    publicKey: subjectKey,
    signingKey: by.signingKey,
    signingAlgorithm: SIGNATURE,
    ...validity(request),
    extensions: [
      constraints,
      usages,
      extendedUsages,
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: spiffeId },
        ...dnsNames.map((value) => ({ type: "dns" as const, value })),
        ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(subjectKey),
      authorityKey,
    ],
  });
  return new Uint8Array(certificate.rawData);
}
