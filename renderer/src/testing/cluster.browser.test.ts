import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";
import type { FakeConsole } from "./fake-console.ts";

const goToCluster = (page: Page) =>
  page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: "Cluster" }).click();

const askedOf = (page: Page) => page.evaluate("window.fake.cluster.asked") as Promise<FakeConsole["cluster"]["asked"]>;

describe.skipIf(browserTestObstacle)(
  `the cluster in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 60_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    async function open(scenario: string) {
      const { page, complaints } = await server.open({ scenario });
      await goToCluster(page);
      return { page, complaints, close: () => page.context().close() };
    }

    it("has no accessibility violation with a store without majority, an open member and terms as a table", async () => {
      const { page, complaints, close } = await open("cluster-degraded");
      await page.getByText("Nothing can be written: the store has no majority").waitFor();
      await page.getByRole("button", { name: "web-2", exact: true }).click();
      await page.getByText("Set 12 would cut web-2 off").waitFor();
      await page.getByText("4 terms as a table").click();
      await page.getByRole("cell", { name: "its lease ran out" }).first().waitFor();
      for (const [theme, media] of [
        ["dark", { colorScheme: "dark", contrast: "no-preference" }],
        ["light", { colorScheme: "light", contrast: "no-preference" }],
        ["contrast", { colorScheme: "dark", contrast: "more" }],
      ] as const) {
        await page.emulateMedia(media);
        await page.locator(`html[data-theme="${theme}"]`).waitFor();
        expect({ theme, violations: await accessibilityViolations(page) }).toEqual({ theme, violations: [] });
      }
      // Unknown is shown as unknown, and nothing can be started that could not end well.
      await page.getByRole("row", { name: /db-1/ }).getByText("has not reported").waitFor();
      expect(await page.getByRole("button", { name: "Sync the workspace…" }).isDisabled()).toBe(true);
      expect(complaints).toEqual([]);
      await close();
    });

    it("keeps a set that waits, and shows what it is and what happens without a word", async () => {
      const { page, close } = await open("cluster-pending");
      const waiting = page.getByRole("region", { name: "Set 12 waits for confirmation" });
      await waiting.getByText("In force on 2 of 3 hosts").waitFor();
      await waiting.getByText("every host returns to set 11 by itself").waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await waiting.getByRole("button", { name: "Keep it" }).click();
      await page.getByText("in force on all 3 hosts").waitFor();
      expect(await waiting.count()).toBe(0);
      await close();
    });

    it("takes a set back", async () => {
      const { page, close } = await open("cluster-pending");
      await page.getByRole("button", { name: "Take it back" }).click();
      await page.getByText("Set 11", { exact: true }).waitFor();
      await page.getByText("rolled back").first().waitFor();
      await close();
    });

    it("syncs only when conflicts are decided, and loses nothing when somebody else was faster", async () => {
      const { page, close } = await open("cluster");
      await page.getByRole("button", { name: "Sync the workspace…" }).click();
      const sheet = page.getByRole("dialog", { name: "Sync the workspace to office" });
      await sheet.getByText("1 document was changed here and by somebody else").waitFor();
      await sheet.getByRole("button", { name: "Take them into the workspace" }).click();
      await expect.poll(() => askedOf(page)).toEqual(["pull"]);
      await sheet.getByLabel("Reason").fill("open 8443");
      const write = sheet.getByRole("button", { name: "Enforce 3 changes on 3 hosts" });
      expect(await write.isDisabled()).toBe(true);
      // The text with both sides marked is no decision.
      expect(await sheet.getByRole("button", { name: "Both sides are still marked" }).isDisabled()).toBe(true);
      await sheet.locator(".text-diff .cm-content").first().waitFor();
      expect(await accessibilityViolations(page)).toEqual([]);
      await sheet.getByRole("button", { name: "Write mine" }).click();
      await sheet.getByText("decided").waitFor();
      await page.evaluate("window.fake.cluster.movesUnderPlan = true");
      await write.click();
      await sheet.getByText("Somebody wrote to the cluster since: nothing was written").waitFor();
      expect(await askedOf(page)).toEqual(["pull"]);
      await sheet.getByRole("button", { name: "Plan again" }).click();
      await sheet.getByText("decided").waitFor();
      await write.click();
      await page.getByRole("region", { name: "Set 13 waits for confirmation" }).waitFor();
      expect((await askedOf(page))[1]).toMatch(/^sync policy\/default\/web:\d+$/);
      await close();
    });

    it("opens the merge when somebody else wrote the same place, and forgets what was decided before that", async () => {
      const { page, close } = await open("cluster");
      await page.getByRole("button", { name: "Sync the workspace…" }).click();
      const sheet = page.getByRole("dialog", { name: "Sync the workspace to office" });
      await sheet.getByLabel("Reason").fill("open 8443");
      await sheet.getByRole("button", { name: "Write mine" }).press("Enter");
      await sheet.getByText("decided").waitFor();
      await page.evaluate("Object.assign(window.fake.cluster, { movesUnderPlan: true, theirsNext: '10443' })");
      const write = sheet.getByRole("button", { name: "Enforce 3 changes on 3 hosts" });
      await write.press("Enter");
      const merge = page.getByRole("dialog", { name: "Merge policy/default/web" });
      await merge.getByText("1 conflict to decide").waitFor();
      await expect.poll(() => merge.getByText("10443").count()).toBeGreaterThan(0);
      for (const colorScheme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await accessibilityViolations(page, { themeOnly: colorScheme === "light" })).toEqual([]);
        const dir = process.env.WARDLINE_SHOTS_DIR;
        if (dir) await page.screenshot({ path: `${dir}/cluster-merge-${colorScheme}.png` });
      }
      await merge.getByRole("radio", { name: "Both, mine first" }).press("Space");
      await merge.getByRole("button", { name: "Take the merged text" }).press("Enter");
      await merge.waitFor({ state: "detached" });
      await sheet.getByText("decided").waitFor();
      await expect.poll(() => sheet.getByLabel("What is written").inputValue()).toMatch(/8443[\s\S]*10443/);
      expect(await askedOf(page)).toEqual([]);
      await write.press("Enter");
      await page.getByRole("region", { name: "Set 13 waits for confirmation" }).waitFor();
      expect((await askedOf(page))[0]).toMatch(/^sync policy\/default\/web:\d+$/);
      await close();
    });

    it("returns to an older set and to an older version only after saying what that does", async () => {
      const { page, close } = await open("cluster");
      await page.getByText("Last 10 sets").click();
      const row = page.getByRole("row", { name: /^9 / });
      await row.getByRole("button", { name: "Return to it…" }).click();
      await row.getByRole("button", { name: "Return all hosts to set 9, 5 min to confirm" }).click();
      await page.getByRole("region", { name: "Set 13 waits for confirmation" }).waitFor();
      await page.getByRole("button", { name: "policy/default/web", exact: true }).click();
      const drawer = page.getByRole("dialog", { name: "policy/default/web" });
      expect(await drawer.getByRole("button", { name: /^Return to version 3/ }).isDisabled()).toBe(true);
      await drawer.getByRole("button", { name: /^Version 1/ }).click();
      await drawer.getByRole("button", { name: "Return to version 1, 5 min to confirm" }).click();
      await expect.poll(() => askedOf(page)).toEqual(["rollback 0/9", "rollback policy/default/web1/0"]);
      await close();
    });

    it("makes a cluster, lets hosts in and says of each how it went, and removes one by its typed name", async () => {
      const { page, close } = await open("cluster-alone");
      await page.getByRole("button", { name: "Make a cluster…" }).click();
      const sheet = page.getByRole("dialog", { name: "Make a cluster" });
      const make = sheet.getByRole("button", { name: /^Make the cluster/ });
      await sheet.getByLabel("Name").fill("My Office");
      expect(await make.isDisabled()).toBe(true);
      await sheet.getByLabel("Name").fill("office");
      await make.click();
      await page.getByRole("heading", { name: "office" }).waitFor();
      expect((await askedOf(page))[0]).toMatch(/^create office at \S+:7443$/);
      await close();

      const joining = await open("cluster");
      await joining.page.getByRole("button", { name: "Add members…" }).click();
      const members = joining.page.getByRole("dialog", { name: "Add members to office" });
      await members.getByLabel("cache-1", { exact: true }).check();
      await members.getByLabel("cache-1 may lead").check();
      await members.getByRole("button", { name: "Let 1 host in" }).click();
      await members.getByText("cache-1 cannot reach https://10.20.0.21:2379").waitFor();
      expect(await askedOf(joining.page)).toEqual(["join host-cache-1+"]);
      await joining.page.keyboard.press("Escape");

      await joining.page.getByRole("button", { name: "web-3", exact: true }).click();
      await joining.page.getByRole("button", { name: "Remove from the cluster…" }).click();
      const remove = joining.page.getByRole("button", { name: "Remove web-3 from the cluster" });
      expect(await remove.isDisabled()).toBe(true);
      await joining.page.getByLabel("Type “web-3”").fill("web-3");
      await remove.click();
      await joining.page.getByText("2 of 2 members healthy").waitFor();
      await joining.close();
    });

    it("shows hostile names as text, and notes that are written are there", async () => {
      const { page, complaints, close } = await open("cluster-hostile");
      await page.getByRole("heading", { name: /⟨U\+202E⟩cluster<img/ }).waitFor();
      await page.getByRole("button", { name: "Write a note" }).click();
      await page.getByLabel("About").fill("host/web-1");
      await page.getByLabel("Note about host/web-1").fill("<b>not bold</b>");
      await page.getByRole("button", { name: "Keep the note" }).click();
      await page.getByText("<b>not bold</b>").waitFor();
      expect(complaints).toEqual([]);
      await close();
    });
  },
);
