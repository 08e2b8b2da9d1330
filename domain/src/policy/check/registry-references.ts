import { type DiagnosticDefinition, policyExample } from "./definition.ts";

/** What a document names in others. */
export const REFERENCE_DIAGNOSTICS = {
  WL326: {
    title: "Unknown service",
    severity: "error",
    meaning: "The service is in none of the documents, so nobody knows who is meant.",
    remedy: "Correct the name or the namespace, or add a Service document.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Service
metadata: {name: resolver}
spec: {addresses: [192.0.2.53]}
---
${policyExample("subject: {selector: {matchLabels: {app: web}}}\negress:\n  - to: [{service: {name: ⟦resolvers⟧}}]")}`,
    },
  },
  WL327: {
    title: "Port name of a service that nobody has",
    severity: "warning",
    meaning:
      "The service names a port, and none of the hosts and workloads that it picks declares one of this name and protocol. Such an entry matches nothing.",
    remedy: "Correct the name, add the port to the Host or Workload, or write the number.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Service
metadata: {name: database}
spec:
  selector: {matchLabels: {app: db}}
  ports:
    - ⟦{port: postgrez}⟧
`,
    },
  },
  WL328: {
    title: "Service does not fit here",
    severity: "error",
    meaning:
      "The service has domain names. These can only be allowed in egress rules, and no proof can be given for addresses that change.",
    remedy: "Use a service without domain names, or an address block.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Service
metadata: {name: mirror}
spec: {domainNames: [mirror.example.org]}
---
${policyExample("subject: {selector: {matchLabels: {app: web}}}\ningress:\n  - from: [{service: ⟦{name: mirror}⟧}]")}`,
    },
  },
  WL329: {
    title: "Unknown policy or rule",
    severity: "error",
    meaning: "The test asks who decides, and no document has this policy or rule.",
    remedy: "Correct the name; write Kind/namespace/name where two kinds share a name.",
    example: {
      text: `${policyExample("subject: {selector: {matchLabels: {app: db}}}\ningress:\n  - from: [{selector: {matchLabels: {app: web}}}]")}---
apiVersion: wardline.io/v1
kind: PolicyTest
metadata: {name: who-decides}
spec:
  tests:
    - from: {selector: {matchLabels: {app: web}}}
      to: {selector: {matchLabels: {app: db}}}
      expect: allow
      via: {policy: ⟦exampel⟧}
`,
    },
  },
  WL330: {
    title: "Services stand for too much",
    severity: "error",
    meaning:
      "What services stand for is put into every rule and test that names them. There is a limit, so that a short file cannot become a very large one.",
    remedy: "Use prefixes or labels instead of long lists of addresses.",
    example: {
      text: `apiVersion: wardline.io/v1
kind: Service
metadata: {name: many}
spec: {addresses: [${Array.from({ length: 100 }, (_, index) => `10.0.0.${index + 1}`).join(", ")}]}
---
apiVersion: wardline.io/v1
kind: PolicyTest
metadata: {name: each-to-each}
spec:
  tests:
    - &each {from: {service: ⟦{name: many}⟧}, to: {service: {name: many}}, expect: deny}
${"    - *each\n".repeat(20)}`,
    },
  },
} as const satisfies Record<`WL3${string}`, DiagnosticDefinition>;
