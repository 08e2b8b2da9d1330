import { type PolicyRule, type PolicyWorld, parseCidr, readPolicyFiles } from "@wardline/domain/policy";

/**
 * One rule set for every peer of a comparison: `count` rules that allow a network and a port range, and the one that
 * allows the benchmark's own server. Wardline gets it as a policy, nftables as a set.
 */
export interface BenchRule {
  readonly cidr: string;
  readonly low: number;
  readonly high: number;
}

export function makeRules(count: number, server: BenchRule): BenchRule[] {
  const rules: BenchRule[] = [];
  for (let index = 0; index < count; index++) {
    rules.push({
      cidr: `10.${100 + (index >> 12)}.${(index >> 4) & 255}.${(index & 15) << 4}/28`,
      low: 1000 + ((index * 7) % 20_000),
      high: 1000 + ((index * 7) % 20_000) + (index % 5),
    });
  }
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

/** The same as an nftables table: established traffic, the set, then drop. Counters prove that it is live. */
export function toNftSet(rules: readonly BenchRule[]): string {
  const elements = rules.map(({ cidr, low, high }) => `${cidr} . ${low === high ? low : `${low}-${high}`}`);
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

/** The same as one nftables rule each. */
export function toNftLinear(rules: readonly BenchRule[]): string {
  const lines = rules.map(
    ({ cidr, low, high }) => `    ip daddr ${cidr} tcp dport ${low === high ? low : `${low}-${high}`} counter accept`,
  );
  return `table inet wardline_bench {
  chain output {
    type filter hook output priority 0; policy drop;
    oif "lo" accept
    ct state established,related counter accept
${lines.join("\n")}
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
