/**
 * `npm run demo:attack -- NAME [--from HOST] [--to HOST]`: runs the traffic of an attack from inside a host of the demo that
 * runs, as a person who had come in there would. It reaches nothing but the demo's own hosts.
 */
import { spawn } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { insideMachine } from "../enter.ts";
import { OUTSIDE_ADDRESS } from "../outside.ts";
import { ATTACKS, type AttackPlan } from "./attacks.ts";
import { type DemoRecord, EXIT_USAGE, findDemo, machineOf, Refusal } from "./record.ts";

const TRAFFIC_MAIN = fileURLToPath(new URL("./attack-traffic-main.ts", import.meta.url));
const NODE = [process.execPath, "--disable-warning=ExperimentalWarning"] as const;
const USUAL = { from: "web-1", to: "db-1" } as const;

interface Request {
  readonly name: string;
  readonly plan: AttackPlan;
  readonly from: string;
  readonly to: string;
  readonly place: string | undefined;
}

function usage(problem: string): Refusal {
  const lines = Object.entries(ATTACKS).map(([name, { does }]) => `  ${name.padEnd(13)} ${does("HOST", "the other")}`);
  return new Refusal(
    EXIT_USAGE,
    problem,
    "usage: npm run demo:attack -- ATTACK [--from HOST] [--to HOST] [--place NUMBER]",
    ...lines,
    `HOST is ${USUAL.from} and ${USUAL.to} unless given.`,
  );
}

function readArguments(): Request {
  const options = { from: { type: "string" }, to: { type: "string" }, place: { type: "string" } } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
  const [name = "", ...more] = parsed.positionals;
  const plan = Object.hasOwn(ATTACKS, name) ? ATTACKS[name] : undefined;
  if (!plan || more.length > 0)
    throw usage(name === "" ? "Which attack?" : `There is no attack "${[name, ...more].join(" ")}".`);
  const { from = USUAL.from, to = USUAL.to, place } = parsed.values;
  if (parsed.values.to !== undefined && !plan.hasTarget) throw usage(`"${name}" has no target to choose.`);
  return { name, plan, from, to, place };
}

/** The login of a person for those that come by one, a group of its own for all others. */
async function run(demo: DemoRecord, { name, plan, from, to }: Request): Promise<number> {
  const source = machineOf(demo, from);
  const target = plan.hasTarget ? machineOf(demo, to) : null;
  if (target === source) throw new Refusal(EXIT_USAGE, `${from} cannot attack itself: choose another --to.`);
  const others = demo.machines.filter((machine) => machine !== source).map(({ address }) => address);
  const addresses = target ? [target.address] : name === "lateral" ? others : [OUTSIDE_ADDRESS];
  const shown = target ? `${to} (${target.address})` : OUTSIDE_ADDRESS;
  console.log(`${plan.does(`${from} (${source.address})`, shown)}. Ctrl-C ends it.`);
  console.log(`Found as ${plan.isFoundAs(from, to)}: see Anomalies, within a minute.`);
  const words = [...NODE, TRAFFIC_MAIN, name, String(plan.seconds), ...addresses];
  if (name === "lateral") return end("ssh", ["-F", demo.sshConfigPath, `root@${from}`, ...words]);
  const session = join(source.cgroup, "user.slice", `attack-${process.pid}.scope`);
  mkdirSync(session, { recursive: true });
  try {
    return await end(...insideMachine({ pid: source.pid, cgroup: session }, words));
  } finally {
    rmdirSync(session);
  }
}

/** Of the program: its exit code, 0 when somebody ended it by Ctrl-C. */
function end(program: string, words: readonly string[]): Promise<number> {
  const child = spawn(program, words, { stdio: ["ignore", "inherit", "inherit"] });
  let isStopped = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      isStopped = true;
      child.kill("SIGTERM");
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(isStopped ? 0 : (code ?? 1)));
  });
}

try {
  const wanted = readArguments();
  process.exitCode = await run(findDemo(wanted.place, "demo:attack"), wanted);
  if (process.exitCode === 0) console.log("It is over.");
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
