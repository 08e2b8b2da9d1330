/** Words for suggestions, apart from what makes them: the window shows them without loading the engine. */
import type { LeftOutReason } from "../suggest.ts";

/** Why connections are left out of suggestions, to follow "connections that". */
export const LEFT_OUT_WORDS: Readonly<Record<LeftOutReason, string>> = {
  essential: "always pass (loopback, neighbour discovery, path MTU)",
  multicast: "are multicast or broadcast",
  "ends-unknown": "have no end in the inventory",
  "several-endpoints": "go to an address that several endpoints have",
  denied: "were denied",
  scan: "look like a scan",
  "ephemeral-port": "go to a port that programs take as they come",
  rare: "were seen too rarely",
  "not-expressible": "need a protocol that this format cannot name",
  "subject-not-recorded": "are of hosts that recorded nothing themselves",
};
