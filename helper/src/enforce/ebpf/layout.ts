/**
 * The structs of bpf/include/wardline.h as byte offsets. layout.test.ts compares every one with the BTF of the object.
 * Little-endian only, like the object.
 */
import type { Emergency } from "../enforcer.ts";

export const LAYOUT_VERSION = 4;

export const CONTROL = {
  size: 48,
  word: 0,
  deadlineNs: 8,
  lastEpoch: 16,
  layoutVersion: 24,
  overlayInterface: 28,
  stamps: 32,
  holdUntilNs: 40,
} as const;
export const SLOT = {
  size: 56,
  generation: 0,
  digest: 8,
  epoch: 40,
  enforce: 44,
  decisionCount: 48,
  workloadSets: 52,
} as const;
export const IDENTITY = { size: 64, objectDigest: 0, programsDigest: 32 } as const;
export const LOCAL_KEY = { size: 24, netnsCookie: 0, address: 8 } as const;
export const EARLY_KEY = { size: 24, prefixBits: 0, slot: 4, address: 5 } as const;
/** Lines of a slot's tables: see WARDLINE_LINE_SIZE. */
export const LINE_SIZE = 64;
export const TABLES = {
  size: 24,
  ipv4Root: 0,
  ipv4Height: 4,
  ipv6Root: 8,
  ipv6Height: 12,
  firstBucket: 16,
  bucketMask: 20,
} as const;
export const BRANCH = { size: 64, last: 0, firstChild: 60 } as const;
export const LEAF = { size: 64, last: 0, value: 32 } as const;
export const WIDE_BRANCH = { size: 64, last: 0, firstChild: 48 } as const;
export const WIDE_LEAF = { size: 64, last: 0, value: 48 } as const;
export const CLASS = { size: 16, place: 0, set: 4, root: 8, height: 12 } as const;
export const LEAF_RANGES = 8;
export const BRANCH_KEYS = 15;
export const WIDE_KEYS = 3;
export const BUCKET_CLASSES = 4;
export const CLASS_PROBES = 8;
export const PLACE_EGRESS = 0x8000_0000;
export const VALUE_FLAGS_SHIFT = 28;
export const COUNTER = { size: 32, stamp: 0, packets: 8, bytes: 16, lastSeenNs: 24 } as const;
export const FLOW_KEY = { size: 40, local: 0, remote: 16, localPort: 32, remotePort: 34, protocol: 36 } as const;
export const FLOW = {
  size: 64,
  lastSeenNs: 0,
  packets: 8,
  originatorBytes: 16,
  responderBytes: 24,
  cgroupId: 32,
  epoch: 40,
  decision: 44,
  set: 48,
  flags: 52,
  policyPort: 56,
  direction: 58,
  tick: 60,
} as const;
export const EVENT = {
  size: 120,
  bootNs: 0,
  packets: 8,
  originatorBytes: 16,
  responderBytes: 24,
  cgroupId: 32,
  source: 40,
  destination: 56,
  epoch: 72,
  decision: 76,
  set: 80,
  sourcePort: 84,
  destinationPort: 86,
  kind: 88,
  verdict: 89,
  enforced: 90,
  direction: 91,
  protocol: 92,
  hook: 93,
  owner: 96,
} as const;
export const OWNER = { size: 24, pid: 0, userId: 4, command: 8 } as const;

export const RESULT_DENY = 1;
export const RESULT_OBSERVE_ONLY = 2;
export const FLOW_FLAG = {
  denied: 1,
  observeOnly: 2,
  answered: 4,
  finIngress: 8,
  finEgress: 16,
  reset: 32,
  ended: 64,
  forwarded: 128,
} as const;
export const LOSS = { flowRingFull: 0, denyRingFull: 1, rateLimited: 2, flowTable: 3, count: 4 } as const;

/** Idle limits of flows in seconds: WARDLINE_TIMEOUT_* of the header. */
export const TIMEOUT_SECONDS = {
  tcpOpening: 120,
  tcpEstablished: 432_000,
  tcpClosing: 600,
  ended: 10,
  udpOpening: 30,
  udpAnswered: 60,
  icmp: 30,
  other: 600,
} as const;

export const MAP_NAMES = [
  "wl_control",
  "wl_slots",
  "wl_identity",
  "wl_tables",
  "wl_hashes",
  "wl_counters",
  "wl_flows",
  "wl_sockets",
  "wl_recent",
  "wl_known_cgroups",
  "wl_local_addresses",
  "wl_inner_interfaces",
  "wl_translated",
  "wl_early_sources",
  "wl_early_drops",
  "wl_flow_ring",
  "wl_deny_ring",
  "wl_losses",
  "wl_buckets",
] as const;
export type MapName = (typeof MAP_NAMES)[number];

/** Every program of the object, by its role. */
export const PROGRAM_NAMES = {
  ingress: "wardline_ingress",
  egress: "wardline_egress",
  connect4: "wardline_connect4",
  connect6: "wardline_connect6",
  sendmsg4: "wardline_sendmsg4",
  sendmsg6: "wardline_sendmsg6",
  bind4: "wardline_bind4",
  bind6: "wardline_bind6",
  release: "wardline_release",
  edgeL2: "wardline_edge_l2",
  edgeL3: "wardline_edge_l3",
  edgeOutL2: "wardline_edge_out_l2",
  edgeOutL3: "wardline_edge_out_l3",
  earlyDrop: "wardline_early_drop",
  selftest: "wardline_selftest",
} as const;
export type ProgramRole = keyof typeof PROGRAM_NAMES;

/** Programs that are attached to the cgroup, with BPF_CGROUP_* of <linux/bpf.h>. The packet hooks come first. */
export const CGROUP_HOOKS = {
  ingress: 0,
  egress: 1,
  connect4: 10,
  connect6: 11,
  bind4: 12,
  bind6: 13,
  sendmsg4: 14,
  sendmsg6: 15,
  release: 34,
} as const satisfies Partial<Record<ProgramRole, number>>;
export type CgroupHook = keyof typeof CGROUP_HOOKS;

/** Two bits of the control word. */
const EMERGENCY_BITS: Record<Emergency, number> = { none: 0, open: 1, closed: 2 };
const EMERGENCIES: readonly Emergency[] = ["none", "open", "closed", "closed"];

/** The control word, taken apart. See WARDLINE_WORD_* for the bits. */
export interface ControlWord {
  readonly slot: 0 | 1;
  readonly enforce: boolean;
  readonly workloads: boolean;
  readonly deadlineArmed: boolean;
  readonly otherEnforce: boolean;
  readonly otherWorkloads: boolean;
  /** 0 = nothing loaded. */
  readonly epoch: number;
  readonly otherEpoch: number;
  readonly emergency: Emergency;
}

export const MAX_EPOCH = 0xfff_ffff;

export function encodeWord(word: ControlWord): bigint {
  const bits =
    word.slot |
    (Number(word.enforce) << 1) |
    (Number(word.workloads) << 2) |
    (Number(word.deadlineArmed) << 3) |
    (Number(word.otherEnforce) << 4) |
    (Number(word.otherWorkloads) << 5) |
    (EMERGENCY_BITS[word.emergency] << 6);
  return BigInt(bits) | (BigInt(word.epoch) << 8n) | (BigInt(word.otherEpoch) << 36n);
}

export function decodeWord(bits: bigint): ControlWord {
  const flag = (bit: bigint): boolean => ((bits >> bit) & 1n) === 1n;
  return {
    slot: flag(0n) ? 1 : 0,
    enforce: flag(1n),
    workloads: flag(2n),
    deadlineArmed: flag(3n),
    otherEnforce: flag(4n),
    otherWorkloads: flag(5n),
    epoch: Number((bits >> 8n) & BigInt(MAX_EPOCH)),
    otherEpoch: Number((bits >> 36n) & BigInt(MAX_EPOCH)),
    emergency: EMERGENCIES[Number((bits >> 6n) & 3n)] ?? "closed",
  };
}

/** The same state with the other slot active and no deadline: what a revert, or an expired deadline, amounts to. */
export function swapped(word: ControlWord): ControlWord {
  return {
    slot: word.slot === 0 ? 1 : 0,
    enforce: word.otherEnforce,
    workloads: word.otherWorkloads,
    deadlineArmed: false,
    otherEnforce: word.enforce,
    otherWorkloads: word.workloads,
    epoch: word.otherEpoch,
    otherEpoch: word.epoch,
    emergency: word.emergency,
  };
}
