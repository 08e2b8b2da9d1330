/** Certificates as text: PEM in, DER out, and the other way. Bounded; comments and other blocks are refused. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

const MAX_PEM_CHARACTERS = 256 * 1024;
const MAX_CERTIFICATES = 16;
const BLOCK = /-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END CERTIFICATE-----/y;

export function encodePem(certificates: readonly Uint8Array[]): string {
  return certificates
    .map((der) => {
      const lines =
        Buffer.from(der)
          .toString("base64")
          .match(/.{1,64}/g) ?? [];
      return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
    })
    .join("");
}

/** Throws `Failure` IDENTITY_REFUSED when the text is anything but certificates one after the other. */
export function decodePem(text: string): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  const trimmed = text.length <= MAX_PEM_CHARACTERS ? text.trim() : "";
  let at = 0;
  while (at < trimmed.length && certificates.length < MAX_CERTIFICATES) {
    BLOCK.lastIndex = at;
    const match = BLOCK.exec(trimmed);
    if (!match) break;
    certificates.push(Buffer.from(match[1] as string, "base64"));
    at = BLOCK.lastIndex;
    while (/\s/.test(trimmed.charAt(at))) at += 1;
  }
  if (certificates.length === 0 || at < trimmed.length) {
    const message = "What was given as certificates is not a list of at most 16 PEM certificates.";
    throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
  }
  return certificates;
}
