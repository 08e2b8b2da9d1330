/** An agent that brings the same programs in another file, as an upgrade would. Arguments: the options of `run`. */
import { pino } from "pino";
import { readCommandLine, systemSurroundings } from "../agent/options.ts";
import { runAgent } from "../agent/runAgent.ts";
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { readBpfObject } from "./kernelLab.ts";

const command = readCommandLine(["run", ...process.argv.slice(2)], systemSurroundings());
if (command.kind !== "run") throw new Error(`not a run: ${command.kind}`);
const { cgroupRoot, bpffsDir, socketPath } = command.options;
if (cgroupRoot === null) throw new Error("an upgrade is tested on a cgroup of its own");
const objectBytes = Buffer.concat([readBpfObject(), Buffer.from([0])]);
const enforcer = new EnforcerSession(createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes }));
await runAgent(command.options, {
  log: pino({ level: "silent" }),
  async chooseBackend() {
    await enforcer.open();
    return { enforcer, reason: "An upgrade.", capabilities: [], cgroupRoot };
  },
});
console.log(JSON.stringify({ ready: true, pid: process.pid, socket: socketPath, backend: "ebpf", startupMs: 0 }));
