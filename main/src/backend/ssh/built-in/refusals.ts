/**
 * What a machine answers to each proof of who we are. ssh2 hands it to its `authHandler` for every method but for keys of
 * an agent: there a key that was taken as the first of several proofs looks like one that was refused. So its answer is
 * read where ssh2 reads it. The version of ssh2 is fixed; a test with two proofs shows when this no longer holds.
 */
import type { Client } from "ssh2";

export interface Refusal {
  readonly methodsLeft: readonly string[];
  /** The proof was taken, and more are wanted. */
  readonly isPartlyIn: boolean;
}

type Handler = (protocol: unknown, methodsLeft: string[], isPartlyIn: boolean) => void;

/** Call it after `connect`. */
export function onRefusal(client: Client, listener: (refusal: Refusal) => void): void {
  const { _protocol } = client as unknown as { _protocol?: { _handlers?: Record<string, Handler> } };
  const handlers = _protocol?._handlers;
  const original = handlers?.USERAUTH_FAILURE;
  if (!handlers || !original) return;
  handlers.USERAUTH_FAILURE = (protocol, methodsLeft, isPartlyIn) => {
    listener({ methodsLeft: Array.isArray(methodsLeft) ? methodsLeft : [], isPartlyIn });
    original(protocol, methodsLeft, isPartlyIn);
  };
}
