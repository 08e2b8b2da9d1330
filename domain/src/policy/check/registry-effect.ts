import { type DiagnosticDefinition, kubernetesExample } from "./definition.ts";

function policyExample(name: string, spec: string): string {
  return kubernetesExample(spec).replace("name: example", `name: ${name}`);
}

function clusterExample(name: string, tier: "Admin" | "Baseline", priority: number, rules: string): string {
  const lines = rules.trim().split("\n").join("\n  ");
  return `apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata:\n  name: ${name}\nspec:\n  tier: ${tier}\n  priority: ${priority}\n  subject: {namespaces: {}}\n  ${lines}\n`;
}

function ownExample(name: string, spec: string): string {
  const lines = spec.trim().split("\n").join("\n  ");
  return `apiVersion: wardline.io/v1\nkind: Policy\nmetadata:\n  name: ${name}\nspec:\n  ${lines}\n`;
}

const EXPIRING = ownExample(
  "visit",
  'subject: {selector: {matchLabels: {app: web}}}\n⟦expires⟧: "2026-03-01T00:00:00Z"\ningress:\n  - from: [{ipBlock: {cidr: 203.0.113.0/24}}]',
);

/** `WL34x` and `WL35x`: what the policies mean together, compared exactly over all addresses, protocols and ports. */
export const EFFECT_DIAGNOSTICS = {
  WL340: {
    title: "Rule never takes effect",
    severity: "warning",
    meaning:
      "Every packet that the rule matches is decided by rules that are asked before it, for every host and workload that the policy selects, and at least one of them decides otherwise.",
    remedy: "Move the rule before the others or to a policy of higher precedence, or remove it.",
    example: {
      text: `${clusterExample("guard", "Admin", 10, "ingress:\n  - action: Deny\n    from: [{namespaces: {}}]\n    protocols: [{tcp: {destinationPort: {number: 5432}}}]")}---
${policyExample("database", "podSelector: {}\ningress:\n  - ports: [{port: 443}]\n  - ⟦from: [{podSelector: {matchLabels: {app: web}}}]\n    ports: [{port: 5432}]⟧")}`,
    },
  },
  WL341: {
    title: "Rule adds nothing",
    severity: "info",
    meaning:
      "Other rules already decide all that the rule matches in the same way, for every host and workload that the policy selects. Allows of NetworkPolicies add up, so their order does not matter.",
    remedy: "Remove the rule, or keep it if the others may go one day.",
    example: {
      text: policyExample(
        "example",
        "podSelector: {}\ningress:\n  - from: [{ipBlock: {cidr: 10.0.0.0/8}}]\n  - ⟦from: [{ipBlock: {cidr: 10.1.0.0/16}}]\n    ports: [{port: 443}]⟧",
      ),
    },
  },
  WL342: {
    title: "Part of a rule never takes effect",
    severity: "warning",
    meaning:
      "One peer or one port of the rule is decided whole by rules that are asked before it and decide otherwise; the rest of the rule is in use.",
    remedy: "Remove the entry, or move the rule before the others.",
    example: {
      text: `${clusterExample("guard", "Admin", 10, "ingress:\n  - action: Deny\n    from: [{namespaces: {}}]\n    protocols: [{tcp: {destinationPort: {number: 22}}}]")}---
${policyExample("web", "podSelector: {}\ningress:\n  - from: [{podSelector: {matchLabels: {app: web}}}]\n    ports:\n      - {port: 443}\n      - ⟦{port: 22}⟧")}`,
    },
  },
  WL344: {
    title: "Conflict at equal priority",
    severity: "error",
    meaning:
      "Two policies of the same tier and priority decide the same packet of the same host or workload differently. The Kubernetes API leaves open which of them wins.",
    remedy: "Give one of them another priority; the lower number wins.",
    example: {
      text: `${clusterExample("a", "Admin", 10, "egress:\n  - action: Accept\n    to: [{networks: [10.0.0.0/8]}]")}---
${clusterExample("b", "Admin", 10, "egress:\n  - ⟦action: Deny\n    to: [{networks: [10.1.0.0/16]}]⟧")}`,
    },
  },
  WL345: {
    title: "Baseline policy is never asked",
    severity: "info",
    meaning:
      "The baseline is only asked where no NetworkPolicy isolates. All hosts and workloads that the policy selects are isolated in each direction that it has rules for.",
    remedy: "Nothing, if it waits for hosts to come; otherwise remove it, or move its rules to the admin tier.",
    example: {
      text: `${policyExample("closed", "podSelector: {}")}---
${clusterExample("example", "Baseline", 10, "ingress:\n  - action: Deny\n    from: [{namespaces: {}}]").replace("{namespaces: {}}", "⟦{namespaces: {}}⟧")}`,
    },
  },
  WL346: {
    title: "Policy has expired",
    severity: "warning",
    meaning: "The moment in expires has passed, so the policy counts as absent.",
    remedy: "Remove the policy, or set a later moment.",
    example: { text: EXPIRING, nowUnixMs: Date.UTC(2026, 3) },
  },
  WL347: {
    title: "Policy expires soon",
    severity: "info",
    meaning: "The policy counts as absent in less than a week.",
    remedy: "Nothing, if that is meant; otherwise set a later moment.",
    example: { text: EXPIRING, nowUnixMs: Date.UTC(2026, 1, 26) },
  },
  WL348: {
    title: "Observed policy would change nothing",
    severity: "info",
    meaning: "The enforced policies already decide every packet of its subjects the same way.",
    remedy: "Remove the policy: there is nothing to observe.",
    example: {
      text: `${policyExample("closed", "podSelector: {}")}---
${ownExample("trial", "subject: ⟦{selector: {matchLabels: {app: web}}}⟧\nmode: observe\ningress: []")}`,
    },
  },
  WL349: {
    title: "One address family only",
    severity: "info",
    meaning:
      "The rule names IPv4 or IPv6 addresses, while the hosts on both sides have both, and over the other family the same connections get the opposite verdict.",
    remedy: "Name the addresses of the other family too, or select by label.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Host
metadata: {name: dual, labels: {app: dual}}
spec: {addresses: [192.0.2.30, "2001:db8::30"]}
---
${policyExample("example", "podSelector: {matchLabels: {app: dual}}\ningress:\n  - from:\n      - ipBlock: {cidr: ⟦0.0.0.0/0⟧}\n    ports: [{port: 443}]")}`,
    },
  },
  WL350: {
    title: "Comparison not complete",
    severity: "info",
    meaning:
      "Comparing rules is bounded, so that checking takes a bounded time. Everything that is listed is right; there may be more.",
    remedy: "Check fewer policies together, or use fewer overlapping ranges.",
    example: {
      text: policyExample("example", "podSelector: ⟦{}⟧\ningress:\n  - ports: [{port: 80}]\n  - ports: [{port: 443}]"),
      limits: { maxRuleComparisons: 0 },
    },
  },
  WL351: {
    title: "Wildcard cannot be looked up",
    severity: "warning",
    meaning:
      "Hosts look names up in DNS, which answers for whole names only. A name with * can be evaluated here, and a host that should enforce it refuses the policies.",
    remedy: "List the names that are meant one by one, or use address blocks.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: example}
spec:
  subject: {}
  egress:
    - to: [⟦{domainNames: ["*.example.org"]}⟧]
    - ports: [{protocol: UDP, port: 53}]
`,
    },
  },
} as const satisfies Record<`WL3${string}`, DiagnosticDefinition>;
