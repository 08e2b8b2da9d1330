/** The keys of members, and the two signatures that a request for a certificate carries. */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";

export function newPrivateKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

export function publicKeyBytes(privateKey: KeyObject): Uint8Array {
  return createPublicKey(privateKey).export({ type: "spki", format: "der" });
}

/** For what the key was made goes in front, so that no signature serves in another place. */
const joinBytes = (tokenId: string, name: string) => Buffer.from(`wardline join v1\n${tokenId}\n${name}`);
const renewalBytes = (certificateFingerprint: string) => Buffer.from(`wardline renew v1\n${certificateFingerprint}`);

export function signJoin(privateKey: KeyObject, tokenId: string, name: string): Uint8Array {
  return sign("sha256", joinBytes(tokenId, name), privateKey);
}

export function isJoinSigned(publicKey: KeyObject, tokenId: string, name: string, proof: Uint8Array): boolean {
  return proof.length <= 128 && verify("sha256", joinBytes(tokenId, name), publicKey, proof);
}

/** @param certificateFingerprint of the present certificate; the new key signs */
export function signRenewal(privateKey: KeyObject, certificateFingerprint: string): Uint8Array {
  return sign("sha256", renewalBytes(certificateFingerprint), privateKey);
}

export function isRenewalSigned(publicKey: KeyObject, certificateFingerprint: string, proof: Uint8Array): boolean {
  return proof.length <= 128 && verify("sha256", renewalBytes(certificateFingerprint), publicKey, proof);
}
