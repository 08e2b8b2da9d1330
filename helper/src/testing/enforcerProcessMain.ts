/**
 * A process that enforces a hand-written program until it is killed. Arguments: cgroup root, bpffs directory, program
 * options as JSON, and the network namespace whose interfaces it guards too (none unless given). Prints `ready` once packets
 * are decided by it.
 */
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { type HandProgramOptions, handProgram } from "./handProgram.ts";
import { readBpfObject } from "./kernelLab.ts";

const [cgroupRoot = "", bpffsDir = "", options = "", networkNamespace] = process.argv.slice(2);
const interfaces = networkNamespace === undefined ? {} : { networkNamespace, edge: {} };
const enforcer = createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject(), ...interfaces });
await enforcer.open();
const prepared = await enforcer.prepare(handProgram(JSON.parse(options) as HandProgramOptions), 1);
enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
console.log("ready");
setInterval(() => {}, 1000);
