/**
 * What the verifier of this kernel walks for each program, and how large the programs are. Recorded so that a change that
 * inflates them is seen: helper/src/enforce/ebpf/instructionCounts.test.ts compares with what is recorded here.
 */
import { execFileSync } from "node:child_process";
import { PROGRAM_NAMES } from "@wardline/helper/enforce/ebpf/layout";
import { loadObject, programInfo } from "@wardline/helper/linux/bpf/libbpf";
import { kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { programProblem } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";

const problem = kernelLabProblem() ?? programProblem("bpftool");
if (problem !== null) {
  console.log(`verifier: left out, ${problem}`);
  process.exit(0);
}

interface Listed {
  readonly bytes_xlated?: number;
  readonly bytes_jited?: number;
}

const objectBytes = readBpfObject();
const start = performance.now();
const object = loadObject(objectBytes, { maxEntries: new Map(), reuse: new Map() });
const loadMs = performance.now() - start;
const programs: Record<string, object> = {};
for (const name of Object.values(PROGRAM_NAMES)) {
  const { id, verifiedInstructions } = programInfo(object.programFd(name));
  const listed = JSON.parse(execFileSync("bpftool", ["-j", "prog", "show", "id", `${id}`]).toString()) as Listed;
  programs[name] = {
    verifiedInstructions,
    instructions: (listed.bytes_xlated ?? 0) / 8,
    machineCodeBytes: listed.bytes_jited ?? 0,
  };
}
object.close();

publish("verifier", {
  what: "Instructions that the verifier walks for each program, instructions in the kernel, and bytes of machine code.",
  method: "One load of the object; the limit is 1,000,000 walked instructions for each program.",
  objectBytes: objectBytes.length,
  loadMs: Number(loadMs.toFixed(1)),
  clang: execFileSync("clang", ["--version"]).toString().split("\n")[0] ?? "",
  programs,
});
