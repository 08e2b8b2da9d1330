import { expect, it } from "vitest";
import { findRules } from "./find-rules.ts";
import { askedWorld } from "./testing.ts";

it("finds rules by name, peers, ports and file; by name first, bounded, and says how many there are", () => {
  const world = askedWorld();
  const found = (text: string, limit = 10) => findRules(world, text, limit);
  expect(found("5432 WEB")).toMatchObject({
    matching: 1,
    rules: [{ rule: "ingress[0]", meaning: expect.stringMatching(/^allow from app=web.* on 5432\/tcp$/) }],
  });
  expect(found("db.yaml").rules.map(({ source }) => source.line)).toEqual([9]);
  // "web" is the name of a policy, and a peer of another.
  const named = found("web").rules;
  expect(named[0]?.policyKey).toContain("web");
  expect(named.length).toBe(2);
  expect(found("web", 1)).toMatchObject({ matching: 2, rules: { length: 1 } });
  expect([found(""), found("  "), found("nobody")].map(({ matching }) => matching)).toEqual([0, 0, 0]);
});
