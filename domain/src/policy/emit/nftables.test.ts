import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile } from "../compile/index.ts";
import type { Policy, PolicyWorld } from "../model.ts";
import { host, NOWHERE, policy, rule, selectorFor, workload, world } from "../testing/index.ts";
import { describeRefusal, requireScript } from "./emission.ts";
import { exportPolicy } from "./export.ts";
import { emitNftables } from "./nftables.ts";
import { type NftablesPiece, pieceLines } from "./nftables-pieces.ts";
import { emitEmptyNftablesSlot, emitNftablesSample, emitNftablesSlot } from "./nftables-slot.ts";
import { goldenWorld } from "./testing/golden-world.ts";

/** That nft takes the scripts and the kernel obeys them is tested in helper/src/enforce/nftables, with real packets. */
describe("nftables scripts", () => {
  it.each(["enforce", "observe"] as const)("look like the golden file, %s (UPDATE_GOLDEN=1 writes it)", (mode) => {
    const script = requireScript(emitNftables(compile(goldenWorld(), "web"), { mode }));
    const path = new URL(`./golden/web.${mode}.nft`, import.meta.url);
    if (process.env.UPDATE_GOLDEN) writeFileSync(path, script);
    expect(readFileSync(path, "utf8")).toBe(script);
  });

  it("are the same for the same program", () => {
    const program = compile(goldenWorld(), "web");
    const [one, other] = [emitNftables(program, { mode: "enforce" }), emitNftables(program, { mode: "enforce" })];
    expect(one).toEqual(other);
    expect(one.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it("are refused for workloads that are treated otherwise than their host, by policy and line", () => {
    const nginx = workload("nginx", "web", { addresses: [], labels: new Map([["name", "nginx"]]) });
    const own = world([host("web"), nginx], [policy("own", { subject: selectorFor("name=nginx") })]);
    expect(emitNftables(compile(own, "web"), { mode: "enforce" })).toMatchObject({ script: null, digest: null });
    const { refused } = emitNftables(compile(own, "web"), { mode: "enforce" });
    expect(refused.map(describeRefusal)).toEqual([
      "Policy/default/own (test.yaml:1): Workload/default/nginx would be treated otherwise than its host, and a script cannot tell its processes from others.",
    ]);
    const same = world([host("web"), nginx], [policy("same")]);
    expect(emitNftables(compile(same, "web"), { mode: "enforce" }).refused).toEqual([]);
  });
});

describe("a slot", () => {
  const text = (pieces: readonly NftablesPiece[]) => pieces.flatMap((piece) => [...pieceLines(piece)]).join("\n");
  /** What a rule asks, without what it asks for: `tcp dport`, `ct direction`, `vmap`. */
  const conditions = (lines: string) =>
    new Set(
      lines.match(
        /\b(?:(?:tcp|udp|sctp|ip6?|rt|frag|icmp|icmpv6|meta|ct)(?: original)? [a-z-]+|vmap|iif\w*|oif\w*|typeof \S+)/g,
      ),
    );

  it("of a sample asks everything that the slot of a program asks", () => {
    const sample = conditions(text(emitNftablesSample("b_").pieces));
    const program = conditions(text(emitNftablesSlot(compile(goldenWorld(), "web"), "b_").pieces));
    expect([...program].filter((condition) => !sample.has(condition))).toEqual([]);
    expect(emitNftablesSample("b_").pieces.filter(({ kind }) => kind === "map")).toHaveLength(4 * 2 + 2);
  });

  it("has no name without its prefix, and asks no connection while it is empty", () => {
    for (const { pieces } of [emitNftablesSample("b_"), emitEmptyNftablesSlot("b_")]) {
      expect(pieces.filter(({ name }) => !name.startsWith("b_"))).toEqual([]);
    }
    expect(text(emitEmptyNftablesSlot("a_").pieces)).not.toContain("ct state");
  });
});

describe("an export", () => {
  const exported = (policies: readonly Policy[]) => {
    const one: PolicyWorld = world([host("web"), host("db")], policies);
    return exportPolicy(one, "web", "nftables", { mode: "enforce" });
  };

  it("is refused for policies that change with time, where they are about the host", () => {
    const names = rule("egress", { peers: [{ kind: "domains", names: ["example.org"], source: NOWHERE }] });
    const expiring = { expiresAtUnixMs: 1_800_000_000_000 };
    const { script, refused } = exported([policy("a", { rules: [names] }), policy("b", expiring)]);
    expect(script).toBeNull();
    expect(refused.map(describeRefusal)).toEqual([
      "Policy/default/a (test.yaml:1): It names domains, whose addresses a script cannot follow.",
      "Policy/default/b (test.yaml:1): It expires, and a script does not.",
    ]);
    const nginx = workload("nginx", "web", { addresses: [], labels: new Map([["name", "nginx"]]) });
    const ofWorkload = policy("c", { tier: "admin", subject: selectorFor("name=nginx"), rules: [names] });
    const one = exportPolicy(world([host("web"), nginx], [ofWorkload]), "web", "pf", { mode: "enforce" });
    expect(one.refused.map(({ policyKey }) => policyKey)).toEqual(["Policy/default/c"]);
    const elsewhere = { subject: selectorFor("name=db") };
    const others = [policy("a", { ...elsewhere, rules: [names] }), policy("b", { ...elsewhere, ...expiring })];
    expect(exported(others)).toMatchObject({ refused: [], target: "nftables" });
  });
});
