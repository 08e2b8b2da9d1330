import type { DiagnosticDefinition } from "./definition.ts";

function cilium(spec: string): string {
  return `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: example}\nspec:\n${lines(spec)}`;
}

function calico(spec: string): string {
  return `apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: example}\nspec:\n${lines(spec)}`;
}

function lines(spec: string): string {
  return `${spec
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n")}\n`;
}

const WEB = "endpointSelector: {matchLabels: {app: web}}\n";

/** `WL250` to `WL269`: a policy of another system says something that has no equal here. */
export const IMPORT_DIAGNOSTICS = {
  WL250: {
    title: "Part of a foreign policy that cannot be imported",
    severity: "error",
    meaning:
      "The field restricts connections by something that Wardline does not look at. Without it the policy would mean more than it says, so the document is refused whole.",
    remedy: "Leave the document to the system that it was written for, or say the same by addresses, labels and ports.",
    example: { text: cilium(`${WEB}ingress:\n  - toPorts: [{ports: [{port: "80"}], ⟦rules⟧: {http: [{}]}}]`) },
  },
  WL251: {
    title: "Value of a foreign policy that cannot be imported",
    severity: "error",
    meaning: "The field is read, and this value of it has no equal here. The document is refused whole.",
    remedy: "Write what is meant by labels or addresses.",
    example: { text: cilium(`${WEB}ingress:\n  - fromEntities: [⟦kube-apiserver⟧]`) },
  },
  WL252: {
    title: "Selector expression that cannot be read",
    severity: "error",
    meaning: "The text is no selector of Calico.",
    remedy: "Correct it: comparisons such as app == 'web', in, not in, has(app), joined by &&.",
    example: { text: calico("selector: ⟦app = 'web'⟧\ningress: []") },
  },
  WL253: {
    title: "Selector expression that cannot be expressed",
    severity: "error",
    meaning:
      "Selectors here are label comparisons that must all hold. Alternatives between different labels, and comparisons with parts of a value, have no equal.",
    remedy: "Make it several policies or rules, one for each alternative.",
    example: { text: calico("selector: ⟦app == 'web' || tier == 'front'⟧\ningress: []") },
  },
  WL254: {
    title: "Address block that means more here",
    severity: "warning",
    meaning:
      "In Cilium an address block never means pods or nodes of the cluster, whatever their addresses. Here it means every address in it.",
    remedy: "Except the addresses of the cluster from the block, where it holds them.",
    example: { text: cilium(`${WEB}ingress:\n  - ⟦fromCIDR⟧: [10.0.0.0/8]`) },
  },
  WL255: {
    title: "Denial after the Kubernetes policies",
    severity: "error",
    meaning:
      "In Calico a policy of order 1000 or more, or without an order, comes after the Kubernetes network policies. What these allow is final here, so a denial after them has no place.",
    remedy: "Give the policy an order below 1000.",
    example: { text: calico("selector: app == 'web'\norder: 2000\ningress:\n  - action: ⟦Deny⟧") },
  },
  WL256: {
    title: "Log rule without effect",
    severity: "info",
    meaning: "A Log rule decides nothing. Connections and denials are always recorded here.",
    remedy: "Nothing.",
    example: { text: calico("selector: app == 'web'\norder: 10\ningress:\n  - action: ⟦Log⟧") },
  },
  WL257: {
    title: "Order that cannot be imported",
    severity: "error",
    meaning: "The order becomes a priority, which is a whole number.",
    remedy: "Use a whole number from -999.",
    example: { text: calico("selector: app == 'web'\norder: ⟦10.5⟧\ningress:\n  - action: Allow") },
  },
} as const satisfies Record<`WL2${string}`, DiagnosticDefinition>;
