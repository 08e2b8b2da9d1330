import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AddressClaim, settleClaims } from "./index.ts";

const claim = (member: string, addresses: readonly string[], fields: Partial<AddressClaim> = {}): AddressClaim => ({
  member,
  addresses,
  isLive: true,
  admittedAtMs: 0,
  ...fields,
});

const A = "10.0.0.1";

describe("an address that several members claim", () => {
  it("stays with the one that holds it, whoever was admitted earlier", () => {
    const claims = [claim("old", [A], { admittedAtMs: 1 }), claim("young", [A], { admittedAtMs: 2 })];
    const { holders, refused } = settleClaims(claims, new Map([[A, "young"]]));
    expect(holders).toEqual(new Map([[A, "young"]]));
    expect(refused).toEqual([{ address: A, member: "old", holder: "young" }]);
  });

  it("goes to the one that was admitted first where nobody held it, then by name", () => {
    const claims = [claim("b", [A], { admittedAtMs: 5 }), claim("c", [A], { admittedAtMs: 4 })];
    expect(settleClaims(claims, new Map()).holders.get(A)).toBe("c");
    expect(settleClaims([claim("y", [A]), claim("x", [A])], new Map()).holders.get(A)).toBe("x");
  });

  it("leaves a member that is gone for one that is there", () => {
    const claims = [claim("gone", [A], { isLive: false }), claim("new", [A])];
    expect(settleClaims(claims, new Map([[A, "gone"]])).holders.get(A)).toBe("new");
    expect(settleClaims(claims.slice(0, 1), new Map([[A, "gone"]])).holders.get(A)).toBe("gone");
  });

  it("is given up with the claim", () => {
    expect(settleClaims([claim("a", [])], new Map([[A, "a"]])).holders.size).toBe(0);
  });

  it("has one holder, who claims it, and everybody else is told, in whatever order they come", () => {
    const claims = fc.uniqueArray(
      fc.record({
        member: fc.constantFrom("a", "b", "c", "d"),
        addresses: fc.subarray(["10.0.0.1", "10.0.0.2", "fd00::1"]),
        isLive: fc.boolean(),
        admittedAtMs: fc.integer({ min: 0, max: 2 }),
      }),
      { selector: ({ member }) => member },
    );
    const before = fc.constantFrom<ReadonlyMap<string, string>>(new Map(), new Map([["10.0.0.1", "c"]]));
    fc.assert(
      fc.property(claims, before, (all, held) => {
        const { holders, refused } = settleClaims(all, held);
        const again = settleClaims(all.toReversed(), held);
        expect([...again.holders].sort()).toEqual([...holders].sort());
        expect(again.refused).toEqual(refused);
        for (const { member, addresses } of all) {
          for (const address of addresses) {
            const isRefused = refused.some((one) => one.member === member && one.address === address);
            expect(isRefused).toBe(holders.get(address) !== member);
          }
        }
      }),
      { numRuns: 500, seed: 1, endOnFailure: true },
    );
  });
});
