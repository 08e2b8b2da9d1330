import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface AxeViolation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

const STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
/** What another theme can change: colours, and how large things are drawn. All else axe reads from the same elements. */
const RULES_OF_A_THEME = ["color-contrast", "link-in-text-block", "target-size"];

/** What axe finds on a page: rule, element and why; with `themeOnly`, what may differ from the theme looked at before. */
export async function accessibilityViolations(page: Page, { themeOnly = false } = {}): Promise<string[]> {
  if (!(await page.evaluate(`"axe" in window`))) await page.evaluate(axeSource);
  const runOnly = themeOnly ? { type: "rule", values: RULES_OF_A_THEME } : { type: "tag", values: STANDARD };
  const violations = await page.evaluate<AxeViolation[]>(
    `axe.run(document, ${JSON.stringify({ runOnly, resultTypes: ["violations"] })}).then((result) => result.violations)`,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary ?? ""}`),
  );
}
