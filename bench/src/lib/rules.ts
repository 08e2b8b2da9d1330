import { type PolicyRule, type PolicyWorld, parseCidr, readPolicyFiles } from "@wardline/domain/policy";

/**
 * One rule set for every peer of a comparison: `count` rules that allow a network and a port range, and the one that
 * allows the benchmark's own server. Wardline gets it as a policy, nftables as a set or as one rule each.
 */
export interface BenchRule {
  readonly cidr: string;
  readonly low: number;
  readonly high: number;
}

/** One IPv4 network of 16 addresses; no two indexes share one. Up to about 14 million. */
export function cidrAt(index: number): string {
  const address = 0x0a64_0000 + index * 16;
  return `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".")}/28`;
}

/** The same in IPv6: a /64 each. */
export function cidr6At(index: number): string {
  return `2001:db8:${((index >>> 16) & 0xffff).toString(16)}:${(index & 0xffff).toString(16)}::/64`;
}

function rangeAt(index: number): Pick<BenchRule, "low" | "high"> {
  const low = 1000 + ((index * 7) % 20_000);
  return { low, high: low + (index % 5) };
}

export function makeRules(count: number, server: BenchRule): BenchRule[] {
  const rules = Array.from({ length: count }, (_, index) => ({ cidr: cidrAt(index), ...rangeAt(index) }));
  return [...rules, server];
}

/** A policy that isolates the egress of every host and allows only the rules. */
export function toPolicy(rules: readonly BenchRule[]): string {
  const egress = rules.map(
    ({ cidr, low, high }) =>
      `  - to: [{ipBlock: {cidr: ${cidr}}}]\n    ports: [{protocol: TCP, port: ${low}, endPort: ${high}}]\n`,
  );
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bench, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
${egress.join("")}`;
}

/** Rules of both directions and families; each allows its ports for TCP and for UDP. */
export interface RuleBook {
  readonly egress: readonly BenchRule[];
  readonly ingress: readonly BenchRule[];
}

/** `count` rules of each family and direction, and the ones that the measured traffic needs. */
export function makeRuleBook(count: number, { low, high }: Omit<BenchRule, "cidr">, ends: Ends): RuleBook {
  const many: BenchRule[] = [];
  for (let index = 0; index < count; index++)
    many.push({ cidr: cidrAt(index), ...rangeAt(index) }, { cidr: cidr6At(index), ...rangeAt(index) });
  const services = (at: Ends["host"]): BenchRule[] => [
    { cidr: `${at[4]}/32`, low, high },
    { cidr: `${at[6]}/128`, low, high },
  ];
  // The server may be on either side, and a table on its side judges what comes from the client.
  return {
    egress: [...many, ...services(ends.peer)],
    ingress: [...many, ...services(ends.peer), ...services(ends.host)],
  };
}

export interface Ends {
  readonly host: { readonly 4: string; readonly 6: string };
  readonly peer: { readonly 4: string; readonly 6: string };
}

/** A policy that isolates both directions of every host and allows only the book. */
export function bookToPolicy({ egress, ingress }: RuleBook): string {
  const lines = (rules: readonly BenchRule[], end: "to" | "from"): string =>
    rules
      .map(
        ({ cidr, low, high }) =>
          `  - ${end}: [{ipBlock: {cidr: "${cidr}"}}]\n    ports: [{protocol: TCP, port: ${low}, endPort: ${high}}, {protocol: UDP, port: ${low}, endPort: ${high}}]\n`,
      )
      .join("");
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bench, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Egress, Ingress]
  egress:
${lines(egress, "to")}  ingress:
${lines(ingress, "from")}`;
}

const portsOf = ({ low, high }: BenchRule): string => (low === high ? `${low}` : `${low}-${high}`);
const isIpv6 = ({ cidr }: BenchRule): boolean => cidr.includes(":");

/** Chains that every nftables form shares: a counter that proves they are live, established traffic, the rules, drop. */
function nftTable(sets: string, output: string, input: string): string {
  const head = `    counter
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
`;
  return `table inet wardline_bench {
${sets}  chain output {
    type filter hook output priority 0; policy drop;
    oif "lo" accept
${head}${output}  }
  chain input {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
${head}${input}  }
}
`;
}

/** The book as one set for each direction and family, for TCP and UDP alike. Counters prove that it is live. */
export function bookToNftSet({ egress, ingress }: RuleBook): string {
  const set = (name: string, type: string, rules: readonly BenchRule[]): string =>
    `  set ${name} {
    type ${type} . inet_service
    flags interval
    elements = { ${rules.map((rule) => `${rule.cidr} . ${portsOf(rule)}`).join(", ")} }
  }
`;
  const sets = (["out", "in"] as const).flatMap((side) => {
    const rules = side === "out" ? egress : ingress;
    return [
      set(
        `${side}4`,
        "ipv4_addr",
        rules.filter((rule) => !isIpv6(rule)),
      ),
      set(`${side}6`, "ipv6_addr", rules.filter(isIpv6)),
    ];
  });
  const chain = (side: "out" | "in", end: "daddr" | "saddr"): string =>
    ["tcp", "udp"]
      .map(
        (protocol) =>
          `    ip ${end} . ${protocol} dport @${side}4 counter accept\n    ip6 ${end} . ${protocol} dport @${side}6 counter accept\n`,
      )
      .join("");
  return nftTable(sets.join(""), chain("out", "daddr"), chain("in", "saddr"));
}

/** The book as one nftables rule each, in a chain for each family and protocol so that a packet meets only its own. */
export function bookToNftLinear({ egress, ingress }: RuleBook): string {
  const chains: string[] = [];
  const jumps = (side: "out" | "in", end: "daddr" | "saddr", rules: readonly BenchRule[]): string =>
    (["ip", "ip6"] as const)
      .flatMap((family) =>
        (["tcp", "udp"] as const).map((protocol) => {
          const own = rules.filter((rule) => isIpv6(rule) === (family === "ip6"));
          const lines = own.map(
            (rule) => `    ${family} ${end} ${rule.cidr} ${protocol} dport ${portsOf(rule)} counter accept\n`,
          );
          const name = `${side}_${family}_${protocol}`;
          chains.push(`  chain ${name} {\n${lines.join("")}  }\n`);
          return `    meta nfproto ${family === "ip" ? "ipv4" : "ipv6"} meta l4proto ${protocol} jump ${name}\n`;
        }),
      )
      .join("");
  const output = jumps("out", "daddr", egress);
  const input = jumps("in", "saddr", ingress);
  return nftTable(chains.join(""), output, input);
}

/** Only the egress rules as an nftables table: established traffic, the set, then drop. Counters prove that it is live. */
export function toNftSet(rules: readonly BenchRule[]): string {
  const elements = rules.map((rule) => `${rule.cidr} . ${portsOf(rule)}`);
  return `table inet wardline_bench {
  set allowed {
    type ipv4_addr . inet_service
    flags interval
    elements = { ${elements.join(", ")} }
  }
  chain output {
    type filter hook output priority 0; policy drop;
    oif "lo" accept
    ct state established,related counter accept
    ip daddr . tcp dport @allowed counter accept
    counter
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
    ct state established,related counter accept
    ip protocol icmp accept
    counter
  }
}
`;
}

/** The same as a world of one host: one rule each, in one policy. */
export function toWorld(rules: readonly BenchRule[], hostName: string): PolicyWorld {
  const host = `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${hostName}}\nspec: {addresses: [10.77.0.2]}\n`;
  const head = toPolicy(rules.slice(0, 1));
  const { world } = readPolicyFiles([
    { path: "bench.yaml", text: head },
    { path: "host.yaml", text: host },
  ]);
  const [policy] = world.policies;
  const [first] = policy?.rules ?? [];
  if (!policy || !first) throw new Error("the policy of the benchmark was not read");
  const policyRules = rules.map(({ cidr, low, high }, index): PolicyRule => {
    const parsed = parseCidr(cidr);
    if (!parsed.ok) throw new Error(`${cidr} is not a prefix`);
    const { source } = first;
    return {
      ...first,
      index,
      peers: [{ kind: "addresses", cidr: parsed.cidr, except: [], source }],
      ports: [{ kind: "range", protocol: 6, low, high, source }],
    };
  });
  return { ...world, policies: [{ ...policy, rules: policyRules }] };
}
