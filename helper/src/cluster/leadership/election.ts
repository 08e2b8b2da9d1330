/** What the store says about the lead, and the transactions that take it, end it and complete its timeline. */

import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type Term, TermSchema } from "@wardline/api/wardline/v1/cluster";
import type { Keys } from "../keys.ts";
import type { Compare, KeyValue, Operation, Transaction } from "../store/clusterStore.ts";

/** Terms and the leader key are small; anything longer was not written by us. */
const MAX_VALUE_BYTES = 65_536;

export interface ElectionState {
  /** The key that says who leads, and what it says; `null` = nobody. */
  readonly leader: { readonly item: KeyValue; readonly term: Term } | null;
  /** Modification of the newest-term key; 0 = there is none. */
  readonly newestModRevision: bigint;
  /** Highest number that was ever given; 0 = none. */
  readonly newestNumber: bigint;
  /** Newest first. */
  readonly terms: readonly { readonly item: KeyValue; readonly term: Term }[];
  /** Keys whose values cannot be read. */
  readonly unreadable: readonly string[];
}

export const NO_ELECTION: ElectionState = {
  leader: null,
  newestModRevision: 0n,
  newestNumber: 0n,
  terms: [],
  unreadable: [],
};

/** @param items everything under `keys.election` */
export function readElection(keys: Keys, items: Iterable<KeyValue>): ElectionState {
  let leader: ElectionState["leader"] = null;
  let newestModRevision = 0n;
  let newestNumber = 0n;
  const terms: { item: KeyValue; term: Term }[] = [];
  const unreadable: string[] = [];
  for (const item of items) {
    const term = readTerm(item.value);
    if (term === null) unreadable.push(item.key);
    if (item.key === keys.leader) leader = { item, term: term ?? fallbackTerm() };
    if (item.key === keys.newestTerm) newestModRevision = item.modRevision;
    if (item.key.startsWith(keys.terms) && term) terms.push({ item, term });
    const number = highest(term?.number, item.key.startsWith(keys.terms) ? item.key.slice(keys.terms.length) : "");
    if (number > newestNumber) newestNumber = number;
  }
  terms.sort((a, b) => (a.term.number < b.term.number ? 1 : -1));
  return { leader, newestModRevision, newestNumber, terms, unreadable };
}

/** Of what a value says and what its key says: a number is taken although its value may be spoilt. */
function highest(said: bigint | undefined, digits: string): bigint {
  const named = /^\d{20}$/.test(digits) ? BigInt(digits) : 0n;
  return said !== undefined && said > named ? said : named;
}

/** Somebody holds the lead whose words cannot be read: it is held all the same. */
function fallbackTerm(): Term {
  return fromJsonString(TermSchema, "{}");
}

export function readTerm(value: Uint8Array): Term | null {
  if (value.byteLength > MAX_VALUE_BYTES) return null;
  try {
    return fromJsonString(TermSchema, new TextDecoder("utf-8", { fatal: true }).decode(value), {
      ignoreUnknownFields: true,
    });
  } catch {
    return null;
  }
}

export function writeTerm(term: Term): Uint8Array {
  return new TextEncoder().encode(toJsonString(TermSchema, term));
}

/**
 * Takes the lead if nobody has it and no term was given since `state` was read. The last answer of the branch that succeeds
 * is the leader key itself.
 */
export function takeLead(
  keys: Keys,
  state: ElectionState,
  term: Term,
  closed: Term | null,
  leaseId: bigint,
): Transaction {
  const value = writeTerm(term);
  const compare: Compare[] = [
    { key: keys.leader, target: "create", operator: "=", number: 0n },
    { key: keys.newestTerm, target: "mod", operator: "=", number: state.newestModRevision },
    { key: keys.term(term.number), target: "create", operator: "=", number: 0n },
  ];
  const then: Operation[] = [
    { kind: "put", key: keys.leader, value, leaseId },
    { kind: "put", key: keys.newestTerm, value },
    { kind: "put", key: keys.term(term.number), value },
  ];
  if (closed) then.push({ kind: "put", key: keys.term(closed.number), value: writeTerm(closed) });
  return { compare, then: [...then, { kind: "get", key: keys.leader }] };
}

/** Gives the lead back and completes the term's record. */
export function giveBackLead(keys: Keys, fence: readonly Compare[], ended: Term): Transaction {
  return {
    compare: fence,
    then: [
      { kind: "delete", key: keys.leader },
      { kind: "put", key: keys.term(ended.number), value: writeTerm(ended) },
    ],
  };
}

/** True in the store as long as this very leader key is there: it is never written twice. */
export function fenceOf(keys: Keys, createRevision: bigint): readonly Compare[] {
  return [{ key: keys.leader, target: "create", operator: "=", number: createRevision }];
}
