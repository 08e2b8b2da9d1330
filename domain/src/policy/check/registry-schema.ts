import {
  adminExample,
  clusterExample,
  type DiagnosticDefinition,
  hostExample,
  kubernetesExample,
  policyExample,
  workloadExample,
  ztapExample,
} from "./definition.ts";

/** `WL2xx`: the YAML is fine and does not have the shape of its kind. */
export const SCHEMA_DIAGNOSTICS = {
  WL201: {
    title: "Unknown field",
    severity: "error",
    meaning: "The field does not exist here. If it were ignored, a typo could leave a policy empty without a word.",
    remedy: "Correct the name, or remove the field.",
    example: { text: ztapExample("podSelector: {matchLabels: {app: web}}\n⟦egres⟧: []\ningress: []") },
  },
  WL202: {
    title: "Field missing",
    severity: "error",
    meaning: "A field without which the document has no meaning is not there.",
    remedy: "Add the field.",
    example: {
      text: ztapExample("podSelector: {matchLabels: {app: web}}\negress:\n  - ⟦to⟧: {ipBlock: {cidr: 10.0.0.0/8}}"),
    },
  },
  WL203: {
    title: "Wrong kind of value",
    severity: "error",
    meaning: "The field takes a mapping, a list or text, and this is something else.",
    remedy: "Write the value in the form that the message names.",
    example: { text: hostExample("addresses: ⟦192.0.2.1⟧") },
  },
  WL204: {
    title: "Text must be quoted",
    severity: "error",
    meaning: "Without quotes YAML reads the value as a number, true or false, where the field takes text.",
    remedy: "Put the value in quotes.",
    example: {
      text: kubernetesExample("podSelector: {}\ningress:\n  - from: [{podSelector: {matchLabels: {version: ⟦1⟧}}}]"),
    },
  },
  WL205: {
    title: "Not a plain number",
    severity: "error",
    meaning:
      "The field takes a whole number in decimal digits. With quotes it is text, in Kubernetes even the name of a port.",
    remedy: "Write digits only, without quotes, leading zeros, signs or fractions.",
    example: { text: kubernetesExample('podSelector: {}\ningress:\n  - ports: [{port: ⟦"443"⟧}]') },
  },
  WL206: {
    title: "Not one of the allowed words",
    severity: "error",
    meaning: "The field takes one of a few words, in exactly this spelling.",
    remedy: "Use one of the words that the message lists.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - ports: [{protocol: ⟦tcp⟧, port: 443}]") },
  },
  WL207: {
    title: "Name not allowed",
    severity: "error",
    meaning: "Names follow the rules of Kubernetes, so that they are safe in host names, paths and labels.",
    remedy: "Use lower-case letters, digits and hyphens, within the length that the message gives.",
    example: { text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: ⟦App_1⟧\n" },
  },
  WL208: {
    title: "Label key not allowed",
    severity: "error",
    meaning: "A label key is a name of up to 63 characters, with a DNS name and a slash before it if wanted.",
    remedy: "Use letters, digits, hyphens, dots and underscores.",
    example: { text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: example\n  labels: {⟦-app⟧: web}\n" },
  },
  WL209: {
    title: "Label value not allowed",
    severity: "error",
    meaning: "A label value has up to 63 letters, digits, hyphens, dots and underscores, or is empty.",
    remedy: "Shorten or respell it; free text belongs into annotations.",
    example: {
      text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: example\n  labels: {app: ⟦my web server⟧}\n",
    },
  },
  WL210: {
    title: "Not an address",
    severity: "error",
    meaning: "The text is no IPv4 or IPv6 address, or no prefix such as 10.0.0.0/8.",
    remedy: "Correct the address; host names are not read here.",
    example: { text: hostExample("addresses: [⟦192.0.2.300⟧]") },
  },
  WL211: {
    title: "Port out of range",
    severity: "error",
    meaning: "Ports go from 1 to 65535.",
    remedy: "Correct the number; to mean every port, leave the field out where the format allows that.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - ports: [{port: ⟦65536⟧}]") },
  },
  WL212: {
    title: "Fields exclude each other",
    severity: "error",
    meaning: "Two fields stand together of which only one can hold, or one needs another that is not there.",
    remedy: "Keep one of them; two alternatives are two list entries.",
    example: {
      text: kubernetesExample(
        "podSelector: {}\ningress:\n  - from:\n      - podSelector: {}\n        ⟦ipBlock⟧: {cidr: 10.0.0.0/8}",
      ),
    },
  },
  WL213: {
    title: "Kind not supported",
    severity: "error",
    meaning: "Documents of this kind are not read so far, and ignoring a policy would be worse than refusing it.",
    remedy: "Correct the kind, or leave the document out.",
    example: {
      text: "apiVersion: networking.k8s.io/v1\nkind: ⟦NetworkPolice⟧\nmetadata: {name: example}\nspec: {podSelector: {}}\n",
    },
  },
  WL214: {
    title: "apiVersion not supported",
    severity: "error",
    meaning: "The kind is known, but not in this version.",
    remedy: "Use the version that the message names.",
    example: { text: "apiVersion: ⟦wardline.io/v2⟧\nkind: Host\nmetadata: {name: example}\n" },
  },
  WL215: {
    title: "Document is no mapping",
    severity: "error",
    meaning: "A document starts with apiVersion, kind and metadata.",
    remedy: "Remove the document, or write it as a mapping.",
    example: { text: "⟦just a line of text⟧\n" },
  },
  WL216: {
    title: "End of a port range does not fit",
    severity: "error",
    meaning:
      "A range of ports goes from a port number up to an end that is not below it; where a format has a field for single ports, the end is above it.",
    remedy: "Swap or correct the numbers.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - ports: [{port: 8080, endPort: ⟦8000⟧}]") },
  },
  WL217: {
    title: "Values do not fit the operator",
    severity: "error",
    meaning: "In and NotIn compare with values; Exists and DoesNotExist take none.",
    remedy: "Add or remove the values, or change the operator.",
    example: {
      text: kubernetesExample("podSelector:\n  matchExpressions:\n    - {key: app, operator: Exists, ⟦values⟧: [web]}"),
    },
  },
  WL218: {
    title: "Empty where something is needed",
    severity: "error",
    meaning:
      "An empty list or selector is not a way to say everything here: a ztap/v1 selector names a label, and peers or ports that are listed are at least one.",
    remedy: "Add an entry; where the format allows it, leave the field out to mean everything.",
    example: { text: ztapExample("⟦podSelector⟧: {}\negress: []") },
  },
  WL219: {
    title: "Empty peer",
    severity: "error",
    meaning: "A peer without a selector or an address block says neither everybody nor nobody.",
    remedy: "Write podSelector: {} for everybody in the namespace, or remove the entry.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - from: [⟦{}⟧]") },
  },
  WL220: {
    title: "Character that only looks right",
    severity: "error",
    meaning:
      "The name holds a letter of another script, a typographic hyphen or an invisible character. It would never match what it seems to say.",
    remedy: "Type the name again.",
    example: { text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: ⟦wеb-3⟧\n" },
  },
  WL221: {
    title: "Field without a value",
    severity: "error",
    meaning:
      "The field is there and nothing follows it. In Kubernetes that can mean everything, which is rarely meant.",
    remedy: "Write the value, or remove the field.",
    example: { text: kubernetesExample("podSelector: {}\ningress:\n  - ⟦from⟧:") },
  },
  WL222: {
    title: "Match value not allowed",
    severity: "error",
    meaning:
      "The processes of a workload are found by a unit, a cgroup path, a container or a user; the text is no such thing.",
    remedy: "Use the form that the message names.",
    example: { text: workloadExample("host: web-1\nmatch: {systemdUnit: ⟦nginx⟧}") },
  },
  WL223: {
    title: "Shape of another version",
    severity: "error",
    meaning:
      "Another version of the format, often an early draft, has this here. It is refused by name, not guessed at.",
    remedy: "Write what the message names.",
    example: {
      text: adminExample(
        "priority: 10\nsubject: {namespaces: {}}\ningress:\n  - action: Deny\n    from: [{namespaces: {⟦sameLabels⟧: [tenant]}}]",
      ),
    },
  },
  WL224: {
    title: "Too many entries",
    severity: "error",
    meaning: "The format limits how long this list may be.",
    remedy: "Split the entries over several rules or policies.",
    example: {
      text: clusterExample(
        `tier: Admin\npriority: 10\nsubject: {namespaces: {}}\negress:\n  - action: Deny\n    to:\n      - networks: [${Array.from({ length: 25 }, (_, index) => `10.${index}.0.0/16`).join(", ")}, ⟦10.99.0.0/16⟧]`,
      ),
    },
  },
  WL225: {
    title: "Number out of range",
    severity: "error",
    meaning: "The number is outside of what the field takes.",
    remedy: "Use a number within the bounds that the message names.",
    example: { text: adminExample("priority: ⟦1001⟧\nsubject: {namespaces: {}}") },
  },
  WL226: {
    title: "Text too long",
    severity: "error",
    meaning: "The format limits the length of this text.",
    remedy: "Shorten it.",
    example: {
      text: adminExample(
        `priority: 10\nsubject: {namespaces: {}}\ningress:\n  - name: ⟦${"n".repeat(101)}⟧\n    action: Deny\n    from: [{namespaces: {}}]`,
      ),
    },
  },
  WL227: {
    title: "Not a domain name",
    severity: "error",
    meaning: "A domain name has at least two labels, and * stands only for the labels before the rest.",
    remedy: "Write a name such as example.org or *.example.org.",
    example: {
      text: adminExample(
        "priority: 10\nsubject: {namespaces: {}}\negress:\n  - action: Allow\n    to: [{domainNames: [⟦api.*.example.org⟧]}]",
      ),
    },
  },
  WL228: {
    title: "Domain names only in egress rules that allow",
    severity: "error",
    meaning:
      "Who connects is known by address only. Other names may have the same addresses, and the same name others tomorrow, so denying or passing by name would not do what it says.",
    remedy: "Allow the names, and deny the rest by address in a rule below.",
    example: {
      text: adminExample(
        "priority: 10\nsubject: {namespaces: {}}\negress:\n  - ⟦action⟧: Deny\n    to: [{domainNames: [example.org]}]",
      ),
    },
  },
  WL229: {
    title: "Not the name of the baseline",
    severity: "error",
    meaning: "Kubernetes knows one BaselineAdminNetworkPolicy, with the name default.",
    remedy: "Name it default, or write a ClusterNetworkPolicy of the tier Baseline.",
    example: {
      text: "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata:\n  name: ⟦baseline⟧\nspec:\n  subject: {namespaces: {}}\n",
    },
  },
  WL230: {
    title: "Not in this tier",
    severity: "error",
    meaning:
      "The app tier adds up what its policies allow and denies the rest, so it has no order and no denial. The other tiers go by order, so nobody becomes isolated there.",
    remedy: "Remove the field, or move the policy to the tier that the message names.",
    example: {
      text: policyExample(
        "subject: {selector: {matchLabels: {app: web}}}\negress:\n  - action: ⟦deny⟧\n    to: [{entity: world}]",
      ),
    },
  },
  WL231: {
    title: "Not a moment",
    severity: "error",
    meaning: "A moment is written with date, time and offset (RFC 3339), so that it is the same on every host.",
    remedy: "Write it as 2027-01-31T18:00:00Z or with an offset such as +01:00.",
    example: {
      text: policyExample("subject: {selector: {matchLabels: {app: web}}}\nexpires: ⟦2027-01-31⟧\negress: []"),
    },
  },
  WL232: {
    title: "Does not fit the protocol",
    severity: "error",
    meaning: "TCP, UDP and SCTP have ports, ICMP and ICMPv6 have types and codes, other protocols neither.",
    remedy: "Remove the field, or change the protocol.",
    example: {
      text: policyExample(
        "subject: {selector: {matchLabels: {app: web}}}\ningress:\n  - ports: [{protocol: ICMP, ⟦port⟧: 8}]",
      ),
    },
  },
  WL233: {
    title: "Not a mesh key",
    severity: "error",
    meaning:
      "A node of the overlay is known by its public key, 64 hexadecimal digits. The text is not shown, because it may be a private key.",
    remedy: "Write the key that the node's daemon names, as in yggdrasilctl getself.",
    example: {
      text: policyExample(
        "subject: {selector: {matchLabels: {app: web}}}\ningress:\n  - from: [{meshNode: {key: ⟦6ab7523d02831823⟧}}]",
      ),
    },
  },
  WL234: {
    title: "Mesh address of another key",
    severity: "error",
    meaning:
      "The overlay computes a node's address and its prefix from its key. This address is of neither, so packets from it would be somebody else's.",
    remedy: "Remove the address, or correct meshKey; the address of the key counts without being listed.",
    example: {
      text: hostExample(
        `addresses: [⟦"200:db8::1"⟧]\nmeshKey: 6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a`,
      ),
    },
  },
  WL235: {
    title: "Mesh key of two hosts",
    severity: "error",
    meaning:
      "One key is one node of the overlay. Two hosts with one key would answer for each other, and policies could not tell them apart.",
    remedy: "Correct meshKey; a host whose configuration was copied needs a new key.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Host
metadata: {name: a-1}
spec: {meshKey: 6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: b-1}
spec: {meshKey: ⟦6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a⟧}
`,
    },
  },
} as const satisfies Record<`WL2${string}`, DiagnosticDefinition>;
