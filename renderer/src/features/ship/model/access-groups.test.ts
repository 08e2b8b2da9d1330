import { create } from "@bufbuild/protobuf";
import { AccessChangeSchema, HostPlanSchema } from "@wardline/api/wardline/console/v1/ship";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { describe, expect, it } from "vitest";
import { groupAccess, totalsOf } from "./access-groups.ts";

const change = (oldVerdict: Verdict, newVerdict: Verdict, recordedFlows: bigint) =>
  create(AccessChangeSchema, { oldVerdict, newVerdict, recordedFlows });

describe("groupAccess", () => {
  it("tells gains from losses and puts what carries traffic first", () => {
    const groups = groupAccess([
      change(Verdict.ALLOW, Verdict.DENY, 2n),
      change(Verdict.ALLOW, Verdict.DENY, 90n),
      change(Verdict.DENY, Verdict.ALLOW, 0n),
      change(Verdict.UNSPECIFIED, Verdict.DENY, 1n),
      change(Verdict.ALLOW, Verdict.ALLOW, 5n),
    ]);
    expect(groups.lost.map((entry) => entry.recordedFlows)).toEqual([90n, 2n, 1n]);
    expect(groups.gained).toHaveLength(1);
    expect(groups.other).toHaveLength(1);
    expect(groups.flowsLost).toBe(93n);
  });
});

describe("totalsOf", () => {
  it("counts only hosts that would change, and says when a list is cut", () => {
    const accessChanges = [change(Verdict.ALLOW, Verdict.DENY, 3n), change(Verdict.DENY, Verdict.ALLOW, 9n)];
    const plan = (more: object) => create(HostPlanSchema, { accessChanges, ...more });
    expect(totalsOf([plan({}), plan({}), plan({ unchanged: true }), plan({ error: { message: "away" } })])).toEqual({
      changingHosts: 2,
      lost: 2,
      gained: 2,
      flowsLost: 6n,
      isPartial: false,
    });
    expect(totalsOf([plan({ accessChangesLeftOut: 5 })]).isPartial).toBe(true);
    expect(totalsOf([])).toMatchObject({ changingHosts: 0, flowsLost: 0n });
  });
});
