/** Fields of requests that come from a socket, checked and bounded. Everything here throws `Failure` INVALID_ARGUMENT or TOO_LARGE. */
import { isIP } from "node:net";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { canonicalAddress } from "@wardline/domain/policy";

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_KEY_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
/** As the agent's own option --host-name: names of members are names of hosts. */
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const MAX_NAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;
const MAX_LABELS = 64;
const MAX_REASON_LENGTH = 1_000;
const MAX_SHOWN_LENGTH = 80;

export function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}

export function tooLarge(message: string): Failure {
  return new Failure({ code: ErrorCode.TOO_LARGE, message });
}

/** Text of the caller in a message: short, and nothing in it that a terminal would obey. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, MAX_SHOWN_LENGTH));
}

export function checkReason(reason: string): void {
  if (reason.length > MAX_REASON_LENGTH) throw invalid(`The reason is longer than ${MAX_REASON_LENGTH} characters.`);
}

/** A DNS label. */
export function checkLabelName(value: string, what: string): void {
  if (value.length <= MAX_LABEL_LENGTH && LABEL.test(value)) return;
  throw invalid(
    `${what} must be lower-case letters, digits and hyphens, with a letter or digit at both ends, at most ${MAX_LABEL_LENGTH}: not ${shown(value)}.`,
  );
}

export function checkDnsName(value: string, what: string): void {
  if (value.length <= MAX_NAME_LENGTH && SUBDOMAIN.test(value)) return;
  throw invalid(`${what} is not a DNS name in lower case: ${shown(value)}.`);
}

export function checkMemberName(value: string): void {
  if (value.length <= MAX_NAME_LENGTH && HOST_NAME.test(value)) return;
  throw invalid(value === "" ? "The name of the member is missing." : `${shown(value)} is not the name of a host.`);
}

/** Labels as policies know them. */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw tooLarge(`${entries.length} labels are given; ${MAX_LABELS} are the limit.`);
  for (const [key, value] of entries) {
    if (!isLabelKey(key)) throw invalid(`${shown(key)} is not the key of a label.`);
    if (value.length > MAX_LABEL_LENGTH || !LABEL_VALUE.test(value)) {
      throw invalid(`${shown(value)} is not the value of a label (${key}).`);
    }
  }
}

function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  const name = key.slice(slash + 1);
  const isNamed = name.length <= MAX_LABEL_LENGTH && LABEL_KEY_NAME.test(name);
  if (slash < 0) return isNamed;
  const prefix = key.slice(0, slash);
  return isNamed && prefix.length <= MAX_NAME_LENGTH && SUBDOMAIN.test(prefix);
}

/** `null` = absent. */
export function readDurationMs(
  duration: Duration | undefined,
  what: string,
  minMs: number,
  maxMs: number,
): number | null {
  if (duration === undefined) return null;
  const ms = durationMs(duration);
  if (ms >= minMs && ms <= maxMs) return ms;
  throw invalid(`${what} must be between ${spell(minMs)} and ${spell(maxMs)}, not ${spell(ms)}.`);
}

function spell(ms: number): string {
  const units = [
    [86_400_000, "days"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const [size, unit] = units.find(([each]) => ms >= each && ms % each === 0) ?? [1_000, "s"];
  return `${ms / size} ${unit}`;
}

/** `10.0.0.1:7443`, `[fd00::1]:7443`: an address that others can dial. Returns the canonical form. */
export function readPeerAddress(text: string): string {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):([1-9][0-9]{0,4})$/.exec(text.slice(0, 100));
  const [, six, four, portText] = match ?? [];
  const port = Number(portText);
  const address = canonicalAddress(six ?? four ?? "");
  const isRight = address !== null && isIP(address) === (six === undefined ? 4 : 6) && port <= 65_535;
  if (!isRight) {
    const message = `${text === "" ? "The peer address is missing" : `${shown(text)} is no peer address`}: where the other members reach this host.`;
    throw invalid(message, "Give an address and a port, such as 10.0.0.1:7443 or [fd00::1]:7443.");
  }
  if (address === "0.0.0.0" || address === "::") {
    throw invalid(`${shown(text)} says everywhere; the others need one address of this host.`);
  }
  return six === undefined ? `${address}:${port}` : `[${address}]:${port}`;
}

export function checkLimit(limit: number, maximum: number): void {
  if (limit > maximum) throw invalid(`At most ${maximum} can be asked for at once, not ${limit}.`);
}

const MAX_DOCUMENT_KEY_LENGTH = 600;

/** Of the desired set, or the beginning of one. What it names is looked up, never made from. */
export function checkDocumentKey(key: string, what: string): void {
  if (key.length > MAX_DOCUMENT_KEY_LENGTH || !/^[\x21-\x7e]*$/.test(key)) {
    throw invalid(`${what} ${shown(key)} is none: they look like policy/default/web.`);
  }
}

export function checkPort(port: number): void {
  if (!(port >= 1 && port <= 65_535)) throw invalid(`There is no port ${port}.`);
}

export function readAddress(text: string): string {
  const address = canonicalAddress(text.slice(0, 100));
  if (address === null) throw invalid(`${shown(text)} is not an address.`);
  return address;
}
