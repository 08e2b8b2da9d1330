/** Network policies whose rules have the shape that is read at once, or nearly. */
import fc from "fast-check";
import { disturbed } from "./texts.ts";

/** Mostly what the shape takes: one other value in a policy leaves one rule to the usual reading. */
function mostly(taken: readonly string[], others: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...taken) }, fc.constantFrom(...others));
}

const cidr = mostly(
  ["10.0.0.0/8", "10.77.1.4/32", "0.0.0.0/0", "192.168.255.0/24", "255.255.255.255/32", "10.0.0.16/28"],
  ["10.0.0.1/8", "10.0.0.0/33", "010.0.0.0/8", "10.0.0/8", "256.0.0.0/8", "10.0.0.0", "::/0", "1.2.3.4/08"],
);
const port = mostly(["1", "80", "443", "8080", "65535"], ["0", "65536", "080", "-1", "http", "100000", '"80"', "1e3"]);
const protocol = mostly(["TCP", "UDP", "SCTP"], ["TCPX", "ICMP", "tcp", "T"]);
const layout = fc.constantFrom("brackets", "beside", "inside");

interface RuleParts {
  readonly peersKey: string;
  readonly cidr: string;
  readonly protocol: string;
  readonly port: string;
  readonly endPort: string | null;
  readonly layout: string;
  readonly after: string;
}

const rule: fc.Arbitrary<RuleParts> = fc.record({
  peersKey: mostly(["to"], ["from"]),
  cidr,
  protocol,
  port,
  endPort: fc.option(port),
  layout,
  after: mostly([""], ["\n", "# why\n", "    # why\n", "    name: x\n", "    "]),
});

function textOf({ peersKey, layout, after, ...values }: RuleParts): string {
  const { cidr, protocol, port, endPort } = values;
  if (layout === "brackets") {
    const end = endPort === null ? "" : `, endPort: ${endPort}`;
    return `  - ${peersKey}: [{ipBlock: {cidr: ${cidr}}}]\n    ports: [{protocol: ${protocol}, port: ${port}${end}}]\n${after}`;
  }
  const list = layout === "beside" ? "    " : "      ";
  const end = endPort === null ? "" : `${list}  endPort: ${endPort}\n`;
  const peers = `  - ${peersKey}:\n${list}- ipBlock:\n${list}    cidr: ${cidr}\n`;
  return `${peers}    ports:\n${list}- protocol: ${protocol}\n${list}  port: ${port}\n${end}${after}`;
}

/** Values of all kinds in layouts of all kinds. */
export const shapedPolicies: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(["egress", "Egress"], ["ingress", "Ingress"]),
    fc.array(rule, { minLength: 1, maxLength: 4 }),
    fc.constantFrom("", "  ingress: []\n", "---\n", "status: {}\n"),
  )
  .map(([[field, type], rules, after]) => {
    const head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n";
    const spec = `spec:\n  podSelector: {}\n  policyTypes: [${type}]\n  ${field}:\n`;
    return `${head}${spec}${rules.map(textOf).join("")}${after}`;
  });

/** The same with one to four places changed. */
export const disturbedShapes: fc.Arbitrary<string> = shapedPolicies.chain((text) => disturbed([text]));
