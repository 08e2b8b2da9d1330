/** Ids and group keys: made of what they name, so that they are the same after a restart. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { AlertRule, Observation } from "./model.ts";

/** 24 hex digits over all of the parts. */
export function idOf(...parts: readonly (string | number)[]): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(parts))).subarray(0, 12));
}

/** The rule always counts: messages of two rules go to different people. */
export function groupKeyOf(
  rule: AlertRule,
  { host, hostId, labels, severity }: Pick<Observation, "host" | "hostId" | "labels" | "severity">,
): string {
  const values = rule.groupBy.map((key) => {
    if (key === "rule") return rule.name;
    if (key === "host") return hostId || host;
    return key === "severity" ? severity : (labels.detector ?? "");
  });
  return JSON.stringify([rule.name, ...values]);
}
