/** What an eBPF enforcer is told when it is made, and what follows from that. */
import type { VouchingPorts } from "./connect/vouching.ts";
import { counterEntries } from "./counters.ts";
import type { EdgeSettings } from "./edge/attachments.ts";
import type { EarlyDropSettings } from "./edge/earlyDrop.ts";
import type { InterfaceSettings } from "./edge/edge.ts";
import type { MapName } from "./layout.ts";
import type { TreeSettings } from "./tree.ts";

export interface EbpfEnforcerConfig {
  /** cgroup2 directory to attach to: the hierarchy's root in production. */
  readonly cgroupRoot: string;
  /** Private directory for pins; a BPF file system is mounted there when there is none. */
  readonly bpffsDir: string;
  /** The compiled object, `bpf/build/wardline.bpf.o`. */
  readonly objectBytes: Uint8Array;
  /** Boot clock; injected by tests of the deadline. */
  readonly bootNs?: () => bigint;
  /** Clock of idle limits; injected by tests of them. */
  readonly monotonicNs?: () => bigint;
  /** Entries of the flow table; 65,536 unless given. Takes effect when the tree is made. */
  readonly flowTableEntries?: number;
  /** Powers of two, at least one page. Take effect when the tree is made. */
  readonly flowRingBytes?: number;
  readonly denyRingBytes?: number;
  /** What is known of this process' network namespace; injected by tests, which guard another one. */
  readonly vouching?: VouchingPorts;
  /** Path of the network namespace whose interfaces are meant below; this process' own unless given. For tests. */
  readonly networkNamespace?: string | null;
  /** How packets without a socket are judged at the interfaces; not at all unless given. */
  readonly edge?: EdgeSettings | null;
  /** Where denied sources are dropped by XDP; nowhere unless given. */
  readonly earlyDrop?: EarlyDropSettings | null;
}

const LIMIT_WITHOUT_EDGE =
  "Packets without a socket on this host are not seen: closed ports answer with a reset, and forwarded traffic of containers and virtual machines passes.";
const LIMITS: readonly string[] = [
  "Processes with CAP_NET_RAW can send through packet sockets without being seen.",
  "Addresses of the mesh (200::/7) count only on the mesh's interface in the agent's own network namespace: containers in other namespaces are not reached by them.",
];

/** One sentence each: what this backend cannot do, as it is configured. */
export function limitsOf({ edge }: EbpfEnforcerConfig): readonly string[] {
  return (edge ?? null) === null ? [LIMIT_WITHOUT_EDGE, ...LIMITS] : LIMITS;
}

export function treeSettings(config: EbpfEnforcerConfig): TreeSettings {
  const { bpffsDir, cgroupRoot, objectBytes, flowTableEntries, flowRingBytes, denyRingBytes } = config;
  const sizes: [MapName, number | undefined][] = [
    ["wl_counters", counterEntries()],
    ["wl_flows", flowTableEntries],
    ["wl_flow_ring", flowRingBytes],
    ["wl_deny_ring", denyRingBytes],
  ];
  const mapSizes = new Map(sizes.filter((entry): entry is [MapName, number] => entry[1] !== undefined));
  return { directory: bpffsDir, cgroupRoot, objectBytes, mapSizes };
}

export function interfaceSettings(config: EbpfEnforcerConfig): InterfaceSettings {
  const { networkNamespace = null, edge = null, earlyDrop = null } = config;
  return { networkNamespace, edge, earlyDrop };
}
