import { testEnforcerContract } from "./enforcerContract.ts";
import { FakeClock } from "./fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "./fakeEnforcer.ts";

testEnforcerContract("the double", null, () => {
  const [clock, kernel] = [new FakeClock(), new FakeKernel()];
  return {
    start: () => new FakeEnforcer(clock, kernel),
    pass: async (milliseconds) => clock.advance(milliseconds),
    close: async () => {},
  };
});
