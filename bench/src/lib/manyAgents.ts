/** Many real agents behind few machines of a test fleet: each with its own socket, records, pins and control group. */
import type { FleetHostSpec } from "@wardline/e2e/fleet/fleet-host";

export interface AgentPlace {
  /** Name of the agent's host in policies, and its alias on the console. */
  readonly name: string;
  /** The machine that it runs on. */
  readonly machine: string;
  readonly socketPath: string;
  /** Nobody has it: it stands for the host in policies. */
  readonly address: string;
  readonly application: number;
}

const APPLICATIONS = 10;

export function placesOf(machines: number, agentsEach: number): AgentPlace[] {
  return Array.from({ length: machines * agentsEach }, (_, index) => {
    const [machine, agent] = [Math.floor(index / agentsEach), index % agentsEach];
    return {
      name: `host-${machine}-${agent}`,
      machine: `m${machine}`,
      socketPath: `/run/agent-${agent}/agent.sock`,
      address: `10.240.${machine}.${agent + 1}`,
      application: index % APPLICATIONS,
    };
  });
}

/** Machines with sshd and one service for each agent; the last one gives no terminals. */
export function machinesOf(places: readonly AgentPlace[], withoutTerminal: string): FleetHostSpec[] {
  const names = [...new Set(places.map(({ machine }) => machine))];
  const machines = names.map((name) => {
    const own = places.filter(({ machine }) => machine === name);
    const services = Object.fromEntries(own.map((place, number) => [`agent-${number}.service`, unitOf(place, number)]));
    return { name, agent: "stopped" as const, services };
  });
  return [...machines, { name: withoutTerminal, sshdLines: ["PermitTTY no"] }];
}

function unitOf({ name, socketPath }: AgentPlace, number: number): string {
  const cgroup = `/sys/fs/cgroup/guarded/${number}`;
  const options = [
    ...[
      "--socket",
      socketPath,
      "--state-dir",
      `/var/lib/agent-${number}`,
      "--bpffs-dir",
      `/sys/fs/bpf/agent-${number}`,
    ],
    ...["--cgroup-root", cgroup, "--host-name", name, "--log-level", "warn"],
  ];
  return `[Service]
ExecStartPre=/bin/mkdir -p ${cgroup}
ExecStart=/usr/lib/wardline/wardline-agent run ${options.join(" ")}
RuntimeDirectory=agent-${number}
Restart=always
`;
}

/** Host documents of all agents, and one policy for each application; `port` changes the policies of all of them. */
export function documentsOf(
  places: readonly AgentPlace[],
  consoleAddress: string,
  port: number,
): Record<string, string> {
  const hosts = places.map(
    ({ name, address, application }) => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: ${name}, labels: {app: app-${application}}}
spec: {addresses: [${address}]}
`,
  );
  const policies = Array.from(
    { length: APPLICATIONS },
    (_, application) => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: policy-${application}}
spec:
  podSelector: {matchLabels: {app: app-${application}}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: app-${(application + 1) % APPLICATIONS}}}}, {ipBlock: {cidr: 192.168.${application}.0/24}}]
      ports: [{port: ${port}}, {port: 9000, endPort: 9010}]
    - from: [{ipBlock: {cidr: ${consoleAddress}/32}}]
      ports: [{port: 22}]
`,
  );
  return { "hosts.yaml": hosts.join("---\n"), "policies.yaml": policies.join("---\n") };
}
