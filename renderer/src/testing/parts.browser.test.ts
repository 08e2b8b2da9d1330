/** Parts of the window that do not arrive: asked for again, told of where that does not help, and never the end of the others. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const SLOW = { timeout: 120_000 };
const shotsDir = process.env.WARDLINE_SHOTS_DIR;

/** Gives up what the page loads from now on, as Chromium does when the machine gets another network. */
async function lose(page: Page, times: number) {
  const lost = { count: 0, left: times };
  await page.route(/\.js$/, async (route) => {
    if (lost.left === 0) return route.fallback();
    lost.left -= 1;
    lost.count += 1;
    return route.abort("failed");
  });
  return lost;
}

describe.skipIf(browserTestObstacle !== "")(`parts of the window (${browserTestObstacle || "Chromium"})`, () => {
  let server: FakeWindowServer;
  beforeAll(async () => {
    server = await startFakeWindow();
  }, 240_000);
  afterAll(() => server?.close());

  const settings = (page: Page) => page.getByRole("heading", { name: "Settings", level: 1 });

  it("come although they were lost once", SLOW, async () => {
    const { page } = await server.open();
    const lost = await lose(page, 1);
    await page.keyboard.press("Alt+9");
    await settings(page).waitFor();
    expect(lost.count).toBe(1);
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("say that they did not come, leave the others alone, and come when they are asked for again", SLOW, async () => {
    const { page } = await server.open();
    const lost = await lose(page, Number.POSITIVE_INFINITY);
    await page.keyboard.press("Alt+9");
    const fault = page.getByRole("alert").filter({ hasText: "This view could not be shown" });
    await fault.waitFor();
    expect(lost.count).toBeGreaterThan(1);
    expect(await accessibilityViolations(page)).toEqual([]);
    if (shotsDir) await page.screenshot({ path: `${shotsDir}/part-fault.png` });
    // The overview was there before and is there now.
    await page.keyboard.press("Alt+1");
    await fault.waitFor({ state: "detached" });
    await page.getByRole("main", { name: "overview" }).getByRole("heading").first().waitFor();
    await page.keyboard.press("Alt+9");
    await fault.waitFor();
    lost.left = 0;
    await fault.getByRole("button", { name: "Try again" }).click();
    await settings(page).waitFor();
    expect(await fault.count()).toBe(0);
  });
});
