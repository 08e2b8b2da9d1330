/**
 * The main tasks of a person at the console, on the real agent, in the order in which somebody new meets them. Each task is done as
 * its page of the guide says; what the kernel does with packets is looked at where the task is about it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator } from "playwright";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { connectToPeer, expectPasses, expectRefused, REFUSED_LIMIT_MS } from "./traffic.ts";

const problem = systemProblem();
/** More than the first steps ask for: a start and an end each. */
const CONNECTIONS = 14;

describe.skipIf(problem !== null)(`the main tasks${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  const dialog = (name: string | RegExp): Locator => system.page.getByRole("dialog", { name });
  const press = (keys: string): Promise<void> => system.page.keyboard.press(keys);

  it("1: from nothing to a policy that is tried out, suggested from what this machine does", async () => {
    const guide = system.page.getByRole("region", { name: "Start here" });
    await guide.waitFor();
    for (let turn = 0; turn < CONNECTIONS; turn++) await connectToPeer(system, 5432, REFUSED_LIMIT_MS);
    await guide.getByRole("button", { name: "Suggest from what was seen" }).click();
    const sheet = dialog("Suggested policies");
    const suggestion = sheet.getByRole("region", { name: /^Suggested policy/ }).first();
    await suggestion.getByText(/5432/).first().waitFor();
    await suggestion.getByRole("button", { name: "Add to the draft" }).click();
    await suggestion.getByText(/^Saved as /).waitFor();
    await press("Escape");
    await guide.getByRole("button", { name: "Review and observe" }).click();
    await ui.ship.planFor("web-1").waitFor();
    await ui.ship.apply({ mode: "Observe", reason: "a first look", within: "5 minutes" });
    await ui.ship.pending(1, "web-1").waitFor();
    await ui.ship.keep();
    await ui.ship.drawer.getByText("Generation 1 is kept on web-1.").waitFor();
    await ui.ship.close();
    await guide.waitFor({ state: "detached" });
    await ui.status(/observing/).waitFor();
    // Nothing is dropped while it only observes.
    await expectPasses(system, 8080);
  });

  it("2: enforce it, and see that the kernel does", async () => {
    await ui.goTo("Policies");
    await ui.policies.reviewAndApply();
    await ui.ship.planFor("web-1").waitFor();
    await ui.ship.apply({ mode: "Enforce", reason: "what was seen is what is meant", within: "5 minutes" });
    await ui.ship.pending(2, "web-1").waitFor();
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
    await ui.ship.keep();
    await ui.ship.drawer.getByText("Generation 2 is kept on web-1.").waitFor();
    await ui.ship.close();
  });

  it("3: ask, by keyboard, and keep the answer as a test", async () => {
    await press("ControlOrMeta+k");
    await system.page.keyboard.type("can web-1 reach 10.77.0.1 on 5432?");
    await press("Enter");
    const answer = system.page.getByRole("article", { name: "Answer" });
    await answer.getByRole("status").getByText("Yes", { exact: true }).waitFor();
    await answer.getByRole("button", { name: "Keep as a test…" }).press("Enter");
    await answer.getByRole("button", { name: "Add to the draft" }).press("Enter");
    await ui.policies.text.waitFor();
    await expect.poll(() => ui.policies.text.innerText()).toContain("kind: PolicyTest");
  });

  it("4: find a refused connection, and allow it by a rule with its effect shown first", async () => {
    await expectRefused(system, 8080);
    await ui.goTo("Flows");
    await ui.flows.rows("8080", "denied").first().getByRole("gridcell").first().click();
    await system.page.getByRole("button", { name: "Allow it by a rule…" }).click();
    const sheet = dialog("Allow this connection");
    await sheet.getByRole("region", { name: "Whom it changes" }).getByRole("listitem").first().waitFor();
    await sheet.getByRole("button", { name: /^Write the draft of / }).click();
    await ui.policies.text.waitFor();
    await expect.poll(() => ui.policies.text.innerText()).toContain("8080");
    // A draft only: the kernel refuses as before.
    await expectRefused(system, 8080);
  });

  it("5: see draft, enforced and reported verdicts of the same connections beside each other", async () => {
    await ui.goTo("Changes");
    await system.page.getByRole("tab", { name: "Verdicts" }).click();
    const row = system.page.getByRole("row").filter({ hasText: "8080" }).first();
    await row.getByText("would pass").waitFor();
    await row.getByText("denied").first().waitFor();
  });

  it("6: edit by form what the text says, with one history", async () => {
    await ui.goTo("Policies");
    await system.page.getByRole("button", { name: "Both", exact: true }).click();
    const form = system.page.getByRole("region", { name: "Form of the document" }).first();
    const name = form.getByRole("textbox", { name: "Name", exact: true }).first();
    const before = await name.inputValue();
    await name.fill(`${before}-renamed`);
    await press("Tab");
    await expect.poll(() => ui.policies.text.innerText()).toContain(`${before}-renamed`);
    await ui.policies.text.click();
    await press("ControlOrMeta+z");
    await expect.poll(() => ui.policies.text.innerText()).not.toContain("-renamed");
    await system.page.getByRole("button", { name: "Text", exact: true }).click();
  });

  it("7: look at the picture, and read it as a table", async () => {
    await ui.goTo("Policies");
    await system.page.getByRole("button", { name: "Picture of all policies" }).click();
    await system.page.getByRole("button", { name: /^Connections/ }).click();
    const row = system.page.getByRole("row").filter({ hasText: "10.77.0.1/32" });
    await row.getByText("5432/tcp, 8080/tcp").waitFor();
    await row.getByText(/would open/).waitFor();
  });

  it("8: go back to an earlier version", async () => {
    await ui.goTo("Policies");
    await ui.policies.open("default-suggested-web-1.yaml");
    await system.page.getByRole("button", { name: "Versions and receipts" }).click();
    await system.page.getByRole("dialog").getByText("a first look").first().waitFor();
    await press("Escape");
  });

  it("9: choose how the window looks, in the settings and in their file", async () => {
    await press("Alt+9");
    await system.page.getByRole("main", { name: "settings" }).waitFor();
    const file = join(system.lab.directory, "config", "wardline", "settings.yaml");
    await system.page.getByRole("button", { name: /Theme/ }).first().click();
    await system.page.getByRole("option", { name: /light/i }).first().click();
    await system.page.locator('html[data-theme="light"]').waitFor();
    await expect.poll(() => readFileSync(file, "utf8")).toMatch(/theme: light/);
  });

  it("10: prove that nobody changed the record of what was done", async () => {
    await press("Alt+8");
    await system.page.getByRole("main", { name: "audit" }).waitFor();
    await system.page.getByText("apply").first().waitFor();
    const { exitCode } = await system.run(["audit", "verify"]);
    expect(exitCode).toBe(0);
  });
});
