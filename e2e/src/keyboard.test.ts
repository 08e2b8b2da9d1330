/**
 * The ten main tasks (`tasks.test.ts`) on the real agent, without a mouse. After every key the focus is somewhere and can be
 * seen, and nothing is further away than 25 presses of one key.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { Keyboard, MOST_PRESSES, type Shown } from "./keyboard.ts";
import { connectToPeer, expectPasses, expectRefused, REFUSED_LIMIT_MS } from "./traffic.ts";

const problem = systemProblem();
const CONNECTIONS = 14;

describe.skipIf(problem !== null)(
  `the main tasks by keyboard${skipReason(problem)}`,
  { timeout: STEP_LIMIT_MS },
  () => {
    let system: System;
    let keys: Keyboard;

    beforeAll(async () => {
      system = await System.start();
      keys = new Keyboard(system.page);
    }, STEP_LIMIT_MS);
    afterAll(() => system?.close(), STEP_LIMIT_MS);
    beforeEach((context) => system.watch(context));

    const see = (text: string | RegExp) => keys.shown.getByText(text).first().waitFor();
    const editor = (): Shown => keys.shown.getByRole("textbox", { name: /^Text of / });
    const drawer = (): Shown => keys.shown.getByRole("dialog", { name: "Review and apply" });

    /** From the open drawer to a generation that is kept. */
    async function apply(mode: "Observe" | "Enforce", reason: string, generation: number): Promise<void> {
      await drawer().getByRole("region", { name: "Plan for web-1" }).waitFor();
      await keys.tabTo("radio", /^(Observe|Enforce)/);
      await keys.arrowTo("radio", new RegExp(`^${mode}`));
      await keys.press("Space");
      await keys.tabTo("textbox", "Reason");
      await keys.type(reason);
      await keys.tabTo("button", new RegExp(`^${mode} on \\d+ hosts?$`));
      await keys.press("Enter");
      await drawer()
        .getByRole("region", { name: `Generation ${generation} on web-1 waits for confirmation` })
        .waitFor();
      await keys.focus("while a generation waits");
    }

    async function keep(generation: number): Promise<void> {
      await keys.press("Alt+k");
      await see(`Generation ${generation} is kept on web-1.`);
      await keys.press("Escape");
      await drawer().waitFor({ state: "hidden" });
    }

    it("1: from nothing to a policy that is tried out, suggested from what this machine does", async () => {
      const guide = keys.shown.getByRole("region", { name: "Start here" });
      await guide.waitFor();
      for (let turn = 0; turn < CONNECTIONS; turn++) await connectToPeer(system, 5432, REFUSED_LIMIT_MS);
      await keys.press("Tab");
      await keys.press("Enter");
      await keys.tabTo("button", "Suggest from what was seen");
      await keys.press("Enter");
      const suggestion = keys.shown
        .getByRole("dialog", { name: "Suggested policies" })
        .getByRole("region", { name: /^Suggested policy/ })
        .first();
      await suggestion.getByText(/5432/).first().waitFor();
      await keys.tabTo("button", "Add to the draft", suggestion);
      await keys.press("Enter");
      await suggestion.getByText(/^Saved as /).waitFor();
      await keys.press("Escape");
      await keys.tabTo("button", "Review and observe");
      await keys.press("Enter");
      await apply("Observe", "a first look", 1);
      await keep(1);
      await guide.waitFor({ state: "detached" });
      await keys.focus("after the first steps are done");
      await expectPasses(system, 8080);
    });

    it("2: enforce it, and see that the kernel does", async () => {
      await keys.press("Alt+2");
      await editor().waitFor();
      await keys.press("Control+Enter");
      await apply("Enforce", "what was seen is what is meant", 2);
      await expectPasses(system, 5432);
      await expectRefused(system, 8080);
      await keep(2);
    });

    it("3: ask, and keep the answer as a test", async () => {
      await keys.press("Control+k");
      await keys.type("can web-1 reach 10.77.0.1 on 5432?");
      await keys.press("Enter");
      const answer = keys.shown.getByRole("article", { name: "Answer" });
      await answer.getByText("Yes", { exact: true }).waitFor();
      await keys.tabTo("button", "Keep as a test…");
      await keys.press("Enter");
      await keys.tabTo("button", "Add to the draft");
      await keys.press("Enter");
      await editor().waitFor();
      await expect.poll(() => editor().innerText()).toContain("kind: PolicyTest");
      await keys.focus("when the draft is open");
    });

    it("4: find a refused connection, and allow it by a rule with its effect shown first", async () => {
      await expectRefused(system, 8080);
      await keys.press("Alt+3");
      await keys.paneTo("grid", /./);
      const details = keys.shown.getByRole("complementary", { name: /details$/ });
      await keys.press("Home");
      await details.waitFor();
      for (let row = 0; row < MOST_PRESSES; row++) {
        const text = await details.innerText();
        if (text.includes("8080") && text.includes("Allow it by a rule")) break;
        await keys.press("ArrowDown");
      }
      await keys.paneTo("complementary", /details$/);
      await keys.tabTo("button", "Allow it by a rule…");
      await keys.press("Enter");
      const sheet = keys.shown.getByRole("dialog", { name: "Allow this connection" });
      await sheet.getByRole("region", { name: "Whom it changes" }).getByRole("listitem").first().waitFor();
      await keys.tabTo("button", /^Write the draft of /);
      await keys.press("Enter");
      await editor().waitFor();
      await expect.poll(() => editor().innerText()).toContain("8080");
      await keys.focus("when the draft is open");
      // A draft only: the kernel refuses as before.
      await expectRefused(system, 8080);
    });

    it("5: see draft, enforced and reported verdicts of the same connections beside each other", async () => {
      await keys.press("Alt+0");
      await keys.tabTo("tab", /./);
      await keys.arrowTo("tab", "Verdicts", "ArrowRight");
      const row = keys.shown.getByRole("row").filter({ hasText: "8080" }).first();
      await row.getByText("would pass").waitFor();
      await row.getByText("denied").first().waitFor();
    });

    it("6: edit by form what the text says, with one history", async () => {
      await keys.press("Alt+2");
      await editor().waitFor();
      // Text, form, both.
      await keys.press("Control+Shift+y");
      await keys.press("Control+Shift+y");
      const form = keys.shown.getByRole("region", { name: "Form of the document" }).first();
      const name = form.getByRole("textbox", { name: "Name", exact: true }).first();
      await name.waitFor();
      const before = await name.inputValue();
      await keys.paneTo("navigation", "Documents of this file");
      await keys.tabTo("textbox", /^Name$/);
      await keys.press("End");
      await keys.type("-renamed");
      await keys.press("Tab");
      await expect.poll(() => editor().innerText()).toContain(`${before}-renamed`);
      await keys.paneTo("textbox", /^Text of /);
      await keys.press("Control+z");
      await expect.poll(() => editor().innerText()).not.toContain("-renamed");
      // From both over the picture back to the text.
      await keys.press("Control+Shift+y");
      await keys.press("Control+Shift+y");
      await name.waitFor({ state: "detached" });
      await keys.focus("when the form has gone");
    });

    it("7: look at the picture, and read it as a table", async () => {
      await keys.press("Alt+2");
      await keys.paneTo("complementary", "Policy files");
      await keys.tabTo("button", "Picture of all policies");
      await keys.press("Enter");
      await keys.tabTo("button", /^Connections/);
      await keys.press("Enter");
      const row = keys.shown.getByRole("row").filter({ hasText: "10.77.0.1/32" });
      await row.getByText("5432/tcp, 8080/tcp").waitFor();
      await row.getByText(/would open/).waitFor();
    });

    it("8: go back to an earlier version", async () => {
      await keys.press("Control+k");
      await keys.type("versions and receipts");
      await keys.press("Enter");
      await keys.shown.getByRole("dialog").getByText("a first look").first().waitFor();
      await keys.focus("in the history");
      await keys.press("Escape");
      await keys.shown.getByRole("dialog").waitFor({ state: "detached" });
      await keys.focus("when the history is closed");
    });

    it("9: choose how the window looks, in the settings and in their file", async () => {
      await keys.press("Alt+9");
      await keys.shown.getByRole("main", { name: "settings" }).waitFor();
      await keys.tabTo("button", /Theme/);
      await keys.press("Enter");
      await keys.arrowTo("option", /light/i);
      await keys.press("Enter");
      await keys.shown.locator('html[data-theme="light"]').waitFor();
      const file = join(system.lab.directory, "config", "wardline", "settings.yaml");
      await expect.poll(() => readFileSync(file, "utf8")).toMatch(/theme: light/);
      await keys.focus("when the theme has changed");
    });

    it("10: prove that nobody changed the record of what was done", async () => {
      await keys.press("Alt+8");
      await keys.paneTo("grid", "Audit entries");
      await keys.press("Home");
      await keys.press("Enter");
      await see("apply");
      const { exitCode } = await system.run(["audit", "verify"]);
      expect(exitCode).toBe(0);
    });
  },
);
