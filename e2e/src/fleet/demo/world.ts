/** The small shop of the demo: its hosts, who talks to whom there, and the documents that the workspace begins with. */
import type { DualAddress } from "../addresses.ts";
import type { FleetHostSpec } from "../fleet-host.ts";
import { trafficUnit } from "../host-files.ts";

/** Stands in for the machine of the person: the console's own agent. */
export const DESK = "desk-1";

export interface DemoHost {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
}

export const SHOP: readonly DemoHost[] = [
  { name: "web-1", labels: { app: "web", tier: "front" }, groups: ["shop"] },
  { name: "api-1", labels: { app: "api", tier: "middle" }, groups: ["shop"] },
  { name: "db-1", labels: { app: "db", tier: "data" }, groups: ["shop", "data"] },
];

/** What the database answers with. Many sessions that carry next to nothing look like passwords being tried. */
const ROWS_BYTES = 6_000;

/** One wrong way is among them: the web server asks the database directly, past the application. */
const SERVICES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "web-1": {
    "shop-web.service": trafficUnit("Web server of the shop", "listen=8080", "call=api-1:8080/700"),
    "shop-report.service": trafficUnit("Nightly report that nobody remembers", "call=db-1:5432/4000"),
  },
  "api-1": { "shop-api.service": trafficUnit("Application of the shop", "listen=8080", "call=db-1:5432/900") },
  "db-1": { "shop-db.service": trafficUnit("Database of the shop", `listen=5432/${ROWS_BYTES}`) },
  [DESK]: {},
};

export const DEMO_HOSTS: readonly FleetHostSpec[] = [...SHOP.map(({ name }) => name), DESK].map((name) => ({
  name,
  services: SERVICES[name] ?? {},
}));

/** Indexes of {@link DEMO_HOSTS} that each dials in the mesh: a ring of four with a chord. All dial later ones. */
export const MESH_DIALS: readonly (readonly number[])[] = [[1, 2, 3], [2], [3], []];

/** Host documents of all machines, as a file of the workspace. */
export function hostDocuments(addresses: Readonly<Record<string, DualAddress>>): string {
  const described = [...SHOP, { name: DESK, labels: { app: "desk" }, groups: [] }];
  const documents = described.map(({ name, labels }) => {
    const own = addresses[name];
    const text = Object.entries(labels).map(([key, value]) => `${key}: ${value}`);
    return `apiVersion: wardline.io/v1
kind: Host
metadata:
  name: ${name}
  labels: {${text.join(", ")}}
spec:
  addresses: ["${own?.[4]}", "${own?.[6]}"]
`;
  });
  return documents.join("---\n");
}

/** What the shop needs and nothing else comes in, but SSH from the console. */
export function shopPolicies(console: DualAddress): string {
  return `# Who may talk to whom in the shop. Plan it to see what would change, then apply it.
#
# web-1 also asks the database directly, every four seconds (shop-report.service). No rule here allows that.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: api-from-web
spec:
  podSelector:
    matchLabels: {app: api}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {app: web}
      ports:
        - port: 8080
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: database-from-api
spec:
  podSelector:
    matchLabels: {app: db}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {app: api}
      ports:
        - port: 5432
---
# Without this one the two above would cut the console off: whatever no policy allows is refused.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ssh-from-console
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from:
        - ipBlock:
            cidr: ${console[4]}/32
        - ipBlock:
            cidr: ${console[6]}/128
      ports:
        - port: 22
---
# The cluster lives on these: agents among each other, and etcd with its clients and its own kind.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: cluster
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {}
      ports:
        - port: 7443
        - port: 2379
        - port: 2380
---
# The mesh's own connections; who talks to whom inside of it is another matter.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: mesh
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {}
      ports:
        - port: 12345
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web-for-all
spec:
  podSelector:
    matchLabels: {app: web}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - port: 8080
---
apiVersion: wardline.io/v1
kind: PolicyTest
metadata:
  name: what-must-hold
spec:
  description: The database belongs to the application.
  tests:
    - from:
        selector:
          matchLabels: {app: api}
      to:
        selector:
          matchLabels: {app: db}
      ports:
        - {protocol: TCP, port: 5432}
      expect: allow
      because: The application keeps its orders there.
    - from:
        selector:
          matchLabels: {app: web}
      to:
        selector:
          matchLabels: {app: db}
      ports:
        - {protocol: TCP, port: 5432}
      expect: deny
      because: What faces the internet never sees the database.
`;
}
