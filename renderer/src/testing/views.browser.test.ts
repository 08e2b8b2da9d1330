import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, type OpenOptions, startFakeWindow } from "./browser.ts";

const go = (page: Page, view: string) =>
  page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: view }).click();
const themes = ["dark", "light", "contrast"] as const;

describe.skipIf(browserTestObstacle)(
  `the window in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    async function open(options: OpenOptions) {
      const { page, complaints } = await server.open(options);
      return { page, complaints, close: () => page.context().close() };
    }

    // axe looks at every cell of a page three times: long on a machine that is busy with other tests.
    describe("has no accessibility violation in any theme", { timeout: 120_000 }, () => {
      const states: readonly (readonly [string, string, (page: Page) => Promise<void>])[] = [
        ["overview", "pending", async (page) => page.getByRole("button", { name: "Keep" }).waitFor()],
        ["overview with errors", "errors", async (page) => page.getByText("office.yaml has 3 errors").waitFor()],
        [
          "overview without an agent",
          "no-agent",
          async (page) => page.getByText("AGENT_UNREACHABLE").first().waitFor(),
        ],
        [
          "policies with errors",
          "errors",
          async (page) => {
            await go(page, "Policies");
            await page.getByRole("button", { name: /office\.yaml/ }).click();
            await page.locator(".editor-footer", { hasText: "1 problem" }).waitFor();
          },
        ],
        [
          "policies, empty",
          "empty",
          async (page) => go(page, "Policies").then(() => page.getByText("No policies yet").waitFor()),
        ],
        [
          "ship drawer",
          "normal",
          async (page) => {
            await page.getByRole("button", { name: "Review and apply" }).click();
            await page.getByText(/Loses access: 2/).waitFor();
            await page.locator(".text-diff .cm-content").waitFor();
          },
        ],
        [
          "ship drawer with a failed test",
          "failing-test",
          async (page) => {
            await page.getByRole("button", { name: "Review and apply" }).click();
            await page.getByRole("heading", { name: "Policy tests: 1 failed, 11 hold" }).waitFor();
          },
        ],
        [
          "history",
          "normal",
          async (page) => {
            await go(page, "Policies");
            await page.getByRole("button", { name: "Versions and receipts" }).click();
            await page.locator(".text-diff .cm-content").waitFor();
          },
        ],
        [
          "flows with the inspector",
          "normal",
          async (page) => {
            await go(page, "Flows");
            await page.getByRole("grid").focus();
            await page.keyboard.press("ArrowDown");
            await page.getByRole("complementary", { name: "Flow details" }).waitFor();
          },
        ],
        [
          "flows without an agent",
          "no-agent",
          async (page) => go(page, "Flows").then(() => page.getByText("is not heard").waitFor()),
        ],
        ["hosts", "normal", async (page) => go(page, "Hosts").then(() => page.getByText("Counters by rule").waitFor())],
        [
          "hosts, lost",
          "lost",
          async (page) => go(page, "Hosts").then(() => page.getByText("last known state").first().waitFor()),
        ],
        [
          "command palette",
          "normal",
          async (page) => {
            await page.keyboard.press("Control+k");
            await page.getByRole("combobox", { name: "Command" }).waitFor();
          },
        ],
      ];
      it.each(states)("%s", async (_name, scenario, act) => {
        const { page, complaints, close } = await open({ scenario });
        await act(page);
        for (const theme of themes) {
          await page.evaluate(`settingsStore.getState().change({ "display.theme": "${theme}" })`);
          await page.locator(`html[data-theme="${theme}"]`).waitFor({ state: "attached" });
          expect(await accessibilityViolations(page, { themeOnly: theme !== themes[0] }), theme).toEqual([]);
        }
        expect(complaints).toEqual([]);
        await close();
      });
    });

    it("goes from a draft to a kept generation by keyboard, under the strict content security policy", async () => {
      const { page, complaints, close } = await open({ scenario: "normal" });
      await page.keyboard.press("Alt+2");
      await page.getByRole("button", { name: /web\.yaml/ }).click();
      await page.keyboard.press("Control+Enter");
      const drawer = page.getByRole("dialog", { name: "Review and apply" });
      await drawer.getByText(/Loses access: 2/).waitFor();
      await drawer.getByText("Enforce", { exact: true }).click();
      await drawer.getByLabel("Reason").fill("let the balancer in");
      await drawer.getByRole("button", { name: "Enforce on 1 host" }).click();
      await drawer.getByRole("button", { name: /Keep/ }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: /Open the countdown: .*generation 42 waits/ }).waitFor();
      await page.keyboard.press("Alt+k");
      await page.keyboard.press("Alt+1");
      await page.getByText("Generation 42 is kept on atlas.").waitFor();
      expect(complaints).toEqual([]);
      await close();
    });

    it("shows why a policy test fails, and applies only with a reason to do it anyway", async () => {
      const { page, complaints, close } = await open({ scenario: "failing-test" });
      await page.getByRole("button", { name: "Review and apply" }).click();
      const drawer = page.getByRole("dialog", { name: "Review and apply" });
      await drawer.getByText(/10\.20\.0\.11\) 8443\/tcp is allowed: ingress allowed by default\/web/).waitFor();
      await drawer.getByLabel("Reason").fill("let the balancer in");
      await drawer.getByRole("button", { name: "Observe on 1 host" }).click();
      await drawer.getByText("Policy tests fail: say why to apply anyway.").waitFor();
      expect(await drawer.getByRole("button", { name: /Keep/ }).count()).toBe(0);
      const override = drawer.getByLabel("Why apply although 1 policy test fails");
      await expect.poll(() => override.getAttribute("aria-invalid")).toBe("true");
      await override.fill("the test is out of date");
      await drawer.getByRole("button", { name: "Observe on 1 host" }).click();
      await drawer.getByRole("button", { name: /Keep/ }).waitFor();
      expect(await page.evaluate("fake.receipts[0].reason")).toBe(
        "let the balancer in [applied although 1 policy test fails: the test is out of date]",
      );
      expect(complaints).toEqual([]);
      await close();
    });

    it("tells in words that the agent rolled back by itself", async () => {
      const { page, close } = await open({ scenario: "expiring" });
      const told = /Nobody confirmed in time, so the agent on atlas rolled generation 42 back/;
      // On the screen, and said aloud at once.
      await page.locator("#root, [role=dialog]").getByText(told).first().waitFor();
      await page.locator("[data-announcer=urgent]").getByText(told).waitFor({ state: "attached" });
      await close();
    });

    it("checks while typing, and mends by a fix", async () => {
      const { page, close } = await open({ scenario: "errors" });
      await go(page, "Policies");
      await page.getByRole("button", { name: /office\.yaml/ }).click();
      await page.locator(".editor-footer", { hasText: "1 problem" }).waitFor();
      await page.getByRole("button", { name: "Change to egress" }).click();
      await page.locator(".editor-footer", { hasText: "2 problems" }).waitFor();
      await page.getByText("draft saved").waitFor();
      await close();
    });

    it("shows both sides of a conflict and keeps what was typed", async () => {
      const { page, close } = await open({ scenario: "normal" });
      await go(page, "Policies");
      await page.getByRole("button", { name: /database\.yaml/ }).click();
      await page.locator(".cm-content").click();
      await page.evaluate(
        `fake.files.set("policies/database.yaml", { text: "# theirs\\n", revision: 9n, modifiedMs: Date.now() })`,
      );
      await page.keyboard.type("# mine\n");
      await page.getByText("This file was changed elsewhere while you edited it.").waitFor();
      await expect
        .poll(() => page.getByRole("textbox", { name: "Text of policies/database.yaml" }).textContent())
        .toContain("# mine");
      await page.getByRole("button", { name: "Save mine over theirs" }).click();
      await page.getByText("draft saved").waitFor();
      expect(await page.evaluate(`fake.files.get("policies/database.yaml").text`)).toContain("# mine");
      await close();
    });

    it("previews what was picked and imports only what can be", async () => {
      const { page, close } = await open({ scenario: "empty" });
      await go(page, "Policies");
      await page.getByLabel("Files to import").setInputFiles([
        {
          name: "good.yaml",
          mimeType: "text/yaml",
          buffer: Buffer.from("apiVersion: ztap/v1\nkind: NetworkPolicy\nmetadata:\n  name: good\n"),
        },
        { name: "photo.png", mimeType: "image/png", buffer: Buffer.from([1, 0, 2]) },
      ]);
      const dialog = page.getByRole("dialog", { name: "Import into the workspace" });
      await dialog.getByText("holds binary data").waitFor();
      await dialog.getByRole("button", { name: "Import 1 file" }).click();
      await page.getByRole("heading", { name: "good.yaml" }).waitFor();
      await close();
    });

    it("keeps the row that is looked at in its place while thousands arrive, and stands still when frozen", {
      timeout: 120_000,
    }, async () => {
      const { page, close } = await open({ scenario: "many" });
      await go(page, "Flows");
      const grid = page.getByRole("grid", { name: "Flows, last to arrive first" });
      await grid.focus();
      await page.keyboard.press("ArrowDown");
      for (let press = 0; press < 4; press += 1) await page.keyboard.press("PageDown");
      const selected = page.locator(".record-row[aria-selected='true']");
      const rowIndexBefore = Number(await selected.getAttribute("aria-rowindex"));
      // Each painted frame must hold the row, at one and the same height.
      const places = await page.evaluate<(number | null)[]>(`new Promise((resolve) => {
        const seen = new Set();
        const endMs = performance.now() + 1_600;
        const look = () => {
          const channel = new MessageChannel();
          channel.port1.onmessage = () => {
            const row = document.querySelector(".record-row[aria-selected='true']");
            seen.add(row ? Math.round(row.getBoundingClientRect().y) : null);
            if (performance.now() < endMs) requestAnimationFrame(look);
            else resolve([...seen]);
          };
          channel.port2.postMessage(null);
        };
        requestAnimationFrame(look);
      })`);
      await expect
        .poll(async () => Number(await selected.getAttribute("aria-rowindex")))
        .toBeGreaterThan(rowIndexBefore);
      expect(places).toHaveLength(1);
      expect(places[0]).not.toBeNull();
      expect(await page.locator(".record-row").count()).toBeLessThan(80);

      await page.keyboard.press("Control+.");
      await page.getByText(/^frozen at/).waitFor();
      const frozenCount = await grid.getAttribute("aria-rowcount");
      await page.waitForTimeout(1_200);
      expect(await grid.getAttribute("aria-rowcount")).toBe(frozenCount);
      await page.getByText(/newer held back/).waitFor();
      await close();
    });

    it("shows hostile names as text that cannot reorder or break the layout", async () => {
      const { page, complaints, close } = await open({ scenario: "hostile", width: 1024, height: 700 });
      for (const view of ["Overview", "Policies", "Flows", "Hosts"]) {
        await go(page, view);
        await page.waitForTimeout(300);
        expect(await page.locator("body").innerText()).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(1024);
        const statusTop = await page.locator(".status-bar").boundingBox();
        expect(statusTop?.y).toBe(674);
      }
      expect(complaints).toEqual([]);
      await close();
    });

    it("keeps a draft when the backend goes away", async () => {
      const { page, close } = await open({ scenario: "normal" });
      await go(page, "Policies");
      await page.getByRole("button", { name: /database\.yaml/ }).click();
      await page.locator(".cm-content").click();
      await page.evaluate("fake.isOffline = true");
      await page.keyboard.type("# offline\n");
      await page.locator(".editor-status", { hasText: "kept in this window; sent when the backend is back" }).waitFor();
      await page.evaluate("fake.isOffline = false");
      await page.getByText("draft saved").waitFor();
      expect(await page.evaluate(`fake.files.get("policies/database.yaml").text`)).toContain("# offline");
      await close();
    });
  },
);
