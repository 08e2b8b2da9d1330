/** Secrets under AES-256-GCM: 12 bytes nonce, ciphertext, 16 bytes tag. What a secret is for is bound into its tag. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";

export const SEAL_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";

export function newSealKey(): Uint8Array {
  return randomBytes(SEAL_KEY_BYTES);
}

/** @param purpose is bound to the secret: it opens only with the same words */
export function seal(secret: Uint8Array, sealKey: Uint8Array, purpose: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, sealKey, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(purpose));
  return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

/** Throws `Failure` IDENTITY_REFUSED for another key, another purpose, or a changed byte. */
export function open(sealed: Uint8Array, sealKey: Uint8Array, purpose: string): Buffer {
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const tag = sealed.subarray(sealed.length - TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, sealKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(purpose));
    decipher.setAuthTag(tag);
    const secret = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
    return Buffer.concat([secret, decipher.final()]);
  } catch {
    throw new Failure({
      code: ErrorCode.IDENTITY_REFUSED,
      message: "The authority's key in the store does not open with this host's seal key.",
      hint: "The store belongs to another cluster, or was changed by somebody else. Nothing was issued.",
    });
  }
}
