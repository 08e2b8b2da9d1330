import { testEnforcerContract } from "../../testing/enforcerContract.ts";
import { FakePfConf, FakePfctl, FakePfStore } from "../../testing/fakePfctl.ts";
import { createPfEnforcer } from "./pfEnforcer.ts";

testEnforcerContract("pf, on a double of pfctl,", null, () => {
  const host = { commands: new FakePfctl(), confFile: new FakePfConf(), store: new FakePfStore() };
  let nowMs = 1000;
  return {
    start: () => createPfEnforcer({ ...host, bootMs: () => nowMs }),
    pass: async (milliseconds) => {
      nowMs += milliseconds;
    },
    close: async () => {},
  };
});
