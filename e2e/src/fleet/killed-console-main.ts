/** A console in a process of its own that begins a roll-out and says when its first host has flipped: for the test that kills it. */
import { RolloutHostState } from "@wardline/api/wardline/console/v1/rollout";
import { FleetConsole } from "./fleet-console.ts";

const [directory = "", home = "", stateDir = "", ...names] = process.argv.slice(2);
const CONFIRM_WITHIN_MS = 60_000;
/** Long enough to be killed in. */
const WATCH_MS = 4_000;

const console_ = new FleetConsole({ directory, home: { directory: home } }, { stateDir });
const id = await console_.startRollout(names, CONFIRM_WITHIN_MS, WATCH_MS);
await console_.untilRollout(id, ({ hosts }) => hosts.some(({ state }) => state === RolloutHostState.PENDING));
console.log(id);
setInterval(() => {}, 60_000);
