/**
 * HostProgram: one host's whole policy as lookup tables, ready for the kernel. It is the contract between the compiler
 * (`compile`), the TypeScript walk of the same tables (`lookup`) and the eBPF image (`helper/src/enforce`).
 *
 * A packet is decided by three lookups and nothing else:
 *   1. remote address  → atom    longest prefix match in `addresses4` / `addresses6`; no match = atom 0
 *   2. (set, direction, atom) → class   exact match in `classes`; no match = the entry of atom 0, which always exists
 *   3. (class, protocol, port) → decision   longest prefix match in `ports`; the 0-bit entry of each class always exists
 */
import type { Direction, ProtocolNumber, SourceRange, Tier, Verdict, WorkloadMatch } from "./model.ts";

export const PROGRAM_FORMAT_VERSION = 1;

/** A subject with its own rules. Set 0 is the host itself and every process that no other set claims. */
export interface PolicySet {
  readonly id: number;
  /** Key of the endpoint. */
  readonly endpointKey: string;
  /** `null` only for set 0. */
  readonly match: WorkloadMatch | null;
}

export interface AddressEntry {
  /** Network order, 4 or 16 bytes, host bits clear. */
  readonly prefix: Uint8Array;
  readonly prefixLength: number;
  /** From 1; addresses that behave alike for every set share an atom. */
  readonly atom: number;
}

export interface ClassEntry {
  readonly set: number;
  readonly direction: Direction;
  readonly atom: number;
  readonly classId: number;
}

export interface PortEntry {
  readonly classId: number;
  /** `null` = every protocol (the 0-bit entry); then `port` and `portBits` are 0. */
  readonly protocol: ProtocolNumber | null;
  /** Destination port; `type << 8 | code` for ICMP and ICMPv6; 0 for protocols without ports. */
  readonly port: number;
  /** 0 to 16: how many leading bits of `port` must match. */
  readonly portBits: number;
  /** Index into `decisions`. */
  readonly decision: number;
}

/**
 * Why a packet got its verdict. The index is dense and belongs to one program (it is the kernel's counter index); the id
 * is stable over programs, so that a counter's history survives an apply.
 */
export interface Decision {
  readonly index: number;
  /** 16 hex digits: a digest of policy key, direction, and the rule's meaning or the builtin's name. */
  readonly id: string;
  readonly verdict: Verdict;
  /** True when every policy behind it is in observe mode: the verdict is reported and not enforced. */
  readonly observeOnly: boolean;
  readonly reason: DecisionReason;
  readonly tier: Tier | null;
  /** The policy whose rule decided, or the policies that isolate the subject (`isolated`), or none. */
  readonly policyKeys: readonly string[];
  /** `ingress[0]`, or the rule's own name; `null` unless `reason` is `rule`. */
  readonly rule: string | null;
  readonly source: SourceRange | null;
}

export type DecisionReason =
  /** A rule matched. */
  | "rule"
  /** Policies isolate the subject in this direction and none of their rules allows the packet. */
  | "isolated"
  /** No policy isolates the subject in this direction: the host's default, allow. */
  | "not-isolated"
  /** Decided before any policy; see {@link BUILTIN_DECISIONS}. */
  | "builtin";

/**
 * Decisions that the datapath takes before any policy. Their indexes are fixed and never reused; rules start at
 * {@link FIRST_RULE_DECISION}. The eBPF header has the same numbers, checked by a test.
 */
export const BUILTIN_DECISIONS = {
  none: { index: 0, verdict: "allow", label: "no policy loaded" },
  loopback: { index: 1, verdict: "allow", label: "loopback" },
  neighborDiscovery: { index: 2, verdict: "allow", label: "IPv6 neighbour discovery" },
  pathMtu: { index: 3, verdict: "allow", label: "path MTU and ICMP error" },
  malformed: { index: 4, verdict: "deny", label: "malformed packet" },
  fragment: { index: 5, verdict: "deny", label: "fragment without a known flow" },
  extensionHeader: { index: 6, verdict: "deny", label: "IPv6 extension header chain too long or unknown" },
  notIp: { index: 7, verdict: "deny", label: "not IPv4 or IPv6" },
  emergencyClosed: { index: 8, verdict: "deny", label: "network closed in an emergency" },
  unsettledWorkload: { index: 9, verdict: "deny", label: "new cgroup, not assigned to a workload yet" },
  spoofedOverlay: { index: 10, verdict: "deny", label: "mesh address outside of the mesh's own interface" },
} as const satisfies Record<string, { index: number; verdict: Verdict; label: string }>;

export const FIRST_RULE_DECISION = 16;

/**
 * The lists of a compiled program are made when somebody asks for them; whoever needs only numbers reads
 * `columnsOfProgram`.
 */
export interface HostProgram {
  readonly formatVersion: typeof PROGRAM_FORMAT_VERSION;
  readonly hostName: string;
  /**
   * SHA-256 over the canonical encoding of everything below but the places in source files, 64 hex digits. Equal digests
   * = equal tables. See `programDigest`.
   */
  readonly digest: string;
  readonly sets: readonly PolicySet[];
  readonly addresses4: readonly AddressEntry[];
  readonly addresses6: readonly AddressEntry[];
  readonly classes: readonly ClassEntry[];
  readonly ports: readonly PortEntry[];
  /** `decisions[i].index === i`; the places below {@link FIRST_RULE_DECISION} are the builtins, unused ones included. */
  readonly decisions: readonly Decision[];
}

/** What the tables are asked about: the first packet of a connection, from the point of view of the subject. */
export interface ProgramPacket {
  readonly set: number;
  readonly direction: Direction;
  /** Canonical text address of the other end. IPv4-mapped IPv6 counts as IPv4. */
  readonly remote: string;
  /** The subject's own address in this packet, where it is known: equal to `remote` means loopback. */
  readonly local?: string;
  readonly protocol: ProtocolNumber;
  /** Destination port, or `type << 8 | code` for ICMP, or 0. */
  readonly port: number;
}
