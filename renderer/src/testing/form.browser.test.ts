import { readPolicyFiles } from "@wardline/domain/policy";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

/** A busy machine may take its time. */
const SLOW = { timeout: 30_000 };

const draftOf = (page: Page, path: string) =>
  page.evaluate(`window.fake.files.get(${JSON.stringify(path)})?.text ?? null`) as Promise<string | null>;

describe.skipIf(browserTestObstacle)(
  `the form of a policy in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 240_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 240_000);
    afterAll(() => server.close());

    async function open(scenario: string, file: RegExp | null, face: "Form" | "Both") {
      const { page, complaints } = await server.open({ scenario });
      page.setDefaultTimeout(60_000);
      await page.keyboard.press("Alt+2");
      if (file) await page.getByRole("button", { name: file }).first().click();
      await page.getByRole("group", { name: "Show as" }).getByRole("button", { name: face }).click();
      const card = page.getByRole("region", { name: "Form of the document" });
      if (file) await card.waitFor();
      return { page, complaints, card };
    }

    const textOf = async (page: Page) => (await page.locator(".cm-content").textContent()) ?? "";

    it("makes a policy by keyboard alone, which reads without problems", async () => {
      const { page, complaints, card } = await open("normal", null, "Form");
      await page.getByRole("button", { name: "New policy" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await page.getByRole("button", { name: /^Allow one to another/ }).focus();
      await page.keyboard.press("Enter");
      await card.waitFor();
      await card.getByRole("textbox", { name: "Name", exact: true }).first().focus();
      await page.keyboard.press("ControlOrMeta+A");
      await page.keyboard.type("shop-to-db");
      await card.getByRole("button", { name: "Add rule" }).first().focus();
      await page.keyboard.press("Enter");
      // The focus is in the new rule: by what its first peer is given.
      const isInNewRule = () => page.evaluate("document.activeElement?.closest('.form-rule-body') !== null");
      await expect.poll(isInNewRule, SLOW).toBe(true);
      await card.getByLabel("Labels: value of app").last().focus();
      await page.keyboard.type("backup");
      await card.getByLabel("Port", { exact: true }).last().focus();
      await page.keyboard.type("5433");
      await card.getByRole("button", { name: /^Move rule 2 of 2/ }).focus();
      await page.keyboard.press("Alt+ArrowUp");
      await page.getByText("rule moved to 1 of 2").waitFor({ state: "attached" });
      const path = "policies/allow.yaml";
      await expect.poll(() => draftOf(page, path), SLOW).toMatch(/port: 5433[\s\S]*from the application/);
      const text = (await draftOf(page, path)) ?? "";
      expect(text).toContain("# Only the application reaches the database.\n");
      expect(text).toContain("  name: shop-to-db\n");
      const read = readPolicyFiles([{ path, text }]);
      expect(read.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
      expect(read.world.policies[0]?.rules).toHaveLength(2);
      expect(complaints).toEqual([]);
    });

    it("writes only what changed, keeps comments, and has one history with the text", async () => {
      const { page, card } = await open("normal", /web\.yaml/, "Both");
      const before = await textOf(page);
      expect(before).toContain("# Who may talk to the web tier");
      const prefix = card.getByLabel("Prefix", { exact: true }).first();
      await prefix.fill("10.21.0.0/16");
      await expect.poll(() => textOf(page), SLOW).toBe(before.replace("10.20.0.0/16", "10.21.0.0/16"));
      await card.getByRole("button", { name: "Switch rule 1 off" }).first().click();
      await expect.poll(() => textOf(page), SLOW).toContain("#off - from:");
      await card.getByText(/^Off:/).waitFor();
      await prefix
        .or(card.getByRole("textbox", { name: "Name", exact: true }))
        .first()
        .focus();
      await page.keyboard.press("ControlOrMeta+Z");
      await page.keyboard.press("ControlOrMeta+Z");
      await expect.poll(() => textOf(page), SLOW).toBe(before);
      expect(await prefix.inputValue()).toBe("10.20.0.0/16");
      // Typed in the text, taken back in the form; and what the text cannot say, the form neither shows nor touches.
      await page.locator(".cm-content").click();
      await page.keyboard.press("ControlOrMeta+Home");
      await page.keyboard.type("a: [");
      await page.getByText(/of the text cannot be read/).waitFor();
      expect(await prefix.isEditable()).toBe(false);
      expect(await prefix.inputValue()).toBe("10.20.0.0/16");
      await page.getByRole("button", { name: "Undo" }).click();
      await expect.poll(() => prefix.isEditable(), SLOW).toBe(true);
    });

    it("shows a problem at its field, and is accessible in both themes", async () => {
      const { page, card } = await open("normal", /web\.yaml/, "Form");
      await card.getByLabel("Prefix", { exact: true }).first().fill("10.20.0.0/33");
      await card.locator(".form-problem[data-tone=deny]").first().waitFor();
      for (const colorScheme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme, contrast: "no-preference" });
        await page.locator(`html[data-theme="${colorScheme}"]`).waitFor();
        expect({ colorScheme, violations: await accessibilityViolations(page) }).toEqual({
          colorScheme,
          violations: [],
        });
      }
    });

    it("shows hostile names as text and runs nothing", async () => {
      const { page, complaints } = await open("normal", /web\.yaml/, "Both");
      const name = "</option><img src=x onerror=alert(1)>\u202E\u001b[31m🙂";
      await page.locator(".cm-content").click();
      await page.keyboard.press("ControlOrMeta+A");
      const hostile = [0, 1, 2].map(
        (index) =>
          `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: ${JSON.stringify(name.repeat(index === 1 ? 300 : 1))}\nspec:\n  podSelector:\n    matchLabels:\n      ${JSON.stringify(name)}: ${JSON.stringify("x".repeat(10_000))}\n  ingress:\n    - from: [{ipBlock: {cidr: ${JSON.stringify(name)}}}]\n`,
      );
      await page.evaluate((text) => {
        const data = new DataTransfer();
        data.setData("text/plain", text);
        const paste = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        document.querySelector(".cm-content")?.dispatchEvent(paste);
      }, hostile.join("---\n"));
      const outline = page.getByRole("navigation", { name: "Documents of this file" });
      await expect.poll(() => outline.getByRole("button").count(), SLOW).toBe(3);
      await outline.getByRole("button").nth(1).click();
      await page.getByRole("heading", { name: /img src=x onerror/ }).waitFor();
      expect(await page.locator(".form-face img").count()).toBe(0);
      expect(await page.locator(".form-face").evaluate((face) => face.scrollWidth <= face.clientWidth + 1)).toBe(true);
      expect(complaints).toEqual([]);
    });
  },
);
