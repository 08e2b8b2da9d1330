/** What a screen reader hears while everything streams: one voice, within its budget, and urgent things at once. */
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VIEWS } from "../data/window-store.ts";
import { ANNOUNCEMENT_BUDGET } from "../ui/announcer.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const LISTEN = `(() => {
  const LIVE = "[aria-live]:not([aria-live='off']), [role='status'], [role='alert'], [role='log'], output";
  window.heard = [];
  new MutationObserver((changes) => {
    const regions = new Set(changes.flatMap(({ target }) => {
      const element = target instanceof Element ? target : target.parentElement;
      const region = element?.closest(LIVE);
      return region ? [region] : [];
    }));
    for (const region of regions) {
      const text = region.textContent.trim();
      if (text !== "") window.heard.push({ atMs: performance.now(), text, voice: region.dataset.announcer ?? "another" });
    }
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
})()`;

interface Heard {
  readonly atMs: number;
  readonly text: string;
  /** `polite` and `urgent` are the announcer's; anything else is a live region beside it. */
  readonly voice: "polite" | "urgent" | "another";
}

const heardOn = (page: Page) => page.evaluate("window.heard") as Promise<Heard[]>;
const sentOn = (page: Page) => page.evaluate("window.fake.flowsSent") as Promise<number>;
/** A second's worth of the stream is 2,000 flows. */
async function untilSent(page: Page, count: number): Promise<void> {
  const before = await sentOn(page);
  await expect.poll(() => sentOn(page), { timeout: 60_000 }).toBeGreaterThanOrEqual(before + count);
}

describe.skipIf(browserTestObstacle)(
  `what is said aloud${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 180_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 240_000);
    afterAll(() => server?.close());

    it("in Flows at 2,000 new flows a second is their number, at most once in five seconds, then ever more seldom", async () => {
      const { page } = await server.open({ scenario: "storm" });
      await page.evaluate(LISTEN);
      await page.keyboard.press("Alt+3");
      await page.locator("main [role='grid']").waitFor();
      const streams = async () => (await heardOn(page)).filter(({ text }) => text.includes("new flows"));
      await expect.poll(async () => (await streams()).length, { timeout: 90_000 }).toBe(2);
      const [first, second] = await streams();
      if (!first || !second) throw new Error("nothing was said");
      expect(second.atMs - first.atMs).toBeGreaterThanOrEqual(2 * ANNOUNCEMENT_BUDGET.streamGapMs - 100);
      expect(first.text).toMatch(/[\d,]+ new flows, [\d,]+ refused$/);
      const heard = await heardOn(page);
      expect(heard.filter(({ voice }) => voice === "another")).toEqual([]);
      // Besides the stream, only what opening the view may say.
      expect(heard.length).toBeLessThanOrEqual(4);
      // Frozen rows are not talked about, and it is quiet while they are.
      await page.keyboard.press("Control+.");
      const quietSince = (await heardOn(page)).length;
      await untilSent(page, 12_000);
      expect((await heardOn(page)).slice(quietSince)).toEqual([]);
    });

    it("in every other view nothing of that, and no other region changes with a stream", async () => {
      const { page } = await server.open({ scenario: "storm" });
      await page.evaluate(LISTEN);
      for (const view of VIEWS.filter((each) => each !== "flows")) {
        await page.evaluate(`windowStore.getState().goTo(${JSON.stringify(view)})`);
        await page.getByRole("main", { name: view }).waitFor();
        await page.locator("main .skeleton").first().waitFor({ state: "detached" });
        // What opening the view says is not the stream's.
        await untilSent(page, 1);
        await page.evaluate("window.heard = []");
        await untilSent(page, 4_000);
        expect.soft(await heardOn(page), view).toEqual([]);
      }
    });

    it("at once: a generation that waits, how little time is left, that it was rolled back, and a lost connection", async () => {
      const { page } = await server.open({ scenario: "pending" });
      await page.evaluate(LISTEN);
      const urgent = async () =>
        (await heardOn(page)).filter(({ voice }) => voice === "urgent").map(({ text }) => text);
      const isSaid = (text: RegExp) =>
        expect.poll(async () => (await urgent()).some((each) => text.test(each)), { timeout: 30_000 }).toBe(true);
      const now = page.locator("[data-announcer='urgent']", {
        hasText:
          /^Generation 42 waits on atlas: 4 min \d+ s left to keep it\. Alt\+K keeps it, Alt\+R rolls it back\.$/,
      });
      await now.waitFor({ state: "attached" });
      await page.keyboard.press("Alt+r");
      await isSaid(/^Generation 42 was rolled back on atlas\.$/);
      await page.evaluate("window.fake.isOffline = true");
      await isSaid(/^Connection lost\. /);
      // The times in the bar go on by the second; nothing of that is said.
      await page
        .getByRole("region", { name: "Connection" })
        .getByText(/Last heard [3-9] s ago/)
        .waitFor();
      expect((await urgent()).filter((text) => text.startsWith("Connection lost"))).toHaveLength(1);
      await page.evaluate("window.fake.isOffline = false");
      await page.getByRole("region", { name: "Connection" }).waitFor({ state: "detached" });
      await expect
        .poll(async () => (await heardOn(page)).some(({ text }) => text.includes("Connected again")), {
          timeout: 15_000,
        })
        .toBe(true);
      const expiring = await server.open({ scenario: "expiring" });
      await expiring.page.evaluate(LISTEN);
      const said = async () => (await heardOn(expiring.page)).map(({ text }) => text).join("\n");
      await expect.poll(said, { timeout: 30_000 }).toMatch(/Nobody confirmed in time/);
      expect((await heardOn(expiring.page)).filter(({ voice }) => voice === "another")).toEqual([]);
    });
  },
);
