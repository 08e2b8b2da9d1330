/** A leader that goes while an order is on its way: what a person approved then does not run beside it. */
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { expect, it } from "vitest";
import { HealingMode, HealingOutcome, HealingState } from "./model.ts";
import { HealingLab } from "./testing/healing-lab.ts";
import { type Effect, SimulatedMesh } from "./testing/mesh-world.ts";
import { TIMES } from "./thresholds.ts";

/** Approved of the new leader at once, with the rehearsal of the old one under way. */
function approvedAtHandover(rehearsal: Effect) {
  const mesh = new SimulatedMesh(
    ["a", "b", "c"],
    [
      ["a", "b"],
      ["b", "c"],
      ["c", "a"],
    ],
  );
  mesh.effect = ({ dryRun }) => (dryRun ? rehearsal : "works");
  const lab = new HealingLab(mesh, { settings: { mode: HealingMode.SUGGEST }, actMs: 3_000 });
  lab.run(30_000);
  mesh.host("c").daemon = MeshProviderState.DOWN;
  lab.run(4_000);
  const [run] = lab.all();
  expect(run!.work.orders).toMatchObject([{ isDryRun: true, outcome: HealingOutcome.UNSPECIFIED }]);
  lab.newLeader("b");
  lab.approve(run!.id, 0);
  lab.run(1_000);
  expect(lab.actions()).toEqual([]);
  expect(lab.all()[0]!.steps.at(-1)!.sentence).toBe("An order for it is under way.");
  lab.run(60_000);
  expect(lab.violations()).toEqual([]);
  expect(lab.all().map(({ state }) => HealingState[state])).toEqual(["HEALED"]);
  expect(lab.sent).toMatchObject([
    { order: { dryRun: true } },
    { order: { dryRun: false, approvedBy: "alice", host: "c" } },
  ]);
  return lab.sent.map(({ atMs, endedAtMs }) => ({ atMs, endedAtMs }));
}

it("waits for the answer to what the leader before had sent", () => {
  const [rehearsed, restarted] = approvedAtHandover("works");
  expect(restarted!.atMs).toBe(rehearsed!.endedAtMs);
});

it("goes on once no answer can come any more", () => {
  const [rehearsed, restarted] = approvedAtHandover("unanswered");
  expect(restarted!.atMs - rehearsed!.atMs).toBe(TIMES.orderValidMs + TIMES.receiptGraceMs);
});
