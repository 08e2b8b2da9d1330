/** Material of the fake backend: files, hosts and flows as a small fleet of one machine could have them. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Host, HostSchema, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { type Flow, FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { BackendKind, Role } from "@wardline/api/wardline/v1/host";
import { DecisionReason, Direction, EnforcementMode, Tier, Verdict } from "@wardline/api/wardline/v1/policy";

export const WEB_POLICY = `# Who may talk to the web tier, and whom it may call.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
  namespace: default
spec:
  podSelector:
    matchLabels:
      app: web
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - ipBlock:
            cidr: 10.20.0.0/16
            except: [10.20.66.0/24]
      ports:
        - protocol: TCP
          port: 443
        - protocol: TCP
          port: 8080
          endPort: 8099
  egress:
    - to:
        - podSelector:
            matchLabels:
              app: database
      ports:
        - protocol: TCP
          port: 5432
    - ports:
        - protocol: UDP
          port: 53
`;

export const DATABASE_POLICY = `apiVersion: ztap/v1
kind: NetworkPolicy
metadata:
  name: database-in
spec:
  podSelector:
    matchLabels:
      app: database
  ingress:
    - from:
        podSelector:
          matchLabels:
            app: web
      ports:
        - protocol: TCP
          port: 5432
`;

export const BROKEN_POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: office
spec:
  podSelector: {}
  egres:
    - to:
        - ipBlock:
            cidr: 192.168.0.0/33
      ports:
        - protocol: TCPP
          port: 443
`;

export const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata:
  name: atlas
  namespace: default
  labels:
    app: web
    site: berlin
spec:
  addresses: [10.20.0.11, "2001:db8:20::11"]
---
apiVersion: wardline.io/v1
kind: Host
metadata:
  name: db-1
  namespace: default
  labels:
    app: database
spec:
  addresses: [10.20.0.31]
`;

export const WORKSPACE_FILES: Readonly<Record<string, string>> = {
  "inventory/hosts.yaml": INVENTORY,
  "policies/database.yaml": DATABASE_POLICY,
  "policies/web.yaml": WEB_POLICY,
};

export const HOSTILE_NAME = `web-\u202Etxt.exe\u202C-${"very-long-name-".repeat(13)}`;

export type HostKind = "normal" | "no-agent" | "observe" | "lost" | "viewer";

export function fakeHost(kind: HostKind, nowMs: number): Host {
  const host = create(HostSchema, {
    id: "local",
    name: "atlas",
    local: true,
    reachability: Reachability.CONNECTED,
    lastHeardAt: timestampFromMs(nowMs - 400),
    role: kind === "viewer" ? Role.VIEWER : Role.ADMIN,
    actor: "lena (uid 1000)",
    labels: { app: "web", site: "berlin" },
    namespace: "default",
    declared: true,
    status: {
      info: {
        name: "atlas",
        operatingSystem: "Debian GNU/Linux 13 (trixie)",
        architecture: "x64",
        kernelRelease: "6.18.3-amd64",
        agentVersion: "0.1.0",
        agentBuild: "3f9c2ab",
        addresses: ["10.20.0.11", "2001:db8:20::11"],
        backend: BackendKind.EBPF,
        backendReason: "Running as root on cgroup2 with a kernel that has every program type needed.",
        backendLimits: [
          "Packets to closed ports are decided by the socket-less path and carry no process.",
          "SCTP is matched by protocol only.",
        ],
        capabilities: [
          { name: "root", available: true, detail: "Effective uid 0 with CAP_BPF and CAP_NET_ADMIN." },
          { name: "cgroup2", available: true, detail: "Mounted at /sys/fs/cgroup." },
          { name: "libbpf", available: true, detail: "libbpf.so.1 version 1.5.0." },
          { name: "bpf_ringbuf", available: true, detail: "Kernel 5.8 or newer." },
          { name: "bpf_cgroup_link", available: true, detail: "Links are pinned and survive the agent." },
          {
            name: "tcx",
            available: false,
            detail: "Not built into this kernel: traffic that no socket owns is decided by netfilter instead.",
          },
        ],
        processId: 4711,
        startedAt: timestampFromMs(nowMs - 9_240_000),
        cgroupRoot: "/sys/fs/cgroup",
      },
      enforced: {
        number: 41n,
        programDigest: "9f2c4e7d8a16b0c35e7d9f2c4e7d8a16b0c35e7d9f2c4e7d8a16b0c35e7d0001",
        stateDigest: "41aa",
        mode: EnforcementMode.ENFORCE,
        appliedAt: timestampFromMs(nowMs - 5_400_000),
        appliedBy: "lena",
        policyCount: 2,
        ruleCount: 5,
      },
      counters: [
        {
          decisionId: "a1b2c3d4e5f60001",
          packets: 812_334n,
          bytes: 1_288_490_188n,
          lastSeen: timestampFromMs(nowMs - 300),
        },
        {
          decisionId: "a1b2c3d4e5f60002",
          packets: 40_121n,
          bytes: 9_120_000n,
          lastSeen: timestampFromMs(nowMs - 2_300),
        },
        { decisionId: "a1b2c3d4e5f60003", packets: 1_204n, bytes: 72_240n, lastSeen: timestampFromMs(nowMs - 900) },
        { decisionId: "a1b2c3d4e5f60004", packets: 0n, bytes: 0n },
      ],
      attached: true,
      observedAt: timestampFromMs(nowMs - 400),
      problems: [],
      memoryBytes: 71_303_168n,
    },
  });
  if (kind === "observe") makeObserveOnly(host);
  if (kind === "no-agent") makeAgentless(host);
  if (kind === "lost") makeLost(host, nowMs);
  return host;
}

function makeObserveOnly(host: Host): void {
  const info = host.status?.info;
  if (!host.status || !info) return;
  info.backend = BackendKind.OBSERVE;
  info.backendReason = "The agent does not run as root, so it cannot load programs into the kernel.";
  info.backendLimits = [
    "Nothing is enforced: every connection passes.",
    "No flows: without a program in the kernel there is nothing that could report them.",
  ];
  for (const capability of info.capabilities) {
    if (capability.name === "root") {
      capability.available = false;
      capability.detail = "Effective uid 1000. Start the agent as root to enforce.";
    }
  }
  host.status.attached = false;
  host.status.counters = [];
}

function makeAgentless(host: Host): void {
  host.reachability = Reachability.NO_AGENT;
  host.problem = {
    $typeName: "wardline.v1.ErrorDetail",
    code: ErrorCode.AGENT_UNREACHABLE,
    message: "No agent listens on /run/wardline/agent.sock: the socket does not exist.",
    hint: "Start it with `sudo bin/wardline agent run`, or enable wardline-agent.service.",
    retryable: true,
    host: "atlas",
    diagnostics: [],
  };
  host.role = Role.UNSPECIFIED;
  host.actor = "";
  delete host.status;
  delete host.lastHeardAt;
}

function makeLost(host: Host, nowMs: number): void {
  host.reachability = Reachability.LOST;
  host.lastHeardAt = timestampFromMs(nowMs - 94_000);
  host.problem = {
    $typeName: "wardline.v1.ErrorDetail",
    code: ErrorCode.AGENT_UNREACHABLE,
    message: "The agent stopped answering 94 s ago: connection reset on /run/wardline/agent.sock.",
    hint: "The kernel keeps enforcing generation 41. See `journalctl -u wardline-agent`.",
    retryable: true,
    host: "atlas",
    diagnostics: [],
  };
}

const PEERS: readonly (readonly [string, string])[] = [
  ["10.20.0.31", "db-1"],
  ["10.20.4.7", ""],
  ["10.20.66.12", "printer"],
  ["198.51.100.23", ""],
  ["2001:db8:20::53", "resolver"],
  ["10.20.0.99", "build-3"],
];

/** Flow number `id`: the same for the same number, so that tests and screenshots can rely on it. */
export function fakeFlow(id: number, timeMs: number, options: { observe?: boolean; hostile?: boolean } = {}): Flow {
  const [peerAddress, peerName] = PEERS[(id * 7) % PEERS.length] ?? ["10.0.0.1", ""];
  const isEgress = id % 3 === 0;
  const isDenied = id % 5 === 2 || peerAddress === "10.20.66.12";
  const isIcmp = id % 23 === 0;
  const isDns = peerName === "resolver";
  const port = isIcmp ? 8 << 8 : isDns ? 53 : isEgress ? 5432 : id % 2 ? 443 : 8080 + (id % 19);
  const own = {
    address: peerAddress.includes(":") ? "2001:db8:20::11" : "10.20.0.11",
    name: options.hostile ? HOSTILE_NAME : "atlas",
  };
  const peer = { address: peerAddress, name: peerName };
  const [source, destination] = isEgress || isDns ? [own, peer] : [peer, own];
  const verdict = isDenied ? Verdict.DENY : Verdict.ALLOW;
  const direction = isEgress || isDns ? Direction.EGRESS : Direction.INGRESS;
  const rule = isDenied ? "" : isDns ? "egress[1]" : direction === Direction.EGRESS ? "egress[0]" : "ingress[0]";
  return create(FlowSchema, {
    id: BigInt(id),
    host: "atlas",
    time: timestampFromMs(Math.floor(timeMs)),
    kind: isDenied ? FlowEventKind.DENY : FlowEventKind.START,
    direction,
    protocol: isIcmp ? 1 : isDns ? 17 : 6,
    sourceAddress: source.address,
    sourcePort: isIcmp ? 0 : 32_768 + ((id * 131) % 28_000),
    destinationAddress: destination.address,
    destinationPort: port,
    sourceName: source.name,
    destinationName: destination.name,
    verdict,
    enforced: options.observe ? Verdict.ALLOW : verdict,
    generation: 41n,
    subjectKey: "Host/atlas",
    cgroupPath: direction === Direction.EGRESS ? "/system.slice/app-web.service" : "/system.slice/nginx.service",
    packets: BigInt(1 + (id % 40)),
    bytes: BigInt(60 + ((id * 977) % 120_000)),
    originatorBytes: 60n,
    responderBytes: BigInt((id * 977) % 120_000),
    decision: {
      id: isDenied ? "a1b2c3d4e5f60003" : "a1b2c3d4e5f60001",
      verdict,
      reason: isDenied ? DecisionReason.ISOLATED : DecisionReason.RULE,
      tier: Tier.APPLICATION,
      policyKeys: ["NetworkPolicy/default/web"],
      rule,
      source: {
        file: "policies/web.yaml",
        line: isDenied ? 11 : rule === "ingress[0]" ? 13 : 24,
        column: 5,
        endLine: 24,
        endColumn: 12,
      },
      summary: isDenied
        ? "denied: default/web isolates ingress and no rule allows it"
        : `allowed by default/web, ${rule}`,
      observeOnly: false,
    },
  });
}
