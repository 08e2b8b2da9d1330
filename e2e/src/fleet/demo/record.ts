/** What another process must know of a demo to act inside of its hosts: written into the demo's own directory. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DualAddress } from "../addresses.ts";
import { claimedPlaces } from "../claim.ts";
import type { MachineDoor } from "../enter.ts";
import type { Fleet } from "../fleet.ts";

export interface DemoMachine extends MachineDoor {
  readonly name: string;
  readonly address: string;
  readonly addresses: DualAddress;
  readonly index: number;
}

export interface DemoRecord {
  readonly slot: number;
  readonly machines: readonly DemoMachine[];
  /** SSH configuration of its person. */
  readonly sshConfigPath: string;
}

/** Private to root, as everything of a fleet. */
const recordPath = (directory: string): string => join(directory, "demo.json");

export function writeDemoRecord(fleet: Fleet): void {
  const machines = fleet.hosts.map(({ name, pid, place, address }) => ({
    name,
    pid,
    cgroup: place.cgroup,
    address: address[4],
    addresses: address,
    index: place.index,
  }));
  const slot = fleet.hosts[0]?.place.slot ?? 0;
  const record: DemoRecord = { slot, machines, sshConfigPath: fleet.home.configPath };
  const path = recordPath(fleet.directory);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Demos whose owners are alive, by the number of their place. */
export function runningDemos(): ReadonlyMap<number, DemoRecord> {
  const places = claimedPlaces().filter(({ directory }) => existsSync(recordPath(directory)));
  return new Map(
    places.map(({ slot, directory }) => [slot, JSON.parse(readFileSync(recordPath(directory), "utf8")) as DemoRecord]),
  );
}

/** For a person at a terminal: what went wrong, and how the program ends. */
export class Refusal extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, ...lines: readonly string[]) {
    super(lines.join("\n"));
    this.exitCode = exitCode;
  }
}

export const EXIT_USAGE = 2;
export const EXIT_CANNOT = 3;

/** The demo that runs, or the one in this place of several. @param command for what is said to people @throws Refusal */
export function findDemo(place: string | undefined, command: string): DemoRecord {
  if (process.getuid?.() !== 0)
    throw new Refusal(EXIT_CANNOT, `Only root can enter the hosts of the demo: sudo npm run ${command}`);
  const demos = runningDemos();
  const [first] = demos.values();
  if (!first)
    throw new Refusal(EXIT_CANNOT, "No demo runs on this machine. Start one in another terminal: npm run demo");
  if (place === undefined && demos.size === 1) return first;
  const chosen = demos.get(Number(place));
  if (chosen) return chosen;
  const places = [...demos.keys()].join(", ");
  throw new Refusal(EXIT_CANNOT, `Demos run in these places: ${places}. Choose one with --place NUMBER.`);
}

export function machineOf({ machines }: DemoRecord, name: string): DemoMachine {
  const found = machines.find((machine) => machine.name === name);
  if (found) return found;
  const names = machines.map((machine) => machine.name).join(", ");
  throw new Refusal(EXIT_USAGE, `The demo has no host "${name}": it has ${names}.`);
}
