/** What people ask for, checked before any host is asked. */
import { isIPv4, isIPv6 } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";

/** RFC 1123 label. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;
const MAX_LABELS = 64;

/** @throws Failure INVALID_ARGUMENT */
export function requireClusterName(name: string): void {
  if (LABEL.test(name)) return;
  throw invalid(
    `${shown(name)} cannot be the name of a cluster.`,
    "Use a-z, 0-9 and -, at most 63 characters, beginning and ending with a letter or digit.",
  );
}

/** `10.0.0.1:7443` or `[fd00::1]:7443`. @throws Failure INVALID_ARGUMENT */
export function requirePeerAddress(address: string): void {
  const [, v6, v4, port] = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(address) ?? [];
  const isAddress = v6 === undefined ? isIPv4(v4 ?? "") : isIPv6(v6);
  const number = Number(port);
  if (isAddress && number >= 1 && number <= 65_535) return;
  throw invalid(
    `${shown(address)} is not where a host's peers reach it.`,
    "Give an address and a port: 10.0.0.1:7443 or [fd00::1]:7443.",
  );
}

/** @throws Failure INVALID_ARGUMENT */
export function requireMemberLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS)
    throw invalid(`${entries.length} labels are too many; up to ${MAX_LABELS} are kept.`);
  for (const [key, value] of entries) {
    if (LABEL_KEY.test(key) && LABEL_VALUE.test(value)) continue;
    throw invalid(
      `${shown(`${key}=${value}`)} is not a label.`,
      "Labels are as in Kubernetes: app=web, example.org/tier=db.",
    );
  }
}

/** Something that is only passed on: a key, a name. @throws Failure INVALID_ARGUMENT */
export function requirePlainText(text: string, what: string, mostCharacters: number): void {
  if (text !== "" && text.length <= mostCharacters && !hasInvisible(text)) return;
  throw invalid(`${shown(text)} is not ${what}.`);
}

export function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}

function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
