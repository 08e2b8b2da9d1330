/**
 * Programs that all say the same and number everything differently: SYNs from 10.0.0.0/8 may come in, nothing else may.
 * What one of them calls the allowed atom, class and decision is denied by each of the others, and their sizes move every
 * line of the tables. A packet that was decided by parts of two of them is dropped.
 */
import { createHash } from "node:crypto";
import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type ClassEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PortEntry,
} from "@wardline/domain/policy";

/** Numbers that take turns at being the allowed one. */
const KINDS = 5;
const TCP = 6;
const SERVICE_PORT = 80;

function decisionOf(index: number, allowed: number): Decision {
  const builtin = Object.values(BUILTIN_DECISIONS).find((each) => each.index === index);
  const verdict = builtin?.verdict ?? (index === allowed ? "allow" : "deny");
  const id = index.toString(16).padStart(16, "0");
  return {
    index,
    id,
    verdict,
    observeOnly: false,
    reason: "rule",
    tier: null,
    policyKeys: [],
    rule: null,
    source: null,
  };
}

/** `decoys`: prefixes beside the allowed one, up to 65,536. */
export function renumberedProgram(variant: number, decoys: number): HostProgram {
  const allowed = variant % KINDS;
  const atomOf = (kind: number): number => 1 + ((kind + allowed) % KINDS);
  const classOf = (kind: number): number => 1 + ((kind + 2 * allowed) % (KINDS + 1));
  const allowDecision = FIRST_RULE_DECISION + allowed;
  const denyDecision = FIRST_RULE_DECISION + ((allowed + 1) % KINDS);
  const addresses4: AddressEntry[] = [
    { prefix: Uint8Array.of(10, 0, 0, 0), prefixLength: 8, atom: atomOf(0) },
    ...Array.from({ length: decoys }, (_, place) => ({
      prefix: Uint8Array.of(172, place >> 8, place & 255, 0),
      prefixLength: 24,
      atom: atomOf(1 + (place % (KINDS - 1))),
    })),
  ];
  const kinds = Array.from({ length: KINDS }, (_, kind) => kind);
  const classes: ClassEntry[] = (["ingress", "egress"] as const).flatMap((direction) => [
    { set: 0, direction, atom: 0, classId: classOf(KINDS) },
    ...kinds.map((kind) => ({ set: 0, direction, atom: atomOf(kind), classId: classOf(kind) })),
  ]);
  const ports: PortEntry[] = [...kinds, KINDS].flatMap((kind): PortEntry[] => {
    const classId = classOf(kind);
    const otherwise = { classId, protocol: null, port: 0, portBits: 0, decision: denyDecision };
    if (kind !== 0) return [otherwise];
    return [otherwise, { classId, protocol: TCP, port: SERVICE_PORT, portBits: 16, decision: allowDecision }];
  });
  const decisions = Array.from({ length: FIRST_RULE_DECISION + KINDS }, (_, index) => decisionOf(index, allowDecision));
  const digest = createHash("sha256").update(`${variant} ${decoys}`).digest("hex");
  const sets = [{ id: 0, endpointKey: "Host/lab", match: null }];
  return { formatVersion: 1, hostName: "lab", digest, sets, addresses4, addresses6: [], classes, ports, decisions };
}
