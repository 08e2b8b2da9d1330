/** The policies and inventory of a large fleet as files. The same size gives the same text. Only for tests. */

export interface LargeFleetSize {
  readonly hosts: number;
  /** On the hosts, one after the other. */
  readonly workloads: number;
  readonly rules: number;
}

export interface LargeFleetFile {
  readonly path: string;
  readonly text: string;
}

const RULES_OF_POLICY = 10;
const HOSTS_OF_FILE = 500;
const POLICIES_OF_FILE = 50;
/** Hosts of one service. */
export const REPLICAS = 4;

export function hostAddress(index: number): string {
  return `10.${10 + (index >> 16)}.${(index >> 8) & 0xff}.${index & 0xff}`;
}

export function workloadAddress(index: number): string {
  return `10.${60 + (index >> 16)}.${(index >> 8) & 0xff}.${index & 0xff}`;
}

function labels(index: number): string {
  const service = Math.floor(index / REPLICAS);
  return `{ app: app-${service}, tier: tier-${service % 7}, zone: zone-${index % 5} }`;
}

function host(index: number): string {
  return `apiVersion: wardline.io/v1
kind: Host
metadata: { name: host-${index}, labels: ${labels(index)} }
spec: { addresses: [${hostAddress(index)}] }
`;
}

function workload(index: number, hosts: number): string {
  return `apiVersion: wardline.io/v1
kind: Workload
metadata: { name: work-${index}, namespace: prod, labels: ${labels(index)} }
spec: { host: host-${index % hosts}, addresses: [${workloadAddress(index)}], match: { systemdUnit: work-${index}.service } }
`;
}

function policy(index: number, services: number): string {
  const rules = Array.from({ length: RULES_OF_POLICY }, (_, place) => {
    const number = index * RULES_OF_POLICY + place;
    const peer =
      place % 3 === 0
        ? `ipBlock: { cidr: 172.${16 + (number % 16)}.${(number >> 4) & 0xff}.0/24 }`
        : `selector: { matchLabels: { app: app-${(number * 13) % services}, zone: zone-${number % 5} } }`;
    return `    - from: [{ ${peer} }]
      ports: [{ protocol: TCP, port: ${1024 + ((number * 7) % 4_000)} }]
`;
  });
  const namespace = index % 2 === 0 ? "default" : "prod";
  return `apiVersion: wardline.io/v1
kind: Policy
metadata: { name: rules-${index}, namespace: ${namespace} }
spec:
  subject: { selector: { matchLabels: { app: app-${index % services} } } }
  isolate: [ingress]
  ingress:
${rules.join("")}`;
}

export function largeFleet({ hosts, workloads, rules }: LargeFleetSize): readonly LargeFleetFile[] {
  const services = Math.ceil(hosts / REPLICAS);
  const inventory = [
    ...Array.from({ length: hosts }, (_, index) => host(index)),
    ...Array.from({ length: workloads }, (_, index) => workload(index, hosts)),
  ];
  const policies = Array.from({ length: Math.ceil(rules / RULES_OF_POLICY) }, (_, index) => policy(index, services));
  return [...inFiles("hosts", inventory, HOSTS_OF_FILE), ...inFiles("policies", policies, POLICIES_OF_FILE)];
}

function inFiles(folder: string, documents: readonly string[], size: number): readonly LargeFleetFile[] {
  return Array.from({ length: Math.ceil(documents.length / size) }, (_, index) => ({
    path: `${folder}/${index}.yaml`,
    text: documents.slice(index * size, (index + 1) * size).join("---\n"),
  }));
}
