/**
 * Takes the pictures of the documentation from the real system: `node e2e/src/screenshots.ts` (as root, with the
 * project's Node). A guarded host and a peer that plays its neighbours talk to each other under real policies.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { System, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";

const IMAGES_DIR = fileURLToPath(new URL("../../docs/images", import.meta.url));

const NEIGHBOURS = {
  "db-1": { address: "10.77.0.10", labels: "{app: db, role: primary}" },
  "db-2": { address: "10.77.0.11", labels: "{app: db, role: replica}" },
  "cache-1": { address: "10.77.0.12", labels: "{app: cache}" },
  "metrics-1": { address: "10.77.0.20", labels: "{role: monitoring}" },
  "lb-1": { address: "10.77.0.30", labels: "{role: load-balancer}" },
} as const;
const RESOLVER = "10.77.0.53";
const STRANGER = "198.51.100.23";

const host = (name: string, addresses: string, labels: string): string => `apiVersion: wardline.io/v1
kind: Host
metadata:
  name: ${name}
  labels: ${labels}
spec:
  addresses: [${addresses}]
`;

const WEB = `# The web tier: what reaches it, and what it may call.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
spec:
  podSelector:
    matchLabels:
      app: web
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              role: load-balancer
      ports:
        - port: 443
  egress:
    - to:
        - podSelector:
            matchLabels:
              app: db
      ports:
        - port: 5432
    - to:
        - podSelector:
            matchLabels:
              app: cache
      ports:
        - port: 6379
`;

const BASELINE = `# Every host of the namespace resolves names and is measured.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: resolve-names
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
    - to:
        - ipBlock:
            cidr: ${RESOLVER}/32
      ports:
        - protocol: UDP
          port: 53
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: metrics
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              role: monitoring
      ports:
        - port: 9100
`;

const FILES = {
  "policies/baseline.yaml": BASELINE,
  "policies/web.yaml": WEB,
  "hosts/web-1.yaml": host("web-1", "10.77.0.2", "{app: web}"),
  "hosts/neighbours.yaml": Object.entries(NEIGHBOURS)
    .map(([name, { address, labels }]) => host(name, address, labels))
    .join("---\n"),
};

const [DB_1, DB_2, CACHE, METRICS, BALANCER] = Object.values(NEIGHBOURS).map(({ address }) => address);

type Attempt = readonly [from: "host" | "peer", to: string, port: number, source: string | null];
const TRAFFIC: readonly Attempt[] = [
  ["host", DB_1 ?? "", 5432, null],
  ["peer", "10.77.0.2", 443, BALANCER ?? null],
  ["host", CACHE ?? "", 6379, null],
  ["peer", "10.77.0.2", 443, BALANCER ?? null],
  ["host", DB_2 ?? "", 5432, null],
  ["peer", "10.77.0.2", 9100, METRICS ?? null],
  ["peer", "10.77.0.2", 443, BALANCER ?? null],
  ["host", STRANGER, 443, null],
  ["peer", "10.77.0.2", 22, STRANGER],
  ["host", DB_1 ?? "", 5432, null],
];

async function talk(system: System, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await system.host.askUdp(RESOLVER, 53);
    for (const [index, [from, to, port, source]] of TRAFFIC.entries()) {
      const side = from === "host" ? system.host : system.peer;
      await side.connectTcp(`talk-${index}`, to, port, 150, source);
      await side.disconnect(`talk-${index}`);
    }
  }
}

function giveAddresses(system: System): void {
  const ip = (side: string, ...args: string[]): void =>
    void execFileSync("ip", ["-n", `${system.lab.name}-${side}`, ...args]);
  for (const address of [DB_1, DB_2, CACHE, METRICS, BALANCER, RESOLVER, STRANGER]) {
    ip("peer", "addr", "add", `${address}/32`, "dev", "eth0");
  }
  ip("host", "route", "add", "default", "dev", "eth0");
}

const problem = systemProblem();
if (problem !== null) throw new Error(`the pictures cannot be taken: ${problem}`);
mkdirSync(IMAGES_DIR, { recursive: true });
const system = await System.start({ peerPorts: [5432, 6379, 443], hostPorts: [443, 9100, 22] });
try {
  giveAddresses(system);
  await system.peer.listenUdp(53, RESOLVER);
  await talk(system, 2);
  await system.enforce(FILES, { reason: "Web, cache and databases; everything else refused" });
  const page = await system.openPage();
  const ui = new ConsolePage(page);
  const take = async (name: string): Promise<void> => {
    await page.mouse.move(720, 899);
    await page.screenshot({ path: join(IMAGES_DIR, `${name}.png`), animations: "disabled" });
  };
  await talk(system, 8);

  await ui.goTo("Flows");
  await ui.flows.rows("198.51.100.23", "denied", "443").first().getByRole("gridcell").first().click();
  await ui.flows.details.getByRole("button", { name: "Explain as enforced" }).click();
  await ui.flows.details.getByRole("region", { name: "Walkthrough" }).waitFor();
  await take("flows");

  await ui.goTo("Hosts");
  await ui.hosts.detail("web-1").getByText("yes, checked in the kernel").waitFor();
  await take("hosts");

  await ui.goTo("Policies");
  await ui.policies.open("web.yaml");
  await ui.policies.replaceText(
    WEB.replace("              app: db\n", "              app: db\n              role: primary\n"),
  );
  await ui.policies.reviewAndApply();
  await ui.ship
    .planFor("web-1")
    .getByText(/^Loses access: /)
    .waitFor();
  await ui.ship.fill({ mode: "Enforce", reason: "Only the primary database", within: "5 minutes" });
  await take("policies");
  await ui.ship.apply({ mode: "Enforce", reason: "Only the primary database" });
  await ui.ship.timer.waitFor();
  await talk(system, 3);
  await take("confirm");
  await ui.ship.close();
  await ui.goTo("Overview");
  await page.getByText("Only the primary database").waitFor();
  await take("overview");
} finally {
  await system.close();
}
