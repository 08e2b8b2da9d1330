/** An agent whose flow records are of one second, so that nobody waits long for what they show. Arguments: those of `run`. */
import { pino } from "pino";
import { readCommandLine, systemSurroundings } from "../agent/options.ts";
import { runAgent } from "../agent/runAgent.ts";
import { DEFAULT_RECORD_OPTIONS } from "../flows/records/startRecords.ts";

const command = readCommandLine(["run", ...process.argv.slice(2)], systemSurroundings());
if (command.kind !== "run") throw new Error(`not a run: ${command.kind}`);
const records = { ...DEFAULT_RECORD_OPTIONS, windowMs: 1_000 };
const agent = await runAgent({ ...command.options, records }, { log: pino({ level: "silent" }) });
process.once("SIGTERM", () => void agent.close().then(() => process.exit(0)));
const { socketPath: socket } = command.options;
console.log(JSON.stringify({ ready: true, pid: process.pid, socket, backend: agent.backend, startupMs: 0 }));
