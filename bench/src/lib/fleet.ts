/** A fleet of hosts in applications, with policies as text and the flows that such a fleet records. */
import type { SourceFile } from "@wardline/domain/policy";

const APPLICATIONS = 100;
const PORTS_OF_APPLICATION = 4;
/** Other hosts that connect to a host. */
const PEERS = 13;
const HOSTS_IN_FILE = 200;
const POLICIES_IN_FILE = 100;

function addressOf(host: number): string {
  return `10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`;
}

function applicationOf(host: number): number {
  return host % APPLICATIONS;
}

/** Host documents and NetworkPolicy documents; each policy opens one application to another one on a port. */
export function makeFleet(hosts: number, policies: number): SourceFile[] {
  const documents: { path: string; text: string }[] = [];
  for (let host = 0; host < hosts; host++) {
    documents.push({
      path: `hosts/${Math.floor(host / HOSTS_IN_FILE)}.yaml`,
      text: `apiVersion: wardline.io/v1
kind: Host
metadata: {name: host-${host}, labels: {app: app-${applicationOf(host)}, zone: zone-${host % 7}, slot: slot-${Math.floor(host / APPLICATIONS)}}}
spec: {addresses: [${addressOf(host)}]}
`,
    });
  }
  for (let policy = 0; policy < policies; policy++) {
    const to = policy % APPLICATIONS;
    const from = (to + 1 + (policy % 13)) % APPLICATIONS;
    documents.push({
      path: `policies/${Math.floor(policy / POLICIES_IN_FILE)}.yaml`,
      text: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: policy-${policy}, namespace: default}
spec:
  podSelector: {matchLabels: {app: app-${to}, slot: slot-${Math.floor(policy / APPLICATIONS) % 10}}}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {matchLabels: {app: app-${from}}}
        - ipBlock: {cidr: 192.168.${policy % 256}.0/24, except: [192.168.${policy % 256}.64/26]}
      ports: [{protocol: TCP, port: ${8000 + (policy % PORTS_OF_APPLICATION)}}, {protocol: TCP, port: ${9000 + (policy % 50)}, endPort: ${9010 + (policy % 50)}}]
`,
    });
  }
  const files = new Map<string, string[]>();
  for (const { path, text } of documents) files.set(path, [...(files.get(path) ?? []), text]);
  return [...files].map(([path, texts]) => ({ path, text: texts.join("---\n") }));
}

/** Deterministic (mulberry32), so that every run reads the same flows. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What `wardline flows --format json` prints of the fleet: most peers are few and often, some come from outside. */
export function makeFlowLines(count: number, hosts: number): Buffer {
  const random = createRandom(7);
  const lines: Buffer[] = [];
  let text = "";
  for (let index = 0; index < count; index++) {
    const to = Math.floor(random() * hosts);
    const isOutside = random() < 0.05;
    const from = (to + 1 + Math.floor(random() * PEERS)) % hosts;
    const source = isOutside ? `192.168.${Math.floor(random() * 256)}.${Math.floor(random() * 16)}` : addressOf(from);
    const isIngress = isOutside || random() < 0.5;
    const recorder = isIngress ? to : from;
    const isDenied = random() < 0.02;
    const verdict = isDenied ? "VERDICT_DENY" : "VERDICT_ALLOW";
    text += `${JSON.stringify({
      id: String(index + 1),
      host: `host-${recorder}`,
      time: new Date(1_790_000_000_000 + index * 80).toISOString(),
      kind: isDenied ? "FLOW_EVENT_KIND_DENY" : index % 2 ? "FLOW_EVENT_KIND_END" : "FLOW_EVENT_KIND_START",
      direction: isIngress ? "DIRECTION_INGRESS" : "DIRECTION_EGRESS",
      protocol: 6,
      sourceAddress: source,
      sourcePort: 32_768 + Math.floor(random() * 28_000),
      destinationAddress: addressOf(to),
      destinationPort: 8000 + Math.floor(random() * PORTS_OF_APPLICATION),
      ...(isOutside ? {} : { sourceName: `host-${from}` }),
      destinationName: `host-${to}`,
      verdict,
      enforced: verdict,
      decision: {
        id: "0123456789abcdef",
        verdict,
        reason: "DECISION_REASON_RULE",
        tier: "TIER_APPLICATION",
        policyKeys: [`NetworkPolicy/default/policy-${to * 10}`],
        rule: "ingress[0]",
        source: { file: `policies/${to}.yaml`, line: 12, column: 5, endLine: 14, endColumn: 1 },
        summary: `allowed by default/policy-${to * 10}, ingress[0]`,
      },
      generation: "3",
      subjectKey: `Host/host-${recorder}`,
      cgroupPath: "/system.slice/app.service",
      packets: "12",
      bytes: "4711",
    })}\n`;
    if (text.length > 2 ** 20) {
      lines.push(Buffer.from(text));
      text = "";
    }
  }
  lines.push(Buffer.from(text));
  return Buffer.concat(lines);
}
