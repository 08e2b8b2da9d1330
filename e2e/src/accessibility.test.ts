/** Every view in every theme against WCAG 2.2 AA, and the way to a plan without a mouse. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem, type Theme } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { connectToPeer, REFUSED_LIMIT_MS } from "./traffic.ts";

const problem = systemProblem();
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

describe.skipIf(problem !== null)(`accessibility${skipReason(problem)}`, { timeout: 2 * STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
    await system.enforce({ "hosts.yaml": HOSTS, "web.yaml": WEB_TO_DATABASE });
    for (const port of [5432, 8080]) await connectToPeer(system, port, REFUSED_LIMIT_MS);
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  async function violations(): Promise<string[]> {
    // Through the debugger: the page's own security policy refuses scripts from anywhere else, and should.
    await system.page.evaluate(AXE);
    const results = await system.page.evaluate(
      (tags) =>
        (
          globalThis as unknown as { axe: { run: (context: Document, options: object) => Promise<AxeResults> } }
        ).axe.run(document, { runOnly: { type: "tag", values: tags } }),
      TAGS,
    );
    return results.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`));
  }

  it("reaches a plan by keyboard alone", async () => {
    const { keyboard } = system.page;
    await keyboard.press("ControlOrMeta+k");
    await system.page.getByRole("combobox", { name: "Command" }).waitFor();
    await keyboard.type("web.yaml");
    await keyboard.press("Enter");
    await ui.policies.text.waitFor();
    await ui.policies.text.focus();
    await keyboard.press("ControlOrMeta+End");
    await keyboard.type("# by keyboard");
    await keyboard.press("ControlOrMeta+s");
    await ui.policies.editor.getByText("draft saved").waitFor();
    await keyboard.press("ControlOrMeta+Enter");
    await ui.ship.planFor("web-1").waitFor();
    await keyboard.press("Escape");
    await ui.ship.drawer.waitFor({ state: "hidden" });
    await keyboard.press("Alt+3");
    await ui.flows.grid.waitFor();
    await ui.flows.grid.focus();
    await keyboard.press("Home");
    await ui.flows.details.waitFor();
    await keyboard.press("Escape");
    await ui.flows.details.waitFor({ state: "hidden" });
    await keyboard.press("Alt+4");
    await ui.hosts.detail("web-1").waitFor();
    await keyboard.press("Alt+1");
    await system.page.getByRole("heading", { name: "Needs you" }).waitFor();
  });

  for (const theme of ["dark", "light", "contrast"] satisfies Theme[]) {
    it(`has no violation in ${theme}`, async () => {
      ui = new ConsolePage(await system.openPage(theme));
      await system.page.getByRole("heading", { name: "Needs you" }).waitFor();
      expect.soft(await violations(), "Overview").toEqual([]);
      await ui.goTo("Policies");
      await ui.policies.open("web.yaml");
      expect.soft(await violations(), "Policies").toEqual([]);
      await ui.policies.reviewAndApply();
      await ui.ship.planFor("web-1").waitFor();
      expect.soft(await violations(), "Review and apply").toEqual([]);
      await ui.ship.apply({ mode: "Enforce", reason: `seen in ${theme}`, within: "5 minutes" });
      await ui.ship.timer.waitFor();
      expect.soft(await violations(), "Confirm").toEqual([]);
      await ui.ship.rollBack();
      await ui.ship.drawer.getByText(/was rolled back on web-1\.$/).waitFor();
      await ui.ship.close();
      await ui.goTo("Flows");
      await ui.flows.rows().first().getByRole("gridcell").first().click();
      await ui.flows.details.waitFor();
      expect.soft(await violations(), "Flows").toEqual([]);
      await ui.goTo("Hosts");
      await ui.hosts.detail("web-1").waitFor();
      expect.soft(await violations(), "Hosts").toEqual([]);
      await system.page.keyboard.press("ControlOrMeta+k");
      await system.page.getByRole("combobox", { name: "Command" }).waitFor();
      expect.soft(await violations(), "Command palette").toEqual([]);
    });
  }
});
