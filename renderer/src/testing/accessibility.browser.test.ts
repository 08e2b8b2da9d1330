/**
 * Every view in every theme against WCAG 2.2 AA, from the list that the window itself has: a view or a part that is added is
 * looked at without being written down here.
 */
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VIEWS } from "../data/window-store.ts";
import { expectNoViolation } from "./accessibility-themes.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

/** Whatever a view still waits for. */
const settled = (page: Page) => page.locator("main .skeleton").first().waitFor({ state: "detached" });

describe.skipIf(browserTestObstacle)(
  `every view in every theme${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 240_000);
    afterAll(() => server?.close());

    it.each(VIEWS)("the view %s, and each of its parts", async (view) => {
      const { page, complaints } = await server.open({ scenario: "everything" });
      await page.evaluate(`windowStore.getState().goTo(${JSON.stringify(view)})`);
      await page.getByRole("main", { name: view }).waitFor();
      await settled(page);
      await expectNoViolation(page, view);
      const parts = page.locator("main .view-tab, main [role='tab']");
      for (let index = 0; index < (await parts.count()); index++) {
        const part = parts.nth(index);
        if ((await part.getAttribute("aria-current")) !== null || (await part.getAttribute("aria-selected")) === "true")
          continue;
        const name = await part.innerText();
        await part.click();
        await settled(page);
        await expectNoViolation(page, `${view}, ${name}`);
      }
      expect(complaints).toEqual([]);
    });
  },
);
