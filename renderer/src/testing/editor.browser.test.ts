import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const TESTS = `apiVersion: wardline.io/v1
kind: PolicyTest
metadata:
  name: database
spec:
  tests:
    - from: {selector: {matchLabels: {app: web}}}
      to: {selector: {matchLabels: {app: database}}}
      ports: [{protocol: TCP, port: 5432}]
      expect: allow
    - from: {selector: {matchLabels: {app: web}}}
      to: {selector: {matchLabels: {app: database}}}
      ports: [{protocol: TCP, port: 5432}]
      expect: deny
      because: nobody but the office
`;
const editor = (page: Page) => page.locator(".cm-content");
/** Gutters are hidden from screen readers, which have the same in the Effect panel. */
const evidence = (page: Page, note: string) => page.locator(`.line-evidence[title^="${note}"]`);
const effect = (page: Page) => page.getByRole("complementary", { name: "Effect" });

describe.skipIf(browserTestObstacle)(
  `the policy editor in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 180_000);
    afterAll(() => server.close());

    async function openFile(file: RegExp | string, { scenario = "normal", files = {} as Record<string, string> } = {}) {
      const opened = await server.open({ scenario });
      const { page } = opened;
      await page.evaluate(
        `for (const [path, text] of Object.entries(${JSON.stringify(files)})) fake.files.set(path, { text, revision: 1n, modifiedMs: 0 }); fake.notify();`,
      );
      await page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: "Policies" }).click();
      await page.locator(".file-item", { hasText: file }).click();
      await editor(page).waitFor();
      await page
        .getByText(/None in this file|problem/)
        .first()
        .waitFor();
      return { page, complaints: opened.complaints };
    }

    it("offers what the fleet has, and writes it in place", { timeout: 120_000 }, async () => {
      const half =
        "apiVersion: wardline.io/v1\nkind: Policy\nmetadata:\n  name: x\nspec:\n  subject:\n    hosts:\n      matchLabels:\n        app: ";
      const { page, complaints } = await openFile(/zz\.yaml/, { files: { "policies/zz.yaml": half } });
      await editor(page).click();
      await page.keyboard.press("Control+End");
      await page.keyboard.press("Control+Space");
      await page.getByRole("option", { name: /database.*1 host/ }).waitFor();
      await page.keyboard.type("dat");
      await expect.poll(() => page.getByRole("option").count()).toBe(1);
      await page.getByRole("option", { name: /database/ }).click();
      await expect.poll(() => editor(page).textContent()).toContain("app: database");
      expect(complaints).toEqual([]);
    });

    it("shows problems of the text as it stands, walks through them by keys into the next file, and mends all at once", {
      timeout: 120_000,
    }, async () => {
      const bad =
        "apiVersion: wardline.io/v1\nkind: Policy\nmetadata:\n  name: a\nspec:\n  subjct: {}\n  ingres: []\n\t\n";
      const { page, complaints } = await openFile(/zz\.yaml/, { files: { "policies/zz.yaml": bad } });
      await page.locator(".cm-lintRange").first().waitFor();
      await page.locator(".cm-shownTab").waitFor();
      await editor(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.press("F8");
      const firstLine = await page.evaluate<string>(`document.querySelector(".cm-activeLine").textContent`);
      await page.keyboard.press("F8");
      await expect
        .poll(() => page.evaluate<string>(`document.querySelector(".cm-activeLine").textContent`))
        .not.toBe(firstLine);
      // As often as there are problems, and then into the next file.
      await expect
        .poll(
          async () => {
            await page.keyboard.press("F8");
            return page.getByRole("heading", { level: 1, name: /zz\.yaml/ }).isVisible();
          },
          { timeout: 30_000, interval: 60 },
        )
        .toBe(false);
      await page.keyboard.press("Shift+F8");
      expect(complaints).toEqual([]);
    });

    it("mends all of one kind in one step, and leaves the others", { timeout: 120_000 }, async () => {
      const two = (name: string) =>
        `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: { name: ${name} }\nspec:\n  subjct: { selector: {} }\n  isolate: [Ingress]\n`;
      const text = [two("a"), two("b"), two("c")].join("---\n");
      const { page, complaints } = await openFile(/zz\.yaml/, { files: { "policies/zz.yaml": text } });
      const all = effect(page).getByRole("button", { name: /^Mend all \d+$/ });
      await all.waitFor();
      const kind = effect(page)
        .getByRole("button", { name: /^Mend all 3 WL\d+$/ })
        .first();
      const code = (await kind.innerText()).split(" ").at(-1);
      await kind.click();
      await expect
        .poll(async () => (await effect(page).innerText()).includes(`Mend all 3 ${code}`), { timeout: 30_000 })
        .toBe(false);
      const mended = await page.evaluate<string>("document.querySelector('.cm-content').innerText");
      const left = [/subjct/, /Ingress/].filter((wrong) => wrong.test(mended));
      expect(left).toHaveLength(1);
      // One undo takes all of it back.
      await editor(page).click();
      await page.keyboard.press("Control+z");
      await expect
        .poll(() => page.evaluate<string>("document.querySelector('.cm-content').innerText"))
        .toContain("subjct");
      await effect(page)
        .getByRole("button", { name: `Mend all 3 ${code}` })
        .waitFor();
      expect(complaints).toEqual([]);
    });

    it("takes nothing that would make a file too large to be saved, and says so; what is too large can shrink", {
      timeout: 120_000,
    }, async () => {
      const line = `# ${"x".repeat(1021)}\n`;
      const full = line.repeat(1024).slice(0, 2 ** 20 - 3);
      const { page } = await openFile(/zz\.yaml/, { files: { "policies/zz.yaml": full } });
      const said = page.locator(".cm-size-panel");
      await editor(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.insertText("ab");
      expect(await said.count()).toBe(0);
      await page.keyboard.insertText("cdef");
      await said.getByText(/It was not taken: split the file/).waitFor();
      await expect.poll(() => page.locator(".cm-line").first().textContent()).toMatch(/^ab#/);
      await expect
        .poll(() => page.evaluate("window.fake.files.get('policies/zz.yaml').text.length"), { timeout: 30_000 })
        .toBe(2 ** 20 - 1);
      await page.evaluate(
        `fake.files.set("policies/zy.yaml", { text: "# y\\n".repeat(300_000), revision: 1n, modifiedMs: 0 }); fake.notify();`,
      );
      await page.evaluate(`windowStore.getState().openFile("policies/zy.yaml")`);
      await said.getByText(/It can only get smaller here/).waitFor({ timeout: 30_000 });
    });

    it("proves the tests while one types: tick, cross with the rule, and nothing while the text has errors", {
      timeout: 120_000,
    }, async () => {
      const { page, complaints } = await openFile(/aa-tests\.yaml/, { files: { "policies/aa-tests.yaml": TESTS } });
      await evidence(page, "Test holds: default/database[0]").waitFor({ timeout: 60_000 });
      const failed = evidence(page, "Test fails: default/database[1]");
      await failed.waitFor();
      await effect(page).getByText("Wanted because: nobody but the office").waitFor();
      // With the expectation turned round the cross becomes a tick, without a save or a button.
      await editor(page).click();
      await page.keyboard.press("Control+End");
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("End");
      await page.keyboard.press("Control+Backspace");
      await page.keyboard.type("allow");
      await page.keyboard.press("Escape");
      await evidence(page, "Test holds: default/database[1]").waitFor();
      await page.keyboard.type("xx");
      await effect(page).getByText("tests run when there are none").waitFor();
      expect(complaints).toEqual([]);
    });

    it("says what the rule at the cursor does, and where a label is defined", { timeout: 120_000 }, async () => {
      const { page } = await openFile(/database\.yaml/);
      await editor(page).click();
      const line = page.locator(".cm-line", { hasText: "port: 5432" }).first();
      await line.click();
      await effect(page)
        .getByText(/It lets through connections/)
        .waitFor();
      await page.locator(".cm-line", { hasText: "app: database" }).first().click();
      await page.keyboard.press("End");
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("Shift+F12");
      await effect(page).getByRole("heading", { name: "label app=database" }).waitFor();
    });

    it("keeps undo when another file was looked at, and comments lines by a key", { timeout: 120_000 }, async () => {
      const { page } = await openFile(/database\.yaml/);
      await editor(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.press("Control+/");
      await expect.poll(() => page.locator(".cm-line").first().textContent()).toMatch(/^# /);
      await page.locator(".file-item", { hasText: "web.yaml" }).click();
      await page.getByRole("textbox", { name: "Text of policies/web.yaml" }).waitFor();
      await page.locator(".file-item", { hasText: "database.yaml" }).click();
      await page.getByRole("textbox", { name: "Text of policies/database.yaml" }).click();
      await page.keyboard.press("Control+z");
      await expect.poll(() => page.locator(".cm-line").first().textContent()).not.toMatch(/^# /);
    });

    it("stays usable with thousands of problems and 10 kB names, and runs nothing of them", {
      timeout: 120_000,
    }, async () => {
      const name = `<img src=x onerror=alert(1)>\u202e${"very-long-".repeat(1_000)}`;
      const many = Array.from({ length: 3_000 }, (_, index) => `wrong${index}: "${index === 0 ? name : "x"}"`).join(
        "\n",
      );
      const text = `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: a}\nspec: {subject: {}}\n${many}\n`;
      const { page, complaints } = await openFile(/zz\.yaml/, { files: { "policies/zz.yaml": text } });
      await effect(page)
        .getByRole("button", { name: /Show 100 more/ })
        .waitFor();
      expect(await effect(page).locator(".problem").count()).toBeLessThanOrEqual(100);
      await editor(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("# typed");
      await expect.poll(() => page.locator(".cm-line").first().textContent()).toContain("# typed");
      expect(complaints).toEqual([]);
    });

    it("has no accessibility violation in dark and light, with problems, tests and a completion open", {
      timeout: 120_000,
    }, async () => {
      const { page } = await openFile(/aa-tests\.yaml/, {
        files: { "policies/aa-tests.yaml": TESTS, "policies/zz.yaml": "kind: x\n" },
      });
      await page.getByText("errors; tests run").or(evidence(page, "Test").first()).first().waitFor();
      for (const theme of ["dark", "light"] as const) {
        await page.evaluate(`settingsStore.getState().change({ "display.theme": "${theme}" })`);
        await page.locator(`html[data-theme="${theme}"]`).waitFor({ state: "attached" });
        expect(await accessibilityViolations(page, { themeOnly: theme === "light" }), theme).toEqual([]);
      }
    });
  },
);
