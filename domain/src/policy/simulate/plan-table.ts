/**
 * The rules of a plan as numbers in one piece of memory: rules as objects are spread over the heap, and waiting for them
 * takes most of the time of a question. Rules that need more than addresses, selectors and port ranges are asked as
 * objects. Same meaning as {@link PeerMatcher}.
 */
import type { Plan, PlanRule } from "../compile/plan.ts";
import { selectorMeaning } from "../decision.ts";
import { endpointMatches } from "../labels.ts";
import type { Cidr, EndpointSelector, Inventory, Peer } from "../model.ts";
import type { RemoteEnd } from "./address-book.ts";
import type { PeerMatcher } from "./peer-matcher.ts";

/** In place of a number of ports or peers: every one. */
const ANY = -1;
/** In place of a number of peers: ask the matcher. */
const AS_OBJECT = -2;
const PEER_SELECTOR = -1;
const MAX_REMEMBERED_SELECTORS = 4096;
const YES = 1;
const NO = 2;

/** Selectors by meaning, and which of them pick an endpoint behind an address. */
export class SelectorTable {
  readonly #inventory: Inventory;
  readonly #numbers = new Map<string, number>();
  readonly #selectors: EndpointSelector[] = [];

  constructor(inventory: Inventory) {
    this.#inventory = inventory;
  }

  numberOf(selector: EndpointSelector): number {
    const meaning = selectorMeaning(selector);
    const known = this.#numbers.get(meaning);
    if (known !== undefined) return known;
    const number = this.#selectors.push(selector) - 1;
    this.#numbers.set(meaning, number);
    return number;
  }

  picks(number: number, remote: RemoteEnd): boolean {
    if (remote.behind.length === 0) return false;
    if (number >= MAX_REMEMBERED_SELECTORS) return this.#isPicked(number, remote);
    if (number >= remote.picked.length) {
      const longer = new Uint8Array(Math.min(MAX_REMEMBERED_SELECTORS, (number + 1) * 2));
      longer.set(remote.picked);
      remote.picked = longer;
    }
    if (remote.picked[number] === 0) remote.picked[number] = this.#isPicked(number, remote) ? YES : NO;
    return remote.picked[number] === YES;
  }

  #isPicked(number: number, remote: RemoteEnd): boolean {
    const selector = this.#selectors[number]!;
    return remote.behind.some((endpoint) => endpointMatches(selector, endpoint, this.#inventory.namespaces));
  }
}

export class PlanTable {
  readonly #plan: Plan;
  readonly #matcher: PeerMatcher;
  readonly #selectors: SelectorTable;
  /** Where each rule begins in {@link #numbers}. */
  readonly #starts: Int32Array;
  /**
   * Of each rule: how many ports, and protocol, lowest and highest of each; how many peers, and of each the number of
   * exceptions, network and mask, and those of the exceptions; or {@link PEER_SELECTOR} and the selector's number.
   */
  readonly #numbers: Int32Array;

  constructor(plan: Plan, matcher: PeerMatcher, selectors: SelectorTable) {
    this.#plan = plan;
    this.#matcher = matcher;
    this.#selectors = selectors;
    const numbers: number[] = [];
    const starts = plan.rules.map((planned) => {
      const start = numbers.length;
      addRule(numbers, planned, selectors);
      return start;
    });
    this.#starts = Int32Array.from(starts);
    this.#numbers = Int32Array.from(numbers);
  }

  get size(): number {
    return this.#starts.length;
  }

  matches(rule: number, remote: RemoteEnd, protocol: number, port: number): boolean {
    const numbers = this.#numbers;
    let at = this.#starts[rule]!;
    const portCount = numbers[at++]!;
    if (portCount === AS_OBJECT) return this.#matcher.matches(this.#plan.rules[rule]!, remote, protocol, port);
    let hasPort = portCount === ANY;
    for (let index = 0; index < portCount; index++, at += 3) {
      if (numbers[at] === protocol && port >= numbers[at + 1]! && port <= numbers[at + 2]!) hasPort = true;
    }
    return hasPort && this.#hasPeerAt(at, remote);
  }

  /** Whether the other end is among the rule's peers, whatever the port. */
  hasPeer(rule: number, remote: RemoteEnd): boolean {
    const start = this.#starts[rule]!;
    const portCount = this.#numbers[start]!;
    if (portCount === AS_OBJECT) return this.#matcher.hasPeer(this.#plan.rules[rule]!, remote);
    return this.#hasPeerAt(start + 1 + Math.max(0, portCount) * 3, remote);
  }

  #hasPeerAt(start: number, remote: RemoteEnd): boolean {
    const numbers = this.#numbers;
    let at = start;
    const peerCount = numbers[at++]!;
    if (peerCount === ANY) return true;
    for (let peer = 0; peer < peerCount; peer++) {
      const exceptCount = numbers[at++]!;
      if (exceptCount === PEER_SELECTOR) {
        if (this.#selectors.picks(numbers[at++]!, remote)) return true;
        continue;
      }
      let isIn = remote.family === 4 && (remote.word & numbers[at + 1]!) === numbers[at];
      const end = at + 2 + exceptCount * 2;
      for (at += 2; isIn && at < end; at += 2) isIn = (remote.word & numbers[at + 1]!) !== numbers[at];
      if (isIn) return true;
      at = end;
    }
    return false;
  }
}

function addRule(numbers: number[], { rule: { peers, ports } }: PlanRule, selectors: SelectorTable): void {
  const isPlain = (peers ?? []).every(isPlainPeer) && (ports ?? []).every(({ kind }) => kind === "range");
  if (!isPlain) {
    numbers.push(AS_OBJECT);
    return;
  }
  numbers.push(ports?.length ?? ANY);
  for (const port of ports ?? []) if (port.kind === "range") numbers.push(port.protocol, port.low, port.high);
  numbers.push(peers?.length ?? ANY);
  for (const peer of peers ?? []) {
    if (peer.kind === "endpoints") numbers.push(PEER_SELECTOR, selectors.numberOf(peer.selector));
    if (peer.kind !== "addresses") continue;
    numbers.push(peer.except.length, ...networkAndMask(peer.cidr));
    for (const except of peer.except) numbers.push(...networkAndMask(except));
  }
}

function isPlainPeer(peer: Peer): boolean {
  if (peer.kind === "addresses") return [peer.cidr, ...peer.except].every(({ family }) => family === 4);
  return peer.kind === "endpoints";
}

function networkAndMask({ bytes, prefixLength }: Cidr): [network: number, mask: number] {
  // A shift by 32 would be one by 0.
  const mask = prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
  return [wordOf(bytes) & mask, mask];
}

/** Four bytes as a number; 0 for other addresses. */
export function wordOf(bytes: Uint8Array): number {
  if (bytes.length !== 4) return 0;
  return (bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
}
