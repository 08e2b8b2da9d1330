import { create } from "@bufbuild/protobuf";
import { AccessChangeSchema } from "@wardline/api/wardline/console/v1/ship";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { describe, expect, it } from "vitest";
import { groupAccess } from "./access-groups.ts";

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
