/**
 * `npm run demo:mesh -- VERB HOST [HOST]`: breaks the mesh of the demo that runs, as the world does it: a line that carries
 * nothing, a daemon that dies or hangs, a machine without its cable. `restore` makes lines and cables whole; what died stays
 * dead until it is healed.
 */
import { parseArgs } from "node:util";
import { type LineFault, setLineFaults } from "../../mesh/line-faults.ts";
import { YGGDRASIL_UNIT } from "../../mesh/yggdrasil-member.ts";
import { insideMachine } from "../enter.ts";
import { setLine } from "../network.ts";
import { mustRun } from "../run-program.ts";
import { type DemoMachine, type DemoRecord, EXIT_USAGE, findDemo, machineOf, Refusal } from "./record.ts";

const LOSS_PERCENT = 40;

interface Verb {
  readonly hosts: 0 | 1 | 2;
  readonly does: string;
  readonly isSeenAs: string;
  readonly run: (demo: DemoRecord, machines: readonly DemoMachine[]) => Promise<unknown>;
}

const signalDaemon =
  (signal: string): Verb["run"] =>
  async (_demo, [machine]) => {
    if (machine) await mustRun(...insideMachine(machine, ["systemctl", "kill", "-s", signal, YGGDRASIL_UNIT]));
  };

const faultBetween =
  (fault: Omit<LineFault, "from" | "to">): Verb["run"] =>
  async ({ slot }, [from, to]) => {
    if (from && to)
      await setLineFaults(slot, [{ from: { address: from.addresses }, to: { address: to.addresses }, ...fault }]);
  };

const VERBS: Readonly<Record<string, Verb>> = {
  cut: {
    hosts: 2,
    does: "the mesh's connections between two hosts carry nothing any more",
    isSeenAs: "a peer that is down, within ten seconds: the daemon itself needs six to notice",
    run: faultBetween({ meshOnly: true }),
  },
  loss: {
    hosts: 2,
    does: `${LOSS_PERCENT} % of all packets from the first host to the second are lost`,
    isSeenAs: "loss on the way between the two",
    run: faultBetween({ bothWays: false, lossPercent: LOSS_PERCENT }),
  },
  kill: {
    hosts: 1,
    does: "the mesh daemon of a host is killed",
    isSeenAs: "a daemon that does not run, within three seconds",
    run: signalDaemon("SIGKILL"),
  },
  hang: {
    hosts: 1,
    does: "the mesh daemon of a host stands still, with its sockets open",
    isSeenAs: "a daemon that does not answer",
    run: signalDaemon("SIGSTOP"),
  },
  gone: {
    hosts: 1,
    does: "the cable of a host is pulled",
    isSeenAs: "a host that is gone",
    run: async ({ slot }, [machine]) => machine && setLine(slot, machine.index, "down"),
  },
  restore: {
    hosts: 0,
    does: "all lines and cables are whole again",
    isSeenAs: "links that come back",
    run: async ({ slot, machines }) => {
      await setLineFaults(slot, []);
      for (const { index } of machines) await setLine(slot, index, "up");
    },
  },
};

function usage(problem: string): Refusal {
  const lines = Object.entries(VERBS).map(
    ([name, { hosts, does }]) => `  ${[name, ...["HOST", "HOST"].slice(0, hosts)].join(" ").padEnd(15)} ${does}`,
  );
  return new Refusal(EXIT_USAGE, problem, "usage: npm run demo:mesh -- VERB [--place NUMBER]", ...lines);
}

async function run(): Promise<void> {
  let parsed: { positionals: string[]; values: { place?: string | undefined } };
  try {
    parsed = parseArgs({ options: { place: { type: "string" } }, allowPositionals: true });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
  const [name = "", ...names] = parsed.positionals;
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (!verb) throw usage(name === "" ? "What is to break?" : `There is no verb "${name}".`);
  if (names.length !== verb.hosts || new Set(names).size !== names.length)
    throw usage(`"${name}" takes ${["no host", "one host", "two different hosts"][verb.hosts]}.`);
  const demo = findDemo(parsed.values.place, "demo:mesh");
  const machines = names.map((each) => machineOf(demo, each));
  await verb.run(demo, machines);
  console.log(`${[name, ...names].join(" ")}: ${verb.does}.`);
  console.log(`Seen as ${verb.isSeenAs}: see Mesh.`);
}

try {
  await run();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
