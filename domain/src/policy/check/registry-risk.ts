import { type DiagnosticDefinition, kubernetesExample } from "./definition.ts";
import type { RiskOptions } from "./risk.ts";

/** A host that is told about, as the console tells of it. */
function needsOf(
  purpose: NonNullable<RiskOptions["hosts"]>[number]["connections"][number]["purpose"],
  direction: "ingress" | "egress",
  remote: string,
  protocol: number,
  port: number,
): RiskOptions {
  return { hosts: [{ hostName: "web-1", connections: [{ purpose, direction, remotes: [remote], protocol, port }] }] };
}

const CLOSED_IN = kubernetesExample("podSelector: {matchLabels: {app: web}}\ningress:\n  - ports: [{port: 443}]");
const SSH_IN = kubernetesExample("podSelector: {matchLabels: {app: web}}\ningress:\n  - ports: [{port: 22}]");
const CLOSED_OUT = kubernetesExample(
  "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress:\n  - ports: [{port: 443}]",
);
const DNS_OUT = kubernetesExample(
  "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress:\n  - ports: [{port: 53, protocol: UDP}]",
);

function marked(text: string): string {
  return text.replace("apiVersion: networking.k8s.io/v1", "⟦apiVersion: networking.k8s.io/v1⟧");
}

/** `WL4xx`: the policies do what they say, and that cuts off something that is needed. */
export const RISK_DIAGNOSTICS = {
  WL401: {
    title: "Cuts the console's own connection",
    severity: "error",
    meaning:
      "The connection over which the console reaches the host would be denied. Nobody could confirm the change, so the host would take it back.",
    remedy: "Allow the connection from the console's address, or manage the host over another path first.",
    example: { text: marked(CLOSED_IN), risks: needsOf("console", "ingress", "198.51.100.7", 6, 22) },
  },
  WL402: {
    title: "Cuts a DNS server",
    severity: "warning",
    meaning: "The host asks this server for names, and would no longer reach it.",
    remedy: "Allow port 53 to the host's DNS servers.",
    example: { text: marked(CLOSED_OUT), risks: needsOf("dns", "egress", "192.0.2.53", 17, 53) },
  },
  WL403: {
    title: "Cuts a time server",
    severity: "warning",
    meaning:
      "The host sets its clock by this server. With a wrong clock, certificates fail and policies expire at the wrong moment.",
    remedy: "Allow port 123 over UDP to the host's time servers.",
    example: { text: marked(DNS_OUT), risks: needsOf("time", "egress", "192.0.2.123", 17, 123) },
  },
  WL404: {
    title: "Cuts the cluster's own ports",
    severity: "warning",
    meaning: "Members of a cluster or of the mesh talk to each other here; without it the host drops out of it.",
    remedy: "Allow the port between the members.",
    example: { text: marked(SSH_IN), risks: needsOf("etcd", "ingress", "192.0.2.20", 6, 2380) },
  },
  WL405: {
    title: "Cannot resolve names",
    severity: "warning",
    meaning: "Everything outgoing that is not allowed is denied, and no rule allows port 53 to any address.",
    remedy: "Allow port 53 over UDP and TCP to the DNS servers, unless the subjects need no names.",
    example: { text: marked(CLOSED_OUT), risks: {} },
  },
  WL406: {
    title: "Cuts SSH from everywhere",
    severity: "warning",
    meaning: "Nobody, from any address, could open an SSH connection to the host.",
    remedy: "Allow port 22 from where you administer, unless the host is managed some other way.",
    example: { text: marked(CLOSED_IN), risks: {} },
  },
} as const satisfies Record<`WL4${string}`, DiagnosticDefinition>;
