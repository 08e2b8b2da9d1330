/** Policy texts of the fleet's tests. */
import type { DualAddress } from "./addresses.ts";
import type { FleetHost } from "./fleet-host.ts";

/** Host documents, each with the label `app: <name>`. */
export function describeHosts(hosts: readonly FleetHost[]): string {
  return hosts
    .map(
      ({ name, address }) => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: ${name}, labels: {app: ${name}}}
spec: {addresses: ["${address[4]}", "${address[6]}"]}
`,
    )
    .join("---\n");
}

/** Lets the host be reached on these TCP ports from everywhere, and on no other. */
export function openOnly(name: string, ...ports: readonly number[]): string {
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${name}-ports}
spec:
  podSelector: {matchLabels: {app: ${name}}}
  policyTypes: [Ingress]
  ingress: [${ports.length === 0 ? "" : `{ports: [${ports.map((port) => `{port: ${port}}`).join(", ")}]}`}]
`;
}

/** Lets everything in but what comes from these addresses. */
export function shutOut(name: string, address: DualAddress): string {
  return `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: ${name}-shut-out}
spec:
  tier: admin
  subject: {selector: {matchLabels: {app: ${name}}}}
  ingress:
    - name: the console
      action: deny
      from: [{ipBlock: {cidr: ${address[4]}/32}}, {ipBlock: {cidr: "${address[6]}/128"}}]
`;
}
