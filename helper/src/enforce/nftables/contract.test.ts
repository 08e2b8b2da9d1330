import { setTimeout as sleep } from "node:timers/promises";
import { testEnforcerContract } from "../../testing/enforcerContract.ts";
import { NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { nftablesEnforcerInside, nftablesProblem } from "../../testing/nftablesLab.ts";

testEnforcerContract("nftables", netfilterLabProblem() ?? nftablesProblem(), () => {
  const lab = new NetfilterLab();
  return {
    start: () => nftablesEnforcerInside(lab.namespacePath("host")),
    pass: (milliseconds) => sleep(milliseconds),
    close: () => lab.close(),
  };
});
