/** Public keys as SSH carries them: a blob of length-prefixed fields (RFC 4253, section 6.6). */
import { createHash } from "node:crypto";
import { randomArt } from "./random-art.ts";

const LARGEST_BLOB_BYTES = 16 * 1024;
const LARGEST_FIELD_BYTES = 8 * 1024;

export interface PublicKey {
  /** As in the blob: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, … */
  readonly type: string;
  readonly blob: Buffer;
  /** `SHA256:…` without padding, as ssh-keygen -l prints it. */
  readonly fingerprint: string;
}

/** `null` when it is not a key. */
export function readPublicKey(blob: Buffer): PublicKey | null {
  if (blob.length > LARGEST_BLOB_BYTES) return null;
  const type = readField(blob, 0)?.value.toString("latin1");
  if (type === undefined || !/^[a-z0-9@.-]{3,64}$/.test(type)) return null;
  return { type, blob, fingerprint: fingerprintOf(blob) };
}

/** Base64 as it stands in files; `null` when it is not exactly that, or not a key. */
export function readPublicKeyText(text: string): PublicKey | null {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length > LARGEST_BLOB_BYTES * 2) return null;
  return readPublicKey(Buffer.from(text, "base64"));
}

export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** `ED25519`, `RSA`, …, as ssh-keygen names it. */
export function keyTypeName(type: string): string {
  const base = type.replace(/-cert-v01@openssh\.com$/, "").replace(/@openssh\.com$/, "");
  const suffix = type.includes("-cert-v01@") ? "-CERT" : "";
  if (base === "ssh-rsa") return `RSA${suffix}`;
  if (base === "ssh-dss") return `DSA${suffix}`;
  if (base === "ssh-ed25519") return `ED25519${suffix}`;
  if (base === "sk-ssh-ed25519") return `ED25519-SK${suffix}`;
  if (base.startsWith("ecdsa-sha2-")) return `ECDSA${suffix}`;
  if (base.startsWith("sk-ecdsa-")) return `ECDSA-SK${suffix}`;
  return base;
}

/** Size of the key in bits; 0 when it is not known for this type. */
export function keyBits(key: PublicKey): number {
  const curve = /nistp(\d+)/.exec(key.type)?.[1];
  if (curve) return Number(curve);
  if (key.type.includes("ed25519")) return 256;
  if (key.type !== "ssh-rsa") return 0;
  const exponent = readField(key.blob, readField(key.blob, 0)?.end ?? 0);
  const modulus = exponent && readField(key.blob, exponent.end);
  return modulus ? bitLength(modulus.value) : 0;
}

export function randomArtOf(key: PublicKey): string {
  const digest = createHash("sha256").update(key.blob).digest();
  return randomArt(digest, `${keyTypeName(key.type)} ${keyBits(key)}`);
}

function bitLength(number: Buffer): number {
  let at = 0;
  while (at < number.length && number[at] === 0) at++;
  return at === number.length ? 0 : (number.length - at) * 8 - Math.clz32(number[at]!) + 24;
}

function readField(buffer: Buffer, at: number): { value: Buffer; end: number } | undefined {
  if (at + 4 > buffer.length) return undefined;
  const length = buffer.readUInt32BE(at);
  const end = at + 4 + length;
  return length > LARGEST_FIELD_BYTES || end > buffer.length ? undefined : { value: buffer.subarray(at + 4, end), end };
}
