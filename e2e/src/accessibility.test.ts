/** The screens of an apply in every theme against WCAG 2.2 AA, on real data; `keyboard.test.ts` has the way without a mouse. */
import { accessibilityViolations } from "@wardline/renderer/testing/axe";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { connectToPeer, REFUSED_LIMIT_MS } from "./traffic.ts";

const problem = systemProblem();
/** The window follows the system: each screen is looked at in all of them, without another way to it. */
const THEMES = [
  ["dark", { colorScheme: "dark", contrast: "no-preference" }],
  ["light", { colorScheme: "light", contrast: "no-preference" }],
  ["contrast", { colorScheme: "dark", contrast: "more" }],
] as const;

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

  async function expectNoViolation(screen: string): Promise<void> {
    for (const [theme, media] of THEMES) {
      await system.page.emulateMedia(media);
      await system.page.locator(`html[data-theme="${theme}"]`).waitFor();
      const violations = await accessibilityViolations(system.page, { themeOnly: theme !== "dark" });
      expect.soft(violations, `${screen} in ${theme}`).toEqual([]);
    }
  }

  it("has no violation on any screen in any theme", async () => {
    await system.page.getByRole("heading", { name: "Needs you" }).waitFor();
    await expectNoViolation("Overview");
    await ui.goTo("Policies");
    await ui.policies.open("web.yaml");
    await expectNoViolation("Policies");
    await ui.policies.reviewAndApply();
    await ui.ship.planFor("web-1").waitFor();
    await expectNoViolation("Review and apply");
    await ui.ship.apply({ mode: "Enforce", reason: "seen in three themes", within: "5 minutes" });
    await ui.ship.timer.waitFor();
    await expectNoViolation("Confirm");
    await ui.ship.rollBack();
    await ui.ship.drawer.getByText(/was rolled back on web-1\.$/).waitFor();
    await ui.ship.close();
    await ui.goTo("Flows");
    await ui.flows.rows().first().getByRole("gridcell").first().click();
    await ui.flows.details.waitFor();
    await expectNoViolation("Flows");
    await ui.goTo("Hosts");
    await ui.hosts.detail("web-1").waitFor();
    await expectNoViolation("Hosts");
    await system.page.keyboard.press("ControlOrMeta+k");
    await system.page.getByRole("combobox", { name: "Command" }).waitFor();
    await expectNoViolation("Command palette");
  });
});
