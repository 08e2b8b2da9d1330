/**
 * The policy model: what every format is read into, and what the evaluator and the compiler work on.
 *
 * Nothing here knows YAML, Kubernetes or eBPF. A format adds a reader (`formats/`), never a branch in an engine.
 * Sources of the semantics: Kubernetes networking/v1 NetworkPolicy, network-policy-api v0.2, and docs/policy-reference.md
 * for every point that those leave open.
 */

/** IP protocol number (IANA). The ones the engines treat specially are in {@link PROTOCOL}. */
export type ProtocolNumber = number;

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

export type Verdict = "allow" | "deny";
export type Action = Verdict | "pass";

/** Seen from the subject: `ingress` is a connection that somebody opens to it, `egress` one that it opens. */
export type Direction = "ingress" | "egress";

/**
 * Order of evaluation. `safety` holds only the management path that Wardline adds itself; `admin` and `baseline` are
 * first-match by priority, `application` is the additive Kubernetes tier.
 */
export type Tier = "safety" | "admin" | "application" | "baseline";

export const TIER_ORDER: readonly Tier[] = ["safety", "admin", "application", "baseline"];

/** A place in a source file. Lines and columns count from 1, columns in UTF-16 code units; the end is exclusive. */
export interface SourceRange {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** One file as it was dropped, read or sent: `path` is a display name and never opened by the domain. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** An address prefix in network order with the host bits cleared. IPv4-mapped IPv6 input is stored as family 4. */
export interface Cidr {
  readonly family: 4 | 6;
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
}

export interface LabelRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  /** Empty for Exists and DoesNotExist. */
  readonly values: readonly string[];
}

/** All requirements must hold; none = everything. `matchLabels` are read as `In` with one value. */
export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[];
}

export type NamespaceMatch =
  | { readonly kind: "any" }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "selector"; readonly selector: LabelSelector };

/** Picks hosts and workloads: all parts must match. */
export interface EndpointSelector {
  readonly namespaces: NamespaceMatch;
  readonly endpoints: LabelSelector;
  /** Absent = hosts and workloads. `host` is what `nodes` of the cluster-wide Kubernetes policies mean. */
  readonly kind?: Endpoint["kind"];
}

/**
 * A place that has a name instead of labels. Each stands for a set of addresses:
 * `cluster` every address of a declared host or workload; `mesh` the overlay's range ({@link MESH_PREFIX}); `host` the
 * addresses of the subject's own host; `world` every address that is in neither `cluster` nor `mesh`.
 */
export type Entity = "world" | "cluster" | "host" | "mesh";

export const ENTITIES: readonly Entity[] = ["world", "cluster", "host", "mesh"];

/** Addresses of the Yggdrasil network, nodes and routed prefixes (yggdrasil-go `src/address`). */
export const MESH_PREFIX = "200::/7";

export type Peer =
  | { readonly kind: "endpoints"; readonly selector: EndpointSelector; readonly source: SourceRange }
  | { readonly kind: "addresses"; readonly cidr: Cidr; readonly except: readonly Cidr[]; readonly source: SourceRange }
  | { readonly kind: "entity"; readonly entity: Entity; readonly source: SourceRange }
  /**
   * The addresses that these names have in `Inventory.domainAddresses`; a name that is not there is nobody. Lower case,
   * no dot at the end. `*.example.org` stands for one or more whole labels before `example.org`.
   */
  | { readonly kind: "domains"; readonly names: readonly string[]; readonly source: SourceRange };

/** `low` and `high` are inclusive. For ICMP and ICMPv6 a port number is `type << 8 | code`, as in the datapath. */
export type PortMatch =
  | {
      readonly kind: "range";
      readonly protocol: ProtocolNumber;
      readonly low: number;
      readonly high: number;
      readonly source: SourceRange;
    }
  /** Resolved on the subject for ingress and on the peer for egress. */
  | { readonly kind: "named"; readonly protocol: ProtocolNumber; readonly name: string; readonly source: SourceRange };

export interface PolicyRule {
  readonly direction: Direction;
  /** Position among the rules of the policy's direction, from 0. */
  readonly index: number;
  readonly name: string | null;
  readonly action: Action;
  /** `null` = any peer; an empty list matches nothing. */
  readonly peers: readonly Peer[] | null;
  /** `null` = any port and any protocol; an empty list matches nothing. */
  readonly ports: readonly PortMatch[] | null;
  readonly source: SourceRange;
}

export interface Policy {
  /** Unique in a world and stable over edits: `Kind/namespace/name`, or `Kind/name` for kinds without a namespace. */
  readonly key: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | null;
  readonly tier: Tier;
  /** Lower first, within `admin` and `baseline`; 0 elsewhere. */
  readonly priority: number;
  readonly mode: "enforce" | "observe";
  readonly description: string | null;
  /** The moment from which the policy counts as absent (Unix time); `null` = never. See `withoutExpired`. */
  readonly expiresAtUnixMs: number | null;
  readonly subject: EndpointSelector;
  /** Directions in which the subjects become isolated (application tier only). */
  readonly isolates: { readonly ingress: boolean; readonly egress: boolean };
  /** In file order: ingress first, then egress. */
  readonly rules: readonly PolicyRule[];
  readonly source: SourceRange;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: ProtocolNumber;
  readonly port: number;
}

/** How the processes of a workload are found on its host. */
export type WorkloadMatch =
  | { readonly kind: "systemdUnit"; readonly unit: string }
  | { readonly kind: "cgroupPath"; readonly path: string }
  | { readonly kind: "container"; readonly id: string }
  | { readonly kind: "user"; readonly user: string };

/** A host or a workload: something that a selector can pick. */
export interface Endpoint {
  /** `Host/name` or `Workload/namespace/name`. */
  readonly key: string;
  readonly kind: "host" | "workload";
  readonly name: string;
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Canonical text addresses of its own. A workload without any shares the addresses of its host. */
  readonly addresses: readonly string[];
  readonly ports: readonly NamedPort[];
  /** Name of the host it runs on; a host names itself. `null` for a workload somewhere we do not manage. */
  readonly hostName: string | null;
  /** `null` for hosts, and for workloads that only exist as peers. */
  readonly match: WorkloadMatch | null;
  /** Hosts only: the key of its node of the overlay, in lower case, as declared. Its address is among `addresses`. */
  readonly meshKey?: string;
  readonly source: SourceRange | null;
}

export interface Namespace {
  readonly name: string;
  /** Always holds `kubernetes.io/metadata.name`. */
  readonly labels: ReadonlyMap<string, string>;
}

export interface Inventory {
  readonly endpoints: readonly Endpoint[];
  /** Namespaces that no document declares exist with the one implied label. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /**
   * What DNS says at the moment: canonical text addresses by lower-case name. No file declares it; whoever resolves names
   * fills it in. Empty = no name is known.
   */
  readonly domainAddresses: ReadonlyMap<string, readonly string[]>;
}

/** Everything the engines need: one desired state, read. */
export interface PolicyWorld {
  /** Sorted by key, so that ties are decided the same way everywhere. */
  readonly policies: readonly Policy[];
  readonly inventory: Inventory;
}

/** One side of a test: a group of endpoints, a set of addresses, or everybody. */
export type TestEnd =
  | { readonly kind: "any" }
  | { readonly kind: "endpoints"; readonly selector: EndpointSelector }
  | { readonly kind: "addresses"; readonly cidr: Cidr; readonly except: readonly Cidr[] }
  | { readonly kind: "entity"; readonly entity: Entity };

/**
 * What a case asks of the way in which it comes true: `decision` = the verdict of every packet is decided by this policy
 * (and rule); `through` = only these endpoints are left out of `from`, the one way around a denial.
 */
export type TestVia =
  | { readonly kind: "decision"; readonly policyKey: string; readonly rule: string | null }
  | { readonly kind: "through"; readonly selector: EndpointSelector };

/** Holds when every packet from any member of `from` to any member of `to` on any of the ports gets the verdict. */
export interface PolicyTestCase {
  readonly index: number;
  readonly from: TestEnd;
  readonly to: TestEnd;
  /** `null` = every protocol and port. Names are looked up at the members of `to`. */
  readonly ports: readonly PortMatch[] | null;
  readonly expect: Verdict;
  readonly via: TestVia | null;
  /** Why the person who wrote it wants this. */
  readonly because: string | null;
  readonly source: SourceRange;
}

/** A document of tests. Tests never change what is enforced. */
export interface PolicyTest {
  /** `PolicyTest/namespace/name`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly description: string | null;
  readonly cases: readonly PolicyTestCase[];
  readonly source: SourceRange;
}
