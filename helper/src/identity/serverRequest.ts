/** What may be asked for in a server's certificate. */
import type { KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isMemberName, isServerName } from "@wardline/domain/identity";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const MIN_SERVER_LIFE_MS = HOUR_MS;
export const MAX_SERVER_LIFE_MS = 90 * DAY_MS;
export const SERVER_LIFE_MS = 7 * DAY_MS;

const MAX_NAMES = 16;

export interface ServerCertificateRequest {
  readonly name: string;
  /** Checked by `readPublicKey`. */
  readonly publicKey: KeyObject;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly nowMs: number;
  readonly lifeMs: number;
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

const shown = (text: string) => JSON.stringify(text.slice(0, 80));

/** Throws `Failure` INVALID_ARGUMENT. Wildcards are no names of servers here. */
export function checkServerRequest({ name, dnsNames, ipAddresses, lifeMs }: ServerCertificateRequest): void {
  if (!isServerName(name)) throw invalid(`${shown(name)} is no DNS label (a-z, 0-9, -, at most 63).`);
  if (!(lifeMs >= MIN_SERVER_LIFE_MS && lifeMs <= MAX_SERVER_LIFE_MS)) {
    throw invalid("A server's certificate lasts 1 hour to 90 days.");
  }
  if (dnsNames.length + ipAddresses.length > MAX_NAMES) {
    throw invalid(`A certificate has at most ${MAX_NAMES} names and addresses.`);
  }
  const badName = dnsNames.find((text) => !isMemberName(text));
  if (badName !== undefined) throw invalid(`${shown(badName)} is no DNS name in lower case.`);
  const badAddress = ipAddresses.find((text) => isIP(text) === 0);
  if (badAddress !== undefined) throw invalid(`${shown(badAddress)} is no IP address.`);
}
