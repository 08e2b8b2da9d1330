/**
 * One host's program as chains that stand in a table beside those of another one. The agent loads them without a packet
 * reaching them, looks at what the kernel has, and then leads packets there by changing one rule for each hook.
 */
import { PROTOCOL } from "../model.ts";
import { type AddressEntry, BUILTIN_DECISIONS, type Decision, type HostProgram, type PortEntry } from "../program.ts";
import type { Refusal } from "./emission.ts";
import { BUILTINS_IN_SCRIPT } from "./nftables.ts";
import { FORWARD_IN, FORWARD_OUT, INPUT, Judging, OUTPUT } from "./nftables-judging.ts";
import type { NftablesPiece } from "./nftables-pieces.ts";
import { classRules } from "./port-rules.ts";
import { refuseWorkloads } from "./refusals.ts";

/**
 * Hooks of a table with slots; in each slot a chain of the same name judges what the hook sees. Forwarded packets are
 * judged twice, by hooks one after the other: as coming in from their source, and as going out to their destination.
 */
export const NFTABLES_SLOT_HOOKS = ["input", "output", "forward_in", "forward_out"] as const;

export type NftablesSlotHook = (typeof NFTABLES_SLOT_HOOKS)[number];

/** Set of the table with the names of interfaces that lead into containers of the host. */
export const NFTABLES_INNER_SET = "inner";

/** Set of the table with the name of the overlay's interface; empty = there is none. */
export const NFTABLES_OVERLAY_SET = "overlay";

/** Beside those of a script, which knows no interfaces. */
const BUILTINS_IN_SLOT = [...BUILTINS_IN_SCRIPT, "emergencyClosed", "spoofedOverlay"] as const;

export interface NftablesSlot {
  /** Empty when anything was refused. */
  readonly pieces: readonly NftablesPiece[];
  readonly refused: readonly Refusal[];
}

/**
 * Names start with `prefix`. Besides the chains of {@link NFTABLES_SLOT_HOOKS} there is `closed_HOOK` for each, which lets
 * only builtin decisions pass, whatever the mode. Denied packets go to the chain `deny`, which is the caller's to make: it
 * drops or accepts. Refuses what `emitNftables` refuses.
 */
export function emitNftablesSlot(program: HostProgram, prefix: string): NftablesSlot {
  const rules = classRules(program);
  const refused = refuseWorkloads(program, rules);
  if (refused.length > 0) return { pieces: [], refused };
  const judging = new Judging(program, rules, { prefix, denial: `goto ${prefix}deny` });
  const jump = `jump ${prefix}builtin`;
  const incoming = judging.holdToOverlay("in", NFTABLES_OVERLAY_SET);
  const ways: Record<NftablesSlotHook, readonly string[]> = {
    input: [...judging.loopback("input"), ...incoming, jump, ...judging.judge(INPUT)],
    output: [
      ...judging.loopback("output"),
      ...judging.holdToOverlay("out", NFTABLES_OVERLAY_SET),
      jump,
      ...judging.judge(OUTPUT),
    ],
    forward_in: [...incoming, jump, ...judging.judgeForwarded(FORWARD_IN, NFTABLES_INNER_SET)],
    forward_out: [jump, ...judging.judgeForwarded(FORWARD_OUT, NFTABLES_INNER_SET)],
  };
  const pieces = judging.pieces(BUILTINS_IN_SLOT, [
    judging.chain(judging.name("builtin"), judging.builtinRules()),
    ...NFTABLES_SLOT_HOOKS.map((hook) => judging.chain(judging.name(hook), ways[hook])),
    ...closedPieces(judging, true),
  ]);
  return { pieces, refused: [] };
}

/** The slot of a host that never had a program: everything passes and counts for `none`. Connections are not tracked. */
export function emitEmptyNftablesSlot(prefix: string): NftablesSlot {
  const program = builtinProgram({ addresses: [], ports: [] });
  const judging = new Judging(program, classRules(program), { prefix, denial: `goto ${prefix}deny` });
  const pass = judging.settleBuiltin("none");
  const pieces = judging.pieces(BUILTINS_IN_SLOT, [
    ...NFTABLES_SLOT_HOOKS.map((hook) => judging.chain(judging.name(hook), [pass])),
    ...closedPieces(judging, false),
  ]);
  return { pieces, refused: [] };
}

/** A slot with every kind of map, rule and condition that a program can have, to ask a kernel whether it knows them. */
export function emitNftablesSample(prefix: string): NftablesSlot {
  const denied = BUILTIN_DECISIONS.malformed.index;
  const port = (protocol: number, number: number): PortEntry => {
    return { classId: 2, protocol, port: number, portBits: 16, decision: denied };
  };
  const whole = [2, 47, 50, 51].map((protocol): PortEntry => ({ ...port(protocol, 0), portBits: 0 }));
  const single = [PROTOCOL.udp, PROTOCOL.sctp, PROTOCOL.icmp, PROTOCOL.icmpv6].map((protocol) => port(protocol, 9));
  const several = [1, 3, 5, 7].map((number) => port(PROTOCOL.tcp, number));
  const addresses = [4, 16].map((length): AddressEntry => {
    return { prefix: new Uint8Array(length).fill(0x20, 0, 1), prefixLength: 16, atom: 1 };
  });
  return emitNftablesSlot(builtinProgram({ addresses, ports: [...whole, ...single, ...several] }), prefix);
}

/** `ports` are those of the addresses; every other packet counts for `none`. */
function builtinProgram({
  addresses,
  ports,
}: {
  readonly addresses: readonly AddressEntry[];
  readonly ports: readonly PortEntry[];
}): HostProgram {
  const otherwise = (classId: number): PortEntry => {
    return { classId, protocol: null, port: 0, portBits: 0, decision: BUILTIN_DECISIONS.none.index };
  };
  const atoms = addresses.length > 0 ? [0, 1] : [0];
  return {
    formatVersion: 1,
    hostName: "",
    digest: "",
    sets: [{ id: 0, endpointKey: "", match: null }],
    addresses4: addresses.filter(({ prefix }) => prefix.length === 4),
    addresses6: addresses.filter(({ prefix }) => prefix.length === 16),
    classes: (["ingress", "egress"] as const).flatMap((direction) =>
      atoms.map((atom) => ({ set: 0, direction, atom, classId: atom + 1 })),
    ),
    ports: [...atoms.map((atom) => otherwise(atom + 1)), ...ports],
    decisions: Object.values(BUILTIN_DECISIONS).map(builtinDecision),
  };
}

function closedPieces(judging: Judging, asksConnections: boolean): readonly NftablesPiece[] {
  const jump = `jump ${judging.name("closed_builtin")}`;
  const closed = judging.settleBuiltin("emergencyClosed", "drop");
  return [
    judging.chain(judging.name("closed_builtin"), judging.builtinRules({ denial: "drop", asksConnections })),
    ...NFTABLES_SLOT_HOOKS.map((hook) => {
      const loopback = hook === "input" || hook === "output" ? judging.loopback(hook) : [];
      return judging.chain(judging.name(`closed_${hook}`), [...loopback, jump, closed]);
    }),
  ];
}

function builtinDecision({ index, verdict }: { index: number; verdict: Decision["verdict"] }): Decision {
  const id = index.toString(16).padStart(16, "0");
  return {
    index,
    id,
    verdict,
    observeOnly: false,
    reason: "builtin",
    tier: null,
    policyKeys: [],
    rule: null,
    source: null,
  };
}
