import {
  type DiagnosticDefinition,
  hostExample,
  kubernetesExample,
  workloadExample,
  ztapExample,
} from "./definition.ts";

/** `WL3xx`: every document is well formed, and together or in detail they say something that is probably not meant. */
export const MEANING_DIAGNOSTICS = {
  WL301: {
    title: "Policy applies to nobody",
    severity: "warning",
    meaning: "No host or workload has the labels that the policy selects, so it restricts nothing.",
    remedy: "Correct the selector or the namespace, or label the hosts that are meant.",
    example: { text: kubernetesExample("podSelector: ⟦{matchLabels: {app: wbe}}⟧") },
  },
  WL302: {
    title: "Peer is nobody",
    severity: "warning",
    meaning: "No host or workload has the labels of this peer, so the entry allows nothing.",
    remedy: "Correct the selector or the namespace, or declare the host or workload that is meant.",
    example: {
      text: kubernetesExample("podSelector: {}\ningress:\n  - from: [⟦{podSelector: {matchLabels: {app: cache}}}⟧]"),
    },
  },
  WL303: {
    title: "Policy defined twice",
    severity: "error",
    meaning: "Two documents define a policy with the same kind, namespace and name.",
    remedy: "Rename or remove one.",
    example: {
      text: `${kubernetesExample("podSelector: {}")}---\n${kubernetesExample("podSelector: {}").replace("name: example", "name: ⟦example⟧")}`,
    },
  },
  WL304: {
    title: "Host, workload, service or test defined twice",
    severity: "error",
    meaning:
      "Two documents define a host with the same name, or a workload, service or test with the same namespace and name.",
    remedy: "Rename or remove one.",
    example: { text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: ⟦web-1⟧\n" },
  },
  WL305: {
    title: "Namespace defined twice",
    severity: "error",
    meaning: "Two documents define the same namespace.",
    remedy: "Merge the labels into one document.",
    example: {
      text: "apiVersion: v1\nkind: Namespace\nmetadata: {name: prod}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ⟦prod⟧}\n",
    },
  },
  WL306: {
    title: "Port name unknown",
    severity: "warning",
    meaning:
      "A port name is looked up on the subject for ingress and on the peer for egress. None of them has it, so the entry matches nothing.",
    remedy: "Correct the name, use the number, or add the port to the host or workload.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - ports: [⟦{port: htps}⟧]") },
  },
  WL307: {
    title: "except outside its block",
    severity: "error",
    meaning: "What is excepted must lie inside the block that it is taken from.",
    remedy: "Correct the prefix, or remove it.",
    example: {
      text: kubernetesExample(
        "podSelector: {}\ningress:\n  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [⟦192.168.0.0/16⟧]}}]",
      ),
    },
  },
  WL308: {
    title: "Bits set after the prefix",
    severity: "warning",
    meaning:
      "The address has bits set that its prefix length does not cover, so either one address or the whole network may be meant. The network is taken.",
    remedy: "Write the network as shown, or /32 (/128) for the one address.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - from: [{ipBlock: {cidr: ⟦10.1.2.3/8⟧}}]") },
  },
  WL309: {
    title: "Host not declared",
    severity: "warning",
    meaning: "The workload names a host for which there is no document, so its addresses and labels are unknown.",
    remedy: "Correct the name, or add a Host document.",
    example: { text: workloadExample("host: ⟦wbe-1⟧\nmatch: {systemdUnit: nginx.service}") },
  },
  WL310: {
    title: "Peers that share an address",
    severity: "warning",
    meaning:
      "Peers are told apart by address. This selector picks one workload and not another behind the same address, so the other passes as well.",
    remedy: "Give the workloads addresses of their own, or accept both by a common label.",
    example: {
      text: `${workloadExample("host: db-1\nmatch: {user: postgres}").replace("name: example", "name: one\n  labels: {app: one}")}---
${workloadExample("host: db-1\nmatch: {user: backup}").replace("name: example", "name: two\n  labels: {app: two}")}---
${kubernetesExample("podSelector: {}\ningress:\n  - from: [⟦{podSelector: {matchLabels: {app: one}}}⟧]")}`,
    },
  },
  WL311: {
    title: "Port on ICMP ignored",
    severity: "info",
    meaning:
      "ICMP has no ports. ztap/v1 demands one, so it is accepted and ignored, and the entry stands for all of ICMP and ICMPv6.",
    remedy: "Nothing needs to be done.",
    example: {
      text: ztapExample(
        "podSelector: {matchLabels: {app: web}}\negress:\n  - to: {ipBlock: {cidr: 10.0.0.0/8}}\n    ports: [{protocol: ICMP, ⟦port⟧: 1}]",
      ),
    },
  },
  WL312: {
    title: "Matches nothing",
    severity: "warning",
    meaning: "What is written can never match: everything is excepted, or a port name has nobody to be looked up on.",
    remedy: "Correct it, or remove it.",
    example: {
      text: kubernetesExample(
        "podSelector: {}\npolicyTypes: [Egress]\negress:\n  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]\n    ports: [⟦{port: https}⟧]",
      ),
    },
  },
  WL313: {
    title: "Address claimed twice",
    severity: "warning",
    meaning: "Two hosts, or two workloads, have the same address, so connections of the two cannot be told apart.",
    remedy: "Correct one of the addresses.",
    example: {
      text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web-2}\nspec: {addresses: [⟦192.0.2.10⟧]}\n",
    },
  },
  WL314: {
    title: "Workload shares its host's address",
    severity: "info",
    meaning:
      "Peers are told apart by address. The selector picks a workload and not the host that it shares the address with (or the other way round), so both pass.",
    remedy: "Nothing, if everything on that host may pass; otherwise give the workload an address of its own.",
    example: {
      text: `${workloadExample("host: db-1\nmatch: {user: postgres}").replace("name: example", "name: one\n  labels: {app: one}")}---
${kubernetesExample("podSelector: {}\ningress:\n  - from: [⟦{podSelector: {matchLabels: {app: one}}}⟧]")}`,
    },
  },
  WL315: {
    title: "IPv4 written as IPv6",
    severity: "info",
    meaning: "An IPv4-mapped IPv6 address means an IPv4 address and is read as one.",
    remedy: "Write the IPv4 address.",
    example: { text: hostExample('addresses: [⟦"::ffff:192.0.2.1"⟧]') },
  },
  WL316: {
    title: "Port name used twice",
    severity: "error",
    meaning: "A host or workload gives two ports of one protocol the same name, so the name says nothing.",
    remedy: "Rename one.",
    example: { text: hostExample("ports:\n  - {name: http, port: 80}\n  - {⟦name⟧: http, port: 8080}") },
  },
  WL317: {
    title: "Rules without effect",
    severity: "warning",
    meaning: "policyTypes decides which directions the policy is about. Rules of another direction are not used.",
    remedy: "Add the direction to policyTypes, or remove the rules.",
    example: { text: kubernetesExample("podSelector: {}\npolicyTypes: [Ingress]\n⟦egress⟧: [{}]") },
  },
  WL318: {
    title: "Denies everything",
    severity: "info",
    meaning: "A ztap/v1 policy without a rule denies everything in its direction, as the format's first version did.",
    remedy: "Nothing, if that is meant.",
    example: { text: ztapExample("podSelector: {matchLabels: {app: web}}\n⟦egress⟧: []") },
  },
  WL319: {
    title: "File without a document",
    severity: "info",
    meaning: "The file is empty or holds only comments.",
    remedy: "Nothing needs to be done.",
    example: { text: "# to be written\n" },
  },
  WL320: {
    title: "Implied label cannot be changed",
    severity: "warning",
    meaning: "Every namespace carries kubernetes.io/metadata.name with its own name; another value is ignored.",
    remedy: "Remove the label.",
    example: {
      text: "apiVersion: v1\nkind: Namespace\n⟦metadata⟧: {name: prod, labels: {kubernetes.io/metadata.name: test}}\n",
    },
  },
  WL321: {
    title: "Empty list means everything",
    severity: "warning",
    meaning: "In a Kubernetes rule an empty list of peers or ports means every peer or port, as if it were not there.",
    remedy: "Remove the line if everything is meant; remove the whole rule if nothing is.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - ⟦from⟧: []") },
  },
  WL322: {
    title: "No inventory",
    severity: "info",
    meaning:
      "The files hold policies and neither hosts nor workloads, so nothing can be said about what the selectors pick.",
    remedy: "Check the policies together with the inventory.",
    example: { text: kubernetesExample("podSelector: ⟦{}⟧"), alone: true },
  },
  WL323: {
    title: "Address that no peer has",
    severity: "warning",
    meaning: "Loopback, multicast, broadcast and unspecified addresses never identify a host to others.",
    remedy: "Write the address under which other hosts see it.",
    example: { text: hostExample("addresses: [⟦127.0.0.1⟧]") },
  },
  WL324: {
    title: "Workload without processes",
    severity: "warning",
    meaning: "The workload names a host and not how its processes are found there, so it only counts as a peer.",
    remedy: "Add match with systemdUnit, cgroupPath, container or user.",
    example: { text: workloadExample("⟦host⟧: web-1") },
  },
  WL325: {
    title: "Workload nowhere",
    severity: "warning",
    meaning: "The workload has neither a host nor addresses, so no connection can be from or to it.",
    remedy: "Add host or addresses.",
    example: { text: workloadExample("⟧").replace("spec:\n  ⟧", "⟦spec⟧: {}") },
  },
} as const satisfies Record<`WL3${string}`, DiagnosticDefinition>;
