/**
 * `npm run demo`: three real hosts on this machine that form a cluster, with an etcd on each, a workspace that describes them, and a console on them. Everything is gone
 * after Ctrl-C, and nothing outside of these hosts is contacted or changed.
 */
import { join } from "node:path";
import { ClusterFleet } from "../../cluster/cluster-fleet.ts";
import { etcdProblem } from "../../cluster/etcd-member.ts";
import { putMesh } from "../../mesh/mesh-fleet.ts";
import { yggdrasilProblem } from "../../mesh/yggdrasil-member.ts";
import { Fleet, fleetProblem } from "../fleet.ts";
import { runConsole } from "./console.ts";
import { writeDemoRecord } from "./record.ts";
import { prepareWorkspace } from "./workspace.ts";
import { DEMO_HOSTS, DESK, MESH_DIALS, SHOP } from "./world.ts";

const EXIT_CANNOT = 3;
/** What `wardline cluster init` takes without a word about it. */
const LEASE_MS = 5_000;
const [, , ...consoleArguments] = process.argv;

const consoleStateDir = (fleet: Fleet): string => join(fleet.directory, "console", "state");

function explain(problem: string): void {
  const how =
    problem === "needs root"
      ? "Run it as root: sudo npm run demo"
      : "npm run demo installs it on Debian and Ubuntu, as root";
  console.error(
    [
      `The demo cannot start here: it ${problem}.`,
      "  It makes network namespaces, control groups and eBPF programs for three hosts of its own on this machine.",
      `  ${how}.`,
      "  Without it: npm start opens the console with this machine alone.",
    ].join("\n"),
  );
}

async function demo(): Promise<number> {
  const problem = fleetProblem();
  if (problem !== null) {
    explain(problem);
    return EXIT_CANNOT;
  }
  const stopRequested = untilStopped();
  const startedAtMs = performance.now();
  console.log("Starting three hosts …");
  const fleet = await Fleet.start({ hosts: DEMO_HOSTS, hasOutside: true });
  try {
    const stateDir = consoleStateDir(fleet);
    const agentSocket = fleet.host(DESK).agentSocket;
    await prepareWorkspace(fleet, stateDir, agentSocket);
    if (yggdrasilProblem() === null) await putMesh(fleet.hosts, { dials: MESH_DIALS });
    await makeCluster(fleet);
    writeDemoRecord(fleet);
    console.log(describe(fleet, (performance.now() - startedAtMs) / 1000));
    return await runConsole({ stateDir, agentSocket, home: fleet.home.directory, consoleArguments, stopRequested });
  } finally {
    console.log("Removing the hosts …");
    await fleet.close();
  }
}

/**
 * The desired set stays empty: from its first set on a host follows the cluster and takes no policies from a console, and the
 * workspace of the demo is there to be planned and rolled out.
 */
async function makeCluster(fleet: Fleet): Promise<void> {
  if (etcdProblem() !== null) return;
  console.log("Making a cluster of them …");
  const members = SHOP.map(({ name }) => fleet.host(name));
  (await ClusterFleet.make(fleet, members, { leaseMs: LEASE_MS })).disconnect();
}

function describeCluster(): readonly string[] {
  const problem = etcdProblem();
  if (problem !== null) return [`They form no cluster, because the demo ${problem} for that (in Debian: etcd-server).`];
  return [
    "The three form a cluster, each with its etcd: see Cluster. It has no documents yet, so that hosts still take policies",
    "from the console, one by one or by a roll-out. Sync the workspace to the cluster, and they follow it from then on.",
  ];
}

function describeMesh(): readonly string[] {
  const problem = yggdrasilProblem();
  if (problem !== null) return [`They form no mesh, because the demo ${problem} for that (in Debian: yggdrasil).`];
  return [
    "A Yggdrasil node on each makes a mesh of all four: see Mesh. Break it, and watch what is noticed, explained and healed",
    "(nothing is done before you approve it, unless you set healing to act):",
    "  npm run demo:mesh -- kill db-1",
    "  npm run demo:mesh -- cut web-1 api-1                (npm run demo:mesh lists the others)",
  ];
}

function describe(fleet: Fleet, seconds: number): string {
  const lines = SHOP.map(({ name, labels }) => {
    const { address } = fleet.host(name);
    const text = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    return `  ${name.padEnd(7)} ${address[4].padEnd(13)} ${address[6].padEnd(18)} ${text.join(" ")}`;
  });
  return [
    `Three hosts run (${seconds.toFixed(1)} s): each with its own network, sshd, accounts, control groups and agent.`,
    ...lines,
    `  ${DESK.padEnd(7)} stands in for the machine that you sit at.`,
    "Every account's key is in the SSH configuration of the demo:",
    `  ssh -F ${fleet.home.configPath} root@web-1`,
    "The command line speaks to them in another terminal after this:",
    `  export HOME=${fleet.home.directory} WARDLINE_STATE_DIR=${consoleStateDir(fleet)} WARDLINE_AGENT_SOCKET=${fleet.host(DESK).agentSocket}`,
    "  bin/wardline host list",
    "In the workspace: hosts.yaml, and shop.yaml as a draft that is not applied yet. Plan it, apply it, and watch",
    "web-1's report lose its way to the database under Flows.",
    ...describeCluster(),
    ...describeMesh(),
    "Attacks to look for under Anomalies, each found within a minute (in another terminal):",
    "  npm run demo:attack -- scan --from web-1 --to db-1",
    "  npm run demo:attack -- beacon --from web-1          (npm run demo:attack lists the others)",
    "",
  ].join("\n");
}

/** Resolves at the first request to stop; the hosts are removed then. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
}

process.exit(await demo());
