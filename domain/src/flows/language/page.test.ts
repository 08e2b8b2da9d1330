import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FLOW_QUERY_DIAGNOSTICS } from "./diagnostics.ts";
import { FIELDS } from "./fields.ts";
import { parseFlowQuery } from "./parse.ts";

const PATH = new URL("../../../../docs/flows.md", import.meta.url);
const PAGE = readFileSync(PATH, "utf8");

const cell = (text: string) => text.replaceAll("|", "\\|");
const TABLES: Record<string, string> = {
  fields: [
    "| field | also | what it asks | example |",
    "|---|---|---|---|",
    ...FIELDS.map(({ name, aliases, meaning, example }) => {
      const also = aliases.map((alias) => `\`${alias}\``).join(", ");
      return `| \`${name}\` | ${also} | ${cell(meaning)} | \`${cell(example)}\` |`;
    }),
  ].join("\n"),
  codes: [
    "| code | | |",
    "|---|---|---|",
    ...Object.entries(FLOW_QUERY_DIAGNOSTICS).map(
      ([code, { severity, title }]) => `| ${code} | ${severity} | ${title} |`,
    ),
  ].join("\n"),
};

function withTables(page: string): string {
  return Object.entries(TABLES).reduce(
    (text, [name, table]) =>
      text.replace(
        new RegExp(`(<!-- ${name}:[^>]*-->\n)[\\s\\S]*?(<!-- /${name} -->)`),
        (_, start: string, end: string) => `${start}${table}\n${end}`,
      ),
    page,
  );
}

describe("docs/flows.md", () => {
  it("has the fields and codes that there are (UPDATE_DOCS=1 writes them)", () => {
    if (process.env.UPDATE_DOCS) writeFileSync(PATH, withTables(PAGE));
    expect(readFileSync(PATH, "utf8")).toBe(withTables(PAGE));
  });
  it("has examples that are read without a word", () => {
    const examples = [...PAGE.matchAll(/```query\n([\s\S]*?)```/g)].flatMap(([, block = ""]) =>
      block.trim().split("\n"),
    );
    expect(examples.length).toBeGreaterThan(5);
    for (const example of examples) {
      const { query, diagnostics } = parseFlowQuery(example, { nowMs: Date.UTC(2026, 10, 21) });
      expect([example, diagnostics]).toEqual([example, []]);
      expect(query).not.toBeNull();
    }
  });
  it("shows queries on the command line that can be read", () => {
    const quoted = [...PAGE.matchAll(/wardline flows (?:query|top|map|saved add \S+)[^\n]*?'([^']+)'/g)].map(
      ([, text = ""]) => text,
    );
    expect(quoted.length).toBeGreaterThan(2);
    for (const text of quoted) expect([text, parseFlowQuery(text, { nowMs: 0 }).diagnostics]).toEqual([text, []]);
  });
});
