/**
 * `npm run demo`: three real hosts on this machine, a workspace that describes them, and a console on them. Everything is gone
 * after Ctrl-C, and nothing outside of these hosts is contacted or changed.
 */
import { join } from "node:path";
import { Fleet, fleetProblem } from "../fleet.ts";
import { runConsole } from "./console.ts";
import { prepareWorkspace } from "./workspace.ts";
import { DEMO_HOSTS, DESK, SHOP } from "./world.ts";

const EXIT_CANNOT = 3;
const [, , ...consoleArguments] = process.argv;

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
  const fleet = await Fleet.start({ hosts: DEMO_HOSTS });
  try {
    const stateDir = join(fleet.directory, "console", "state");
    const agentSocket = fleet.host(DESK).agentSocket;
    await prepareWorkspace(fleet, stateDir, agentSocket);
    console.log(describe(fleet, (performance.now() - startedAtMs) / 1000));
    return await runConsole({ stateDir, agentSocket, home: fleet.home.directory, consoleArguments, stopRequested });
  } finally {
    console.log("Removing the hosts …");
    await fleet.close();
  }
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
    "In the workspace: hosts.yaml, and shop.yaml as a draft that is not applied yet. Plan it, apply it, and watch",
    "web-1's report lose its way to the database under Flows.",
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
