/**
 * A fleet of 100 agents behind 10 sshds on this machine: connect to all, plan for all, roll out to all with confirmation, and
 * what the console's process bears meanwhile. The peer loads the same rules with one `ssh … nft -f -` for each host, ten at
 * once, in the same rounds. Then the time of one call over SSH, with both transports, with and without a terminal.
 */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { RolloutHostState, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Fleet, fleetProblem } from "@wardline/e2e/fleet/fleet";
import { FleetConsole, isConnected } from "@wardline/e2e/fleet/fleet-console";
import { type CallCost, measureCalls } from "./lib/callsOverSsh.ts";
import { type ConsoleLoad, underWatch } from "./lib/consoleLoad.ts";
import { type AgentPlace, documentsOf, machinesOf, placesOf } from "./lib/manyAgents.ts";
import { Attempts, fromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";
import { FORKS, pushOverSsh, rulesetsOf } from "./lib/sshPeer.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const MACHINES = fromEnvironment("MACHINES", 10);
const AGENTS_EACH = fromEnvironment("AGENTS", 10);
const ROUNDS = fromEnvironment("ROUNDS", 3);
const CALLS = fromEnvironment("CALLS", 500);
const FIRST_PORT = 8000;
const WITHOUT_TERMINAL = "plain";

const problem = fleetProblem();
if (problem !== null) {
  console.log(`fleet: left out, ${problem}`);
  process.exit(0);
}

const attempts = new Attempts();
const places = placesOf(MACHINES, AGENTS_EACH);
const startedAt = performance.now();
const fleet = await Fleet.start({ hosts: machinesOf(places, WITHOUT_TERMINAL) });
try {
  await Promise.all(places.map(({ machine, socketPath }) => fleet.host(machine).socketAnswers(socketPath)));
  const agentsStartedMs = Math.round(performance.now() - startedAt);
  console.log(`${places.length} agents on ${MACHINES} machines answer after ${agentsStartedMs} ms`);
  const calls = await measureAllCalls();
  const fleetResult = await measureFleet();
  publish("fleet", {
    what: "One console and many hosts over SSH; times in ms.",
    method: `${places.length} agents, each a process of its own with its own socket, control group, pins and records, behind ${MACHINES} sshds in network namespaces of this machine; console, agents and sshds share its processors. ${ROUNDS} rounds; each changes the policies of every host. Gates watch for 0 s.`,
    agents: places.length,
    machines: MACHINES,
    agentsStartedMs,
    ...fleetResult,
    peer: `ssh … nft -f - for each host, ${FORKS} at once, rules made beforehand`,
    calls,
    leftOut: attempts.leftOut,
  });
} finally {
  await fleet.close();
}

async function measureAllCalls(): Promise<CallCost[]> {
  const [first] = places;
  if (!first) return [];
  const targets = [
    { machine: first.machine, agentSocket: first.socketPath, hasTerminal: true },
    { machine: WITHOUT_TERMINAL, agentSocket: "", hasTerminal: false },
  ];
  const costs: CallCost[] = [];
  for (const transport of ["built-in", "system"] as const) {
    for (const target of targets) {
      const what = `calls, ${transport}, ${target.hasTerminal ? "with" : "without"} terminal`;
      const cost = await attempts.run(what, () => measureCalls({ fleet, transport, calls: CALLS, ...target }));
      if (cost) costs.push(cost);
    }
  }
  return costs;
}

async function measureFleet() {
  const tester = new FleetConsole(fleet, { collectFlows: true });
  try {
    const connect = await underWatch(() => connectAll(tester));
    const plans: ConsoleLoad[] = [];
    const rollouts: ConsoleLoad[] = [];
    const pushes: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const files = documentsOf(places, fleet.consoleAddress[4], FIRST_PORT + round);
      await tester.write(files);
      let planId = "";
      const hostIds = places.map(({ name }) => tester.idOf(name));
      plans.push(
        await underWatch(async () => {
          planId = (await tester.ship.plan({ hostIds })).planId;
        }),
      );
      const rollout = await attempts.run("roll-out", () => underWatch(() => rollOut(tester, planId)));
      if (rollout) rollouts.push(rollout);
      pushes.push(await pushOverSsh(fleet, places, rulesetsOf(places, files)));
    }
    return {
      connect,
      plans,
      rollouts,
      peerPushMs: rounded(summarize(pushes), 0),
      rolloutToPeer: ratio(rollouts, pushes),
    };
  } finally {
    await tester.close();
  }
}

function ratio(rollouts: readonly ConsoleLoad[], pushes: readonly number[]) {
  if (rollouts.length !== pushes.length) return null;
  return rounded(
    summarizeRatios(
      rollouts.map(({ wallMs }) => wallMs),
      pushes,
    ),
  );
}

async function connectAll(tester: FleetConsole): Promise<void> {
  const access = ({ machine, socketPath }: AgentPlace) => ({
    address: machine,
    user: "operator",
    agentSocket: socketPath,
  });
  await tester.addWith(places.map((place) => ({ alias: place.name, access: access(place) })));
  const names = new Set(places.map(({ name }) => name));
  for await (const { hosts } of tester.hosts.watchHosts({})) {
    if (hosts.filter((host) => names.has(host.alias) && isConnected(host)).length === names.size) return;
  }
}

/** Every host confirms, or this fails and names the first that did not. */
async function rollOut(tester: FleetConsole, planId: string): Promise<void> {
  const { rolloutId } = await tester.rollouts.startRollout({
    planId,
    mode: EnforcementMode.ENFORCE,
    confirmWithin: durationFromMs(60_000),
    reason: "measured",
    automatic: true,
    gates: { watchFor: durationFromMs(0) },
    typed: `apply to ${places.length} hosts`,
  });
  for await (const { rollouts } of tester.rollouts.watchRollouts({})) {
    const rollout = rollouts.find(({ id }) => id === rolloutId);
    if (!rollout || rollout.state === RolloutState.RUNNING) continue;
    const failed = rollout.hosts.find(({ state }) => state !== RolloutHostState.CONFIRMED);
    if (rollout.state === RolloutState.DONE && !failed) return;
    const which = failed ? `; ${failed.hostName}: ${failed.error?.message ?? RolloutHostState[failed.state]}` : "";
    throw new Error(`the roll-out is ${RolloutState[rollout.state]}: ${rollout.explanation}${which}`);
  }
}
