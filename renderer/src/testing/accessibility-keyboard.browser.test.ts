/** The way through the window without a mouse: the focus is always somewhere, can be seen, and gets about by few keys. */
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VIEWS } from "../data/window-store.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";
import { FOCUS_STATE, type FocusState } from "./focus-state.ts";

const MOST_PANES = 9;

const focusOf = (page: Page) => page.evaluate(FOCUS_STATE) as Promise<FocusState>;

async function expectFocus(page: Page, after: string): Promise<FocusState> {
  await expect.poll(async () => (await focusOf(page)).isLost, { message: `focus lost after ${after}` }).toBe(false);
  const state = await focusOf(page);
  expect.soft(state.isVisible, `focus cannot be seen after ${after}: ${state.what}`).toBe(true);
  return state;
}

describe.skipIf(browserTestObstacle)(
  `the window by keyboard${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 240_000);
    afterAll(() => server?.close());

    it("begins with a link that skips the rail and the bar", async () => {
      const { page } = await server.open({ scenario: "everything" });
      await page.keyboard.press("Tab");
      expect((await expectFocus(page, "the first Tab")).what).toContain("Skip to the view");
      await page.keyboard.press("Enter");
      expect((await expectFocus(page, "the skip link")).place).toBe("main");
      await page.keyboard.press("Tab");
      expect((await expectFocus(page, "Tab in the view")).place).toBe("main");
    });

    it("is in the view that a key opens, and F6 goes round its panes and back", async () => {
      const { page } = await server.open({ scenario: "everything" });
      for (const [index, view] of VIEWS.entries()) {
        await page.keyboard.press(`Alt+${(index + 1) % 10}`);
        await page.getByRole("main", { name: view }).waitFor();
        await page.locator("main .skeleton").first().waitFor({ state: "detached" });
        await expectFocus(page, `opening ${view}`);
        const places: string[] = [];
        for (let pane = 0; pane < MOST_PANES; pane++) {
          await page.keyboard.press("F6");
          const { place, id } = await expectFocus(page, `F6 in ${view}`);
          if (places.includes(`${place} ${id}`)) break;
          places.push(`${place} ${id}`);
        }
        expect.soft(places.length, `panes of ${view}: ${places.join(", ")}`).toBeLessThan(MOST_PANES);
        for (const place of ["main", "nav", "header", "footer"])
          expect
            .soft(
              places.some((each) => each.startsWith(place)),
              `${place} of ${view}`,
            )
            .toBe(true);
      }
    });

    it("gives the focus back when an overlay closes", async () => {
      const { page } = await server.open({ scenario: "everything" });
      for (const [view, keys] of [
        ["1", "Control+k"],
        ["2", "Control+Enter"],
        ["3", "Alt+q"],
        ["5", "?"],
      ] as const) {
        await page.keyboard.press(`Alt+${view}`);
        const before = await expectFocus(page, `Alt+${view}`);
        await page.keyboard.press(keys);
        await page.getByRole("dialog").waitFor();
        expect((await expectFocus(page, keys)).place).toBe("dialog");
        // The first Escape may leave a field or a list in it.
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        expect((await expectFocus(page, `Escape after ${keys}`)).place).toBe(before.place);
      }
    });

    it("keeps the focus when what had it goes: a dismissed entry, a line of a list, another time zone", async () => {
      const { page } = await server.open({ scenario: "everything" });
      await page.getByRole("button", { name: /^Notifications/ }).press("Enter");
      const dismiss = page.getByRole("dialog").getByRole("button", { name: /^Dismiss: / });
      await dismiss.first().waitFor();
      const count = await dismiss.count();
      await dismiss.first().press("Enter");
      await expect.poll(() => dismiss.count()).toBeLessThanOrEqual(count);
      expect((await expectFocus(page, "dismissing an entry")).place).toBe("dialog");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Alt+9");
      await page.getByRole("button", { name: /zone/i }).first().press("Enter");
      await page.getByRole("option", { name: /utc/i }).press("Enter");
      await expect.poll(async () => (await focusOf(page)).what, { timeout: 15_000 }).toMatch(/zone/i);
      expect((await expectFocus(page, "another time zone")).place).toBe("main");
    });
  },
);
