import { ErrorCode } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { handProgram } from "../../testing/handProgram.ts";
import { createObserveEnforcer } from "./observeEnforcer.ts";

const program = handProgram({ rules: [] });
const other = handProgram({ rules: [{ direction: "ingress", remote: null, protocol: 6, port: 1, verdict: "allow" }] });

describe("the observe backend", () => {
  it("never claims to be attached or to enforce", async () => {
    const enforcer = createObserveEnforcer({ reason: "The agent does not run as root.", bootMs: () => 0 });
    expect(await enforcer.open()).toMatchObject({ attached: false, generation: 0, mode: "observe" });
    const prepared = await enforcer.prepare(program, 1);
    expect(() => enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null })).toThrow(
      expect.objectContaining({ code: ErrorCode.OBSERVE_ONLY }),
    );
    expect(enforcer.state().generation).toBe(0);
    enforcer.activate(prepared, { mode: "observe", fallbackAfterMs: null });
    expect(enforcer.state()).toMatchObject({ attached: false, generation: 1, programDigest: program.digest });
    expect(enforcer.limits[0]).toBe("Nothing is enforced on this host. The agent does not run as root.");
  });

  it("keeps the deadline and the way back", async () => {
    let now = 0;
    const enforcer = createObserveEnforcer({ reason: "", bootMs: () => now });
    enforcer.activate(await enforcer.prepare(program, 1), { mode: "observe", fallbackAfterMs: null });
    enforcer.activate(await enforcer.prepare(other, 2), { mode: "observe", fallbackAfterMs: 1000 });
    await expect(enforcer.prepare(program, 3)).rejects.toMatchObject({ code: ErrorCode.CONFIRMATION_PENDING });
    now = 1001;
    expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, expired: true });
    expect(() => enforcer.confirm()).toThrow(expect.objectContaining({ code: ErrorCode.DEADLINE_EXCEEDED }));
    expect(enforcer.revert()).toMatchObject({ generation: 1, expired: false, deadlineBootMs: null });
  });

  it("refuses a program that no kernel could answer every packet from", async () => {
    const enforcer = createObserveEnforcer({ reason: "", bootMs: () => 0 });
    const broken = { ...program, ports: [] };
    await expect(enforcer.prepare(broken, 1)).rejects.toMatchObject({ code: ErrorCode.POLICY_UNSUPPORTED });
  });
});
