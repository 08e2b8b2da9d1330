/**
 * One place for each fleet that runs on this machine, and the record of whose it is. A fleet whose owner is gone, however it
 * went, is removed by whoever comes next.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { acquireFileLock } from "@wardline/helper/linux/fileLock";
import { addressesOfMachine, overlapsFleet, SLOT_COUNT } from "./addresses.ts";
import { tearDown } from "./tear-down.ts";

export const FLEETS_DIRECTORY = "/run/wardline-fleet";
const LOCK_LIMIT_MS = 60_000;

interface Owner {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: numbers of processes come again, this with them does not. */
  readonly startedAt: string;
  readonly bootId: string;
}

export interface Claim {
  readonly slot: number;
  /** Private to root. */
  readonly directory: string;
}

/** Sweeps away what dead owners left, then takes a free place. */
export function claimPlace(): Promise<Claim> {
  return withLock(async () => {
    await sweep();
    const taken = await addressesOfMachine();
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const directory = join(FLEETS_DIRECTORY, String(slot));
      if (existsSync(directory) || overlapsFleet(slot, taken)) continue;
      mkdirSync(directory, { mode: 0o700 });
      // Renamed into place: a record is whole or not there.
      const path = join(directory, "owner.json");
      writeFileSync(`${path}.new`, JSON.stringify(describeProcess(process.pid)));
      renameSync(`${path}.new`, path);
      return { slot, directory };
    }
    throw new Error(`all ${SLOT_COUNT} places for fleets are taken (${FLEETS_DIRECTORY})`);
  });
}

export function releasePlace({ slot, directory }: Claim): Promise<void> {
  return withLock(async () => {
    await tearDown(slot);
    rmSync(directory, { recursive: true, force: true });
  });
}

/** @returns the places that were cleared */
async function sweep(): Promise<number[]> {
  const cleared: number[] = [];
  for (const name of readdirSync(FLEETS_DIRECTORY)) {
    if (!/^\d+$/.test(name) || isAlive(join(FLEETS_DIRECTORY, name, "owner.json"))) continue;
    await tearDown(Number(name));
    rmSync(join(FLEETS_DIRECTORY, name), { recursive: true, force: true });
    cleared.push(Number(name));
  }
  return cleared;
}

/** Places whose owners are alive. */
export function claimedPlaces(): Claim[] {
  if (!existsSync(FLEETS_DIRECTORY)) return [];
  return readdirSync(FLEETS_DIRECTORY)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ slot: Number(name), directory: join(FLEETS_DIRECTORY, name) }))
    .filter(({ directory }) => isAlive(join(directory, "owner.json")));
}

/** For tests, and for whoever wants a clean machine without starting a fleet. */
export function sweepDeadFleets(): Promise<number[]> {
  return withLock(sweep);
}

/** The places of one machine are given and cleared by one process at a time. */
async function withLock<Result>(body: () => Promise<Result>): Promise<Result> {
  mkdirSync(FLEETS_DIRECTORY, { recursive: true, mode: 0o700 });
  const startedAtMs = performance.now();
  for (;;) {
    const lock = acquireFileLock(join(FLEETS_DIRECTORY, "lock"));
    if (!("heldBy" in lock)) {
      try {
        return await body();
      } finally {
        lock.release();
      }
    }
    if (performance.now() - startedAtMs > LOCK_LIMIT_MS)
      throw new Error(`process ${lock.heldBy} holds the fleets' lock`);
    await setTimeout(20);
  }
}

function isAlive(path: string): boolean {
  try {
    const owner = JSON.parse(readFileSync(path, "utf8")) as Owner;
    const present = describeProcess(owner.pid);
    return present.startedAt === owner.startedAt && present.bootId === owner.bootId;
  } catch {
    return false;
  }
}

function describeProcess(pid: number): Owner {
  // The name in parentheses may hold anything: count from behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return {
    pid,
    startedAt: fields[19] ?? "",
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
  };
}
