/**
 * An agent that ends itself with SIGKILL at a checkpoint. Arguments: the checkpoint, then the options of `run`. Prints the
 * ready line of an agent.
 */
import { pino } from "pino";
import { readCommandLine, systemSurroundings } from "../agent/options.ts";
import { runAgent } from "../agent/runAgent.ts";

const [checkpoint, ...options] = process.argv.slice(2);
const command = readCommandLine(["run", ...options], systemSurroundings());
if (command.kind !== "run") throw new Error(`not a run: ${command.kind}`);
const agent = await runAgent(command.options, {
  log: pino({ level: "silent" }),
  checkpoint(step) {
    if (step === checkpoint) process.kill(process.pid, "SIGKILL");
  },
});
const { socketPath } = command.options;
console.log(
  JSON.stringify({ ready: true, pid: process.pid, socket: socketPath, backend: agent.backend, startupMs: 0 }),
);
