/**
 * How webhooks are signed: `Wardline-Signature: t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 with the receiver's secret over
 * `SECONDS.BODY`. The time is part of it, so that an old message cannot be sent again. docs/alerts.md has a verifier.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export const SIGNATURE_HEADER = "Wardline-Signature";
const TOLERANCE_SECONDS = 300;

export function signatureOf(body: string, secret: string, atSeconds: number): string {
  return `t=${atSeconds},v1=${createHmac("sha256", secret).update(`${atSeconds}.${body}`).digest("hex")}`;
}

/** What a receiver has to do. */
export function isSignatureValid(header: string, body: string, secret: string, nowSeconds: number): boolean {
  const match = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header);
  if (!match) return false;
  const atSeconds = Number(match[1]);
  if (Math.abs(nowSeconds - atSeconds) > TOLERANCE_SECONDS) return false;
  const expected = createHmac("sha256", secret).update(`${atSeconds}.${body}`).digest();
  return timingSafeEqual(expected, Buffer.from(match[2] ?? "", "hex"));
}
