import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { formatAddress, parseAddress } from "./address.ts";
import { effectiveAddresses } from "./endpoints.ts";
import type { FlowEnd } from "./evaluation.ts";
import { DECLARED_KINDS, kindTables, sharedTables } from "./formats/schema/index.ts";
import { type Inventory, PROTOCOL } from "./model.ts";
import { describeCounterexample, proveTests, testName } from "./proof/index.ts";
import { readPolicyFiles } from "./read.ts";
import { evaluateByBothEngines } from "./testing/index.ts";
import { DEFAULT_READ_LIMITS } from "./yaml/limits.ts";

const PATH = new URL("../../../docs/policy-reference.md", import.meta.url);
const PAGE = readFileSync(PATH, "utf8");

/** The yaml blocks of the page at their lines, so that a diagnostic points into it. */
function examples(): { readonly path: string; readonly text: string }[] {
  const found: { path: string; text: string }[] = [];
  for (const match of PAGE.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)) {
    const line = PAGE.slice(0, match.index).split("\n").length;
    found.push({ path: `policy-reference.md block at line ${line}`, text: match[1]! });
  }
  return found;
}

/** The page with its field tables as the declarations give them. */
function withTables(page: string): string {
  return page.replaceAll(
    /<!-- fields: (.+) -->\n[\s\S]*?<!-- end of fields -->/g,
    (_, name: string) => `<!-- fields: ${name} -->\n${tablesOf(name)}\n<!-- end of fields -->`,
  );
}

function tablesOf(name: string): string {
  if (name === "shared") return sharedTables();
  const named = DECLARED_KINDS.filter(({ apiVersion, kind }) => name === kind || name === `${apiVersion} ${kind}`);
  expect(named, name).toHaveLength(1);
  return kindTables(named[0]!);
}

interface StatedVerdict {
  readonly from: string;
  readonly to: string;
  readonly service: string;
  readonly verdict: string;
  readonly decidedBy: string;
}

function statedVerdicts(): readonly StatedVerdict[] {
  return [...PAGE.matchAll(/<!-- verdicts -->\n([\s\S]*?)<!-- end of verdicts -->/g)].flatMap((match) =>
    match[1]!
      .trim()
      .split("\n")
      .slice(2)
      .map((line) => {
        const [from, to, service, verdict, decidedBy] = line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll("`", ""));
        return { from: from!, to: to!, service: service!, verdict: verdict!, decidedBy: decidedBy! };
      }),
  );
}

/** Rows of the proof: case, result, counterexample without the place of its rule. */
function statedProofs(): readonly (readonly string[])[] {
  const [, table = ""] = /<!-- proof -->\n([\s\S]*?)<!-- end of proof -->/.exec(PAGE) ?? [];
  return table
    .trim()
    .split("\n")
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

function flowEnd(inventory: Inventory, text: string): FlowEnd {
  const address = parseAddress(text);
  if (address.ok) return { endpointKey: null, address: formatAddress(address.bytes) };
  const endpoint = inventory.endpoints.find(({ name }) => name === text)!;
  return { endpointKey: endpoint.key, address: effectiveAddresses(inventory, endpoint)[0]! };
}

describe("docs/policy-reference.md", () => {
  const result = readPolicyFiles(examples());
  const { world } = result;

  it("has examples that read together without a word", () => {
    const unexpected = result.diagnostics.filter(({ code }) => code !== "WL314" && code !== "WL349");
    expect(unexpected).toEqual([]);
    expect(world.policies.map(({ key }) => key)).toEqual([
      "AdminNetworkPolicy/time-for-the-shop",
      "BaselineAdminNetworkPolicy/default",
      "CalicoNetworkPolicy/storage/db-order",
      "CalicoNetworkPolicy/storage/db-order/rules",
      "CiliumNetworkPolicy/default/web-clients",
      "CiliumNetworkPolicy/default/web-clients/deny",
      "ClusterNetworkPolicy/no-telnet",
      "NetworkPolicy/storage/db-clients",
      "NetworkPolicy/web-to-db",
      "Policy/shop/no-audit-of-orders",
      "Policy/shop/nothing-from-outside",
      "Policy/shop/orders",
      "Policy/shop/what-audit-calls",
      "Policy/vaults/vault",
    ]);
    expect(result.tests.map(({ key }) => key)).toEqual(["PolicyTest/shop/orders-are-safe"]);
    expect(world.inventory.endpoints).toHaveLength(8);
  });

  it.each(statedVerdicts())("is right: $from to $to on $service is $verdict", (stated) => {
    const [protocol, port] = stated.service.split("/") as [keyof typeof PROTOCOL, string];
    const { verdict, directions } = evaluateByBothEngines(world, {
      from: flowEnd(world.inventory, stated.from),
      to: flowEnd(world.inventory, stated.to),
      protocol: PROTOCOL[protocol],
      port: protocol === "icmp" ? Number(port) << 8 : Number(port),
    });
    expect(verdict).toBe(stated.verdict);
    const deciding = directions.filter((direction) => direction.verdict === verdict);
    const keys = deciding.flatMap(({ decision }) => decision.policyKeys);
    if (stated.decidedBy === "") expect(keys).toEqual([]);
    else expect(keys).toContain(stated.decidedBy);
  });

  it("states verdicts, allowed and denied", () => {
    expect(new Set(statedVerdicts().map(({ verdict }) => verdict))).toEqual(new Set(["allow", "deny"]));
  });

  it("says how its tests come out", () => {
    const { cases } = proveTests(world, result.tests);
    const proofs = cases.map(({ test, testCase, status, counterexample }) => {
      const text = counterexample === null ? "" : describeCounterexample(counterexample);
      return [testName(test, testCase.index), status, text.replace(/ \(policy-reference\.md block.*\)$/, "")];
    });
    expect(statedProofs()).toEqual(proofs);
  });

  it("has the field tables of the declarations (UPDATE_DOCS=1 writes them)", () => {
    if (process.env.UPDATE_DOCS) writeFileSync(PATH, withTables(PAGE));
    const page = readFileSync(PATH, "utf8");
    expect(page).toBe(withTables(page));
  });

  it("names every kind and every version", () => {
    for (const { apiVersion } of DECLARED_KINDS) expect(PAGE).toContain(`| \`${apiVersion}\``);
    for (const { kind } of DECLARED_KINDS) expect(PAGE).toContain(`| \`${kind}\` |`);
  });

  it("names the limits that hold", () => {
    const { maxDepth, maxDocumentsPerFile, maxNodesPerDocument, maxAliasesPerDocument, maxFiles } = DEFAULT_READ_LIMITS;
    for (const limit of [maxDepth, maxDocumentsPerFile, maxNodesPerDocument, maxAliasesPerDocument, maxFiles]) {
      expect(PAGE).toContain(limit.toLocaleString("en-US"));
    }
    expect(DEFAULT_READ_LIMITS.maxFileLength).toBe(2 ** 20);
    expect(DEFAULT_READ_LIMITS.maxTotalLength).toBe(16 * 2 ** 20);
  });
});
