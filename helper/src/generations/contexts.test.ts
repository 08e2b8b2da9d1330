/** What is enforced keeps up with the time whatever was tried and left since, also where this process did not compile it. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { NameResolver } from "../names/nameResolver.ts";
import { ControllerLab, OLD } from "../testing/controllerLab.ts";
import { FakeEngine, fakeProgram } from "../testing/fakeEngine.ts";
import { GenerationContexts } from "./contexts.ts";
import { GENERATION_ZERO } from "./records.ts";
import { Refresher } from "./refresher.ts";
import type { Compiled } from "./switching.ts";

let lab: ControllerLab;
beforeEach(() => {
  lab = new ControllerLab();
});
afterEach(() => lab.close());

type Started = Awaited<ReturnType<ControllerLab["start"]>>;

/** Once the policy `until` has expired, the tables are those without it. */
async function expectExpiry(
  { controller, contexts, enforcer }: Pick<Started, "controller" | "contexts" | "enforcer">,
  left: string,
): Promise<void> {
  const problems: string[] = [];
  const resolver = new NameResolver({
    lookup: async () => ({ addresses: [], timeToLiveMs: 1_000 }),
    nowMs: () => Number(lab.clock.bootNs() / 1_000_000n),
  });
  const onProblem = (problem: string) => void problems.push(problem);
  const refresher = new Refresher({ controller, contexts, resolver, clock: lab.clock, onProblem });
  await lab.clock.advance(60_000);
  await expect
    .poll(
      async () => {
        await lab.clock.advance(1_000);
        return enforcer.state().programDigest;
      },
      { timeout: 60_000 },
    )
    .toBe(fakeProgram(left).digest);
  expect(problems).toEqual([]);
  refresher.close();
}

it("a policy expires also after many generations that nobody confirmed", async () => {
  const started = await lab.start();
  const { controller } = started;
  await lab.applyAndConfirm(controller, `one until=${lab.clock.wallMs() + 50_000};`, 0);
  for (const text of ["two", "three", "four", "five", "six"]) {
    const { pending } = await controller.apply(lab.request(text, 1), OLD, lab.accept);
    await controller.rollback(pending.generation.number, lab.accept);
  }
  expect(controller.enforced.number).toBe(1);
  await expectExpiry(started, "one ");
});

it("a policy expires also in the generation before, to which a restarted agent has returned", async () => {
  const { controller } = await lab.start();
  await lab.applyAndConfirm(controller, `one until=${lab.clock.wallMs() + 50_000};`, 0);
  await lab.applyAndConfirm(controller, "two", 1);
  await controller.close();
  const again = await lab.start();
  expect((await again.controller.rollback(2, lab.accept)).number).toBe(1);
  await expectExpiry(again, "one ");
});

it.each([
  ["few", 1_000, [2, 3, 4, 5]],
  ["so many rules that all of them would fill the memory", 90_000, [4, 5]],
])(
  "generations of %s: what decides and what was before it are kept, and others while they take little",
  (_, count, kept) => {
    const contexts = new GenerationContexts();
    const inventory = { endpoints: [], namespaces: new Map(), domainAddresses: new Map() };
    const world = { policies: [{ rules: Array.from({ length: count }) }], inventory };
    const { circumstances } = GENERATION_ZERO;
    for (const number of [1, 2, 3, 4, 5]) {
      contexts.remember(
        number,
        { world, program: {}, circumstances, dependencies: {} } as unknown as Compiled,
        number - 1,
      );
    }
    expect([1, 2, 3, 4, 5].filter((number) => contexts.get(number) !== undefined)).toEqual(kept);
    // Left again and again, the one that decides stays.
    for (const number of [6, 7, 8, 9]) {
      contexts.remember(number, { world, program: {}, circumstances, dependencies: {} } as unknown as Compiled, 5);
    }
    expect(contexts.get(5)).toBeDefined();
    expect(contexts.get(9)).toBeDefined();
  },
);

it("a policy expires also in tables that the version before an upgrade compiled, and then flows have names again", async () => {
  const { controller } = await lab.start();
  await lab.applyAndConfirm(controller, `one until=${lab.clock.wallMs() + 50_000};`, 0);
  const enforced = controller.enforced.programDigest;
  await controller.close();
  const upgraded = await lab.start({ engine: new FakeEngine("#2") });
  // The upgrade itself changes nothing in the kernel.
  expect(upgraded.enforcer.state().programDigest).toBe(enforced);
  expect(upgraded.controller.problems).toEqual([expect.stringContaining("compiled by another version")]);
  expect(upgraded.contexts.get(1)).toBeUndefined();
  await expectExpiry(upgraded, "one #2");
  await expect.poll(() => upgraded.contexts.get(upgraded.controller.enforced.number)).toBeDefined();
  expect(upgraded.controller.problems).toEqual([]);
});

it("says that nothing expires where the version after an upgrade refuses the policies", async () => {
  const { controller } = await lab.start();
  await lab.applyAndConfirm(controller, "one", 0);
  await controller.close();
  class Stricter extends FakeEngine {
    override read(files: Parameters<FakeEngine["read"]>[0]): ReturnType<FakeEngine["read"]> {
      return { ...super.read(files), ok: false };
    }
  }
  const upgraded = await lab.start({ engine: new Stricter("#2") });
  expect(upgraded.controller.problems).toEqual([expect.stringContaining("its policies do not expire")]);
});
