import { setTimeout as sleep } from "node:timers/promises";
import { testEnforcerContract } from "../../testing/enforcerContract.ts";
import { KernelLab, kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import { createEbpfEnforcer } from "./ebpfEnforcer.ts";

testEnforcerContract("ebpf", kernelLabProblem(), () => {
  const objectBytes = readBpfObject();
  const lab = new KernelLab();
  const { cgroupRoot, bpffsDir } = lab;
  return {
    start: () => createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes }),
    pass: (milliseconds) => sleep(milliseconds),
    close: () => lab.close(),
  };
});
