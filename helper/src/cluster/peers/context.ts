/** What is known of a call before its handler runs. */
import { type ContextKey, createContextKey } from "@connectrpc/connect";
import type { Admitted } from "./peerGate.ts";
import type { PeerSession } from "./sessions.ts";

export const SESSION: ContextKey<PeerSession | null> = createContextKey<PeerSession | null>(null, {
  description: "the connection of a call",
});
export const ADMITTED: ContextKey<Admitted | null> = createContextKey<Admitted | null>(null, {
  description: "the member that calls",
});
