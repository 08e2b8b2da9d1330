/**
 * A process that enforces a hand-written program until it is killed. Arguments: cgroup root, bpffs directory, program
 * options as JSON. Prints `ready` once packets are decided by it.
 */
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { type HandProgramOptions, handProgram } from "./handProgram.ts";
import { readBpfObject } from "./kernelLab.ts";

const [cgroupRoot = "", bpffsDir = "", options = ""] = process.argv.slice(2);
const enforcer = createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject() });
await enforcer.open();
const prepared = await enforcer.prepare(handProgram(JSON.parse(options) as HandProgramOptions), 1);
enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
console.log("ready");
setInterval(() => {}, 1000);
