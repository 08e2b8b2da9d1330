/** Two consoles on the same hosts. Real sshd, real agents, two backends with a store each. */
import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { FleetConsole, isConnected, type Sent } from "./fleet-console.ts";
import { describeHosts, openOnly } from "./policies.ts";

const problem = fleetProblem();

describe.skipIf(problem !== null)(`two consoles${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let here: FleetConsole;
  let there: FleetConsole;

  beforeAll(async () => {
    fleet = await Fleet.start({ hosts: [{ name: "web-1" }] });
    here = new FleetConsole(fleet);
    there = new FleetConsole(fleet);
    await Promise.all([here.connect(fleet.hosts), there.connect(fleet.hosts, "admin")]);
  }, 240_000);
  afterAll(async () => {
    await here?.close();
    await there?.close();
    await fleet?.close();
  }, 240_000);

  const write = (console: FleetConsole, ...ports: number[]) =>
    console.write({ "hosts.yaml": describeHosts(fleet.hosts), "web.yaml": openOnly("web-1", ...ports) });

  it("that apply at once: one change is taken, the other is refused by name, and nothing is mixed", async () => {
    await Promise.all([write(here, 22, 1111), write(there, 22, 2222)]);
    const sends = await Promise.all([here.send("web-1", 30_000), there.send("web-1", 30_000)]);
    const taken = sends.filter(({ last }) => last.error === undefined);
    const refused = sends.filter(({ last }) => last.error !== undefined);
    expect(taken).toHaveLength(1);
    expect(refused[0]?.last.error?.code).toBeOneOf([
      ErrorCode.CONFIRMATION_PENDING,
      ErrorCode.GENERATION_CONFLICT,
      ErrorCode.PLAN_STALE,
    ]);
    const winner = sends[0] === taken[0] ? here : there;
    const { hostId, generation } = taken[0] as Sent;
    await winner.ship.confirm({ hostId, generation });
    const isKept = ({ status }: Host) => status?.enforced?.number === generation && status.pending === undefined;
    for (const console of [here, there]) await console.until("web-1", isKept);
  });

  it("see each other's pending change, and neither confirms a generation that it did not mean", async () => {
    await write(here, 22, 3333);
    const { generation } = await here.send("web-1", 30_000);
    const seen = await there.until("web-1", ({ status }) => status?.pending?.generation?.number === generation);
    expect(isConnected(seen)).toBe(true);
    const other = there.ship.confirm({ hostId: there.idOf("web-1"), generation: generation + 1n });
    const failure = await other.then(() => null, failureFromConnectError);
    expect(failure?.code).toBe(ErrorCode.GENERATION_CONFLICT);
    // Whoever may operate the host may take it back; the first console learns of it.
    await there.ship.rollback({ hostId: there.idOf("web-1"), generation, reason: "not now" });
    const back = await here.until("web-1", ({ status }) => status?.pending === undefined);
    expect(back.status?.enforced?.number).toBeLessThan(generation);
  });

  it("do not overwrite what the other has changed since the plan", async () => {
    await write(here, 22, 4444);
    const plan = await here.ship.plan({ hostIds: [here.idOf("web-1")] });
    await write(there, 22, 5555);
    const { generation } = await there.sendAndConfirm("web-1");
    const errors: (ErrorCode | undefined)[] = [];
    try {
      for await (const { error } of here.ship.apply({ planId: plan.planId, mode: 2, confirmWithin: { seconds: 30n } }))
        if (error) errors.push(error.code);
    } catch (error) {
      errors.push(failureFromConnectError(error)?.code);
    }
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeOneOf([ErrorCode.GENERATION_CONFLICT, ErrorCode.PLAN_STALE]);
    await there.until("web-1", ({ status }) => status?.enforced?.number === generation && !status.pending);
  });
});
