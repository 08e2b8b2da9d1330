/**
 * Rules of the one shape that long lists have: one IPv4 prefix, one protocol, one port or range of ports, each written as
 * in shaped-layouts.ts. They are read by comparing whole pieces of text, and stand in the tree as the values that were
 * found; who asks for their entries gets those of the usual reading. All else, each mistake included, is not taken here.
 */
import type { MapEntry, MapNode } from "../node.ts";
import { CHARACTER, type Cursor } from "./cursor.ts";
import { type Layout, layoutsOf } from "./shaped-layouts.ts";

/** Offsets count from the start of the document, as those of nodes. */
export interface ShapedValues {
  readonly peersKey: "to" | "from";
  /** In network order, without host bits. */
  readonly address: number;
  readonly prefixLength: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  /** From 1 to 65535, the first not above the second. */
  readonly low: number;
  readonly high: number;
  readonly cidrStart: number;
  readonly cidrEnd: number;
  readonly portStart: number;
  readonly portEnd: number;
}

/** Reads the mapping that starts there, at column `indent`, in the usual way. */
export type ReadAgain = (cursor: Cursor, start: number, indent: number) => MapNode;

export class ShapedRule implements MapNode {
  readonly kind = "map";
  readonly start: number;
  readonly end: number;
  readonly values: ShapedValues;
  readonly #indent: number;
  readonly #cursor: Cursor;
  readonly #readAgain: ReadAgain;
  #entries: readonly MapEntry[] | null = null;

  /** `end`: behind the last character. */
  constructor(cursor: Cursor, indent: number, end: number, values: ShapedValues, readAgain: ReadAgain) {
    this.start = cursor.at - cursor.base;
    this.end = end - cursor.base;
    this.values = values;
    this.#indent = indent;
    this.#cursor = cursor;
    this.#readAgain = readAgain;
  }

  get entries(): readonly MapEntry[] {
    this.#entries ??= this.#readAgain(this.#cursor, this.start, this.#indent).entries;
    return this.#entries;
  }
}

/** The rule, the list of peers, the peer, its block and prefix, the list of ports, the port, its protocol and number. */
const NODES = 9;
/** Collections inside one another, the rule included. */
const DEPTH = 4;
const MAX_PORT = 65_535;
const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;
const LOWER_F = 0x66;
const LOWER_T = 0x74;

/**
 * Takes the rule whose first key stands here, at column `indent`, `depth` collections deep with its own; `null`, and the
 * cursor where it was, when the text has another shape.
 */
export function takeShapedRule(cursor: Cursor, indent: number, depth: number, readAgain: ReadAgain): ShapedRule | null {
  const first = cursor.text.charCodeAt(cursor.at);
  if (first !== LOWER_T && first !== LOWER_F) return null;
  if (!cursor.hasRoom(NODES + 1, depth + DEPTH - 1)) return null;
  for (const layout of layoutsOf(first === LOWER_T ? "to" : "from", indent)) {
    if (cursor.text.startsWith(layout.beforeCidr, cursor.at)) return takeWith(layout, cursor, indent, readAgain);
  }
  return null;
}

function takeWith(layout: Layout, cursor: Cursor, indent: number, readAgain: ReadAgain): ShapedRule | null {
  const { text, base, at: start } = cursor;
  const cidrStart = start + layout.beforeCidr.length;
  const address = addressAt(text, cidrStart);
  if (address < 0) return null;
  const slash = cidrStart + addressLength(address);
  const prefixLength = text.charCodeAt(slash) === SLASH ? numberAt(text, slash + 1) : -1;
  if (prefixLength < 0 || prefixLength > 32 || hasHostBits(address, prefixLength)) return null;
  const cidrEnd = slash + 1 + digitsOf(prefixLength);

  if (!text.startsWith(layout.beforeProtocol, cidrEnd)) return null;
  const protocolStart = cidrEnd + layout.beforeProtocol.length;
  const protocol = protocolAt(text, protocolStart);
  if (protocol === null || !text.startsWith(layout.beforePort, protocolStart + protocol.length)) return null;

  const lowStart = protocolStart + protocol.length + layout.beforePort.length;
  const low = numberAt(text, lowStart);
  let end = lowStart + digitsOf(low);
  let high = low;
  const hasEndPort = text.startsWith(layout.beforeEndPort, end);
  if (hasEndPort) {
    high = numberAt(text, end + layout.beforeEndPort.length);
    end += layout.beforeEndPort.length + digitsOf(high);
  }
  if (low < 1 || high < low || high > MAX_PORT || !text.startsWith(layout.end, end)) return null;
  const next = end + layout.end.length;
  if (!endsBefore(cursor, next, indent)) return null;

  const values: ShapedValues = {
    peersKey: layout.peersKey,
    address,
    prefixLength,
    protocol,
    low,
    high,
    cidrStart: cidrStart - base,
    cidrEnd: cidrEnd - base,
    portStart: protocolStart - layout.portLead - base,
    portEnd: end + layout.portTail - base,
  };
  const rule = new ShapedRule(cursor, indent, end + layout.ruleTail, values, readAgain);
  cursor.at = next;
  cursor.lineStart = next;
  cursor.nodeCount += hasEndPort ? NODES + 1 : NODES;
  return rule;
}

/** Whether the line at `next`, or the end of the document, ends a mapping at column `indent` without a second look. */
function endsBefore({ text, end }: Cursor, next: number, indent: number): boolean {
  if (next >= end) return next === end;
  let at = next;
  while (text.charCodeAt(at) === CHARACTER.space) at += 1;
  const code = text.charCodeAt(at);
  // Empty lines, comments and what is wrong.
  return code > CHARACTER.space && code !== CHARACTER.hash && at < end && at - next < indent;
}

function protocolAt(text: string, at: number): ShapedValues["protocol"] | null {
  for (const protocol of PROTOCOLS) if (text.startsWith(protocol, at)) return protocol;
  return null;
}

const ZERO = 0x30;
const DOT = 0x2e;
const SLASH = 0x2f;
const MAX_DIGITS = 5;

/** The number of up to five digits that stands there, without zeros in front, so that it says how long it is; -1 = none. */
function numberAt(text: string, from: number): number {
  let value = 0;
  for (let at = from; at < from + MAX_DIGITS; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return at === from ? -1 : value;
    value = value * 10 + digit;
    if (value === 0) return 0;
  }
  return value;
}

function digitsOf(value: number): number {
  if (value < 100) return value < 10 ? 1 : 2;
  if (value < 1000) return 3;
  return value < 10_000 ? 4 : 5;
}

/** The four bytes of the dotted address as one number from 0 to 2^32-1; -1 = something else. */
function addressAt(text: string, from: number): number {
  let at = from;
  let address = 0;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text.charCodeAt(at++) !== DOT) return -1;
    const byte = numberAt(text, at);
    if (byte < 0 || byte > 255) return -1;
    address = address * 256 + byte;
    at += digitsOf(byte);
  }
  return address;
}

function addressLength(address: number): number {
  const bytes = digitsOf(address >>> 24) + digitsOf((address >>> 16) & 255);
  return bytes + digitsOf((address >>> 8) & 255) + digitsOf(address & 255) + 3;
}

function hasHostBits(address: number, prefixLength: number): boolean {
  return prefixLength < 32 && address % 2 ** (32 - prefixLength) !== 0;
}
