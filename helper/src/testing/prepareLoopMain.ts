/**
 * A process that adopts a tree and prepares one program after the other without ever activating one, until it is killed.
 * Arguments: cgroup root, bpffs directory, size of the programs. Prints `ready` after the first.
 */
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { readBpfObject } from "./kernelLab.ts";
import { renumberedProgram } from "./renumberedProgram.ts";

const [cgroupRoot = "", bpffsDir = "", decoys = ""] = process.argv.slice(2);
const enforcer = createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject() });
await enforcer.open();
for (let generation = 1000; ; generation++) {
  await enforcer.prepare(renumberedProgram(generation, Number(decoys)), generation);
  if (generation === 1000) console.log("ready");
  await new Promise((resolve) => setImmediate(resolve));
}
