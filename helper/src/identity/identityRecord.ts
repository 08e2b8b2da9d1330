/** A member's own key and certificate as they lie on its disk: JSON with a checksum, every field checked on the way in. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parseWardlineId } from "@wardline/domain/identity";
import { type CertificateFacts, fingerprintOfKey, readCertificate } from "./certificate.ts";
import { decodePem } from "./pem.ts";
import { type Roots, readRoots } from "./trustBundle.ts";

export interface StoredIdentity {
  readonly name: string;
  readonly trustDomain: string;
  /** PKCS#8, PEM. */
  readonly keyPem: string;
  /** Leaf first, PEM. */
  readonly chainPem: string;
  /** Who is trusted, PEM. */
  readonly bundlePem: string;
  readonly bundleSequence: bigint;
  /** The key of a renewal that was asked for and not answered yet. */
  readonly nextKeyPem: string;
}

/** The same, read and found to fit together. */
export interface LoadedIdentity {
  readonly stored: StoredIdentity;
  readonly privateKey: KeyObject;
  readonly leaf: CertificateFacts;
  readonly roots: Roots;
}

const FORMAT_VERSION = 1;

function damaged(reason: string): Failure {
  return new Failure({
    code: ErrorCode.IDENTITY_REFUSED,
    message: `This host's identity on its disk cannot be used: ${reason}.`,
    hint: "What it enforces stays. Let it join the cluster again: remove the member, make a token, join.",
  });
}

const checksumOf = (payload: unknown) => createHash("sha256").update(JSON.stringify(payload)).digest("hex");

export function encodeIdentity(stored: StoredIdentity): string {
  const payload = { ...stored, bundleSequence: String(stored.bundleSequence) };
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, payload, checksum: checksumOf(payload) })}\n`;
}

/** Throws `Failure` IDENTITY_REFUSED; its message holds nothing of the text. */
export function decodeIdentity(text: string): StoredIdentity {
  const payload = readPayload(text);
  const field = (name: keyof StoredIdentity): string => {
    const value = payload[name];
    if (typeof value !== "string") throw damaged(`${name} is missing`);
    return value;
  };
  if (!/^[0-9]{1,20}$/.test(field("bundleSequence"))) throw damaged("bundleSequence is no number");
  return {
    name: field("name"),
    trustDomain: field("trustDomain"),
    keyPem: field("keyPem"),
    chainPem: field("chainPem"),
    bundlePem: field("bundlePem"),
    bundleSequence: BigInt(field("bundleSequence")),
    nextKeyPem: field("nextKeyPem"),
  };
}

function readPayload(text: string): Record<string, unknown> {
  let parsed: { formatVersion?: unknown; payload?: unknown; checksum?: unknown } | null;
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch {
    throw damaged("it is not JSON (cut short or overwritten)");
  }
  const payload = parsed?.payload;
  if (typeof payload !== "object" || payload === null) throw damaged("it holds no identity");
  if (parsed?.formatVersion !== FORMAT_VERSION) throw damaged("it was written by another version");
  if (parsed.checksum !== checksumOf(payload)) throw damaged("its checksum does not fit its content");
  return payload as Record<string, unknown>;
}

/** Throws `Failure` IDENTITY_REFUSED when key, certificate, names and roots do not belong together. Times are not looked at. */
export function loadIdentity(stored: StoredIdentity): LoadedIdentity {
  try {
    const [leafDer] = decodePem(stored.chainPem);
    const leaf = readCertificate(leafDer as Uint8Array);
    const privateKey = createPrivateKey(stored.keyPem);
    if (fingerprintOfKey(createPublicKey(privateKey)) !== leaf.keyFingerprint) {
      throw damaged("its key is not that of its certificate");
    }
    const id = leaf.uris.length === 1 ? parseWardlineId(leaf.uris[0] as string) : null;
    if (id?.kind !== "host" || id.name !== stored.name || id.trustDomain !== stored.trustDomain) {
      throw damaged("its certificate is not that of this member");
    }
    return { stored, privateKey, leaf, roots: readRoots(stored.trustDomain, stored.bundlePem) };
  } catch (error) {
    throw error instanceof Failure ? error : damaged("its key or certificate cannot be read");
  }
}
