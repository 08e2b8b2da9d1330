/** The emergency brake over a start: what of the kernel's word and the record counts. */
import type { DatapathState, Emergency, Enforcer } from "../enforce/enforcer.ts";
import type { EmergencyRecord } from "./records.ts";

/** Whose brake it is when nobody pulled it. */
export const AGENT_ACTOR = "agent";

/** Nothing was ever activated in this datapath: it was made just now, after a reboot or an upgrade of its layout. */
export function isFresh(state: DatapathState): boolean {
  return state.generation === 0 && state.previousGeneration === 0 && state.emergency === "none";
}

/**
 * The brake as it stands after a start. A datapath that outlived the agent is right, whatever the disk says: the brake is
 * pulled there first, and a full disk may not know. A fresh one takes what the disk says.
 */
export function recoverEmergency(
  enforcer: Enforcer,
  state: DatapathState,
  recorded: EmergencyRecord | null,
): EmergencyRecord | null {
  if (!isFresh(state)) return recordOf(state.emergency, recorded);
  if (recorded !== null) enforcer.setEmergency(recorded.state);
  return recorded;
}

function recordOf(emergency: Emergency, recorded: EmergencyRecord | null): EmergencyRecord | null {
  if (emergency === "none") return null;
  if (recorded?.state === emergency) return recorded;
  return { state: emergency, sinceMs: 0, actor: "", reason: "" };
}

export function describeEmergency(emergency: Emergency, record: EmergencyRecord | null): string | null {
  if (emergency === "none") return null;
  const known = record?.state === emergency && record.actor !== "" ? record : null;
  const since = known ? ` since ${new Date(known.sinceMs).toISOString()} by ${known.actor}` : "";
  const why = known && known.reason !== "" ? ` (${known.reason})` : "";
  const what =
    emergency === "closed"
      ? "nothing passes but loopback, neighbour discovery and path MTU"
      : "everything passes and no policy is enforced";
  return `Emergency ${emergency}${since}${why}: ${what}. To end it: wardline panic off.`;
}
