/**
 * A candidate in a process of its own, so that it can be killed and stopped. Argument: `CandidateArguments` as JSON. Beside it
 * a client writes under `/writes/` as long as it believes that this process leads. Prints a line of JSON for whatever happens;
 * takes `resign` and `jump MS` (of its wall clock) as lines.
 */
import { createInterface } from "node:readline";
import { pino } from "pino";
import { bootMs, type Clock, systemClock } from "../agent/clock.ts";
import { Keys } from "../cluster/keys.ts";
import { Leadership } from "../cluster/leadership/leadership.ts";
import { Session } from "../cluster/leadership/session.ts";
import type { HeldTerm } from "../cluster/ports.ts";
import { EtcdStore } from "../cluster/store/etcdStore.ts";
import type { CandidateArguments, CandidateLine } from "./candidateProcess.ts";

const { name, endpoints, leaseMs, writeEveryMs, prefix }: CandidateArguments = JSON.parse(process.argv[2] ?? "{}");
const log = pino({ level: "silent" });
const store = EtcdStore.open({ endpoints, log });

let jumpMs = 0;
const clock: Clock = {
  bootNs: systemClock.bootNs,
  wallMs: () => systemClock.wallMs() + jumpMs,
  schedule: systemClock.schedule,
};
const common = { store, keys: new Keys(), clock, random: Math.random, log };
const session = new Session({ ...common, leaseMs });
const leadership = new Leadership({ ...common, session, name, candidate: true });

function say(line: CandidateLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

let told: HeldTerm | null = null;
leadership.onChange(() => {
  const held = leadership.held();
  if (held === told) return;
  const before = told;
  told = held;
  if (held) say({ kind: "leads", term: `${held.number}`, createRevision: fenceNumber(held), atMs: bootMs(clock) });
  else if (before) say({ kind: "lost", term: `${before.number}`, atMs: bootMs(clock) });
});

function fenceNumber({ fence }: HeldTerm): string {
  const [compare] = fence;
  return compare?.target === "create" ? `${compare.number}` : "";
}

let count = 0;
async function write(): Promise<void> {
  const held = leadership.held();
  if (!held) return;
  const id = `${name}-${process.pid}-${count++}`;
  const fromMs = bootMs(clock);
  const value = new TextEncoder().encode(`${held.number}`);
  let outcome: "written" | "refused" | "unknown" = "unknown";
  try {
    const then = [{ kind: "put", key: `${prefix}${id}`, value }] as const;
    outcome = (await store.transact({ compare: held.fence, then })).succeeded ? "written" : "refused";
  } catch {
    // Nobody knows.
  }
  say({ kind: "write", id, term: `${held.number}`, fromMs, untilMs: bootMs(clock), outcome });
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [word, number] = line.split(" ");
    if (word === "resign") void leadership.resign().catch(() => {});
    if (word === "jump") jumpMs += Number(number);
  })
  // Whoever started it is gone.
  .on("close", () => process.exit(0));
setInterval(() => void write(), writeEveryMs);
session.start();
leadership.start();
say({ kind: "ready" });
