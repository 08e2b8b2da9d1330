import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";
import type { FakeConsole } from "./fake-console.ts";

const go = (page: Page, view: string) =>
  page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: view }).click();

/** Reads something of the fake backend behind the page. */
const fleetOf = <Value>(page: Page, read: (fleet: FakeConsole["fleet"]) => Value) =>
  page.evaluate(`(${read.toString()})(window.fake.fleet)`) as Promise<Value>;

/** The window follows the system: the same page in each, without opening it anew. */
const THEMES = [
  ["dark", { colorScheme: "dark", contrast: "no-preference" }],
  ["light", { colorScheme: "light", contrast: "no-preference" }],
  ["contrast", { colorScheme: "dark", contrast: "more" }],
] as const;

describe.skipIf(browserTestObstacle)(
  `many hosts in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    async function open(scenario: string) {
      const { page, complaints } = await server.open({ scenario });
      return { page, complaints, close: () => page.context().close() };
    }

    const states: readonly (readonly [string, string, (page: Page) => Promise<void>])[] = [
      [
        "a host with another key",
        "fleet",
        async (page) => {
          await go(page, "Hosts");
          await page.getByRole("button", { name: /db-1/ }).click();
          await page.getByRole("button", { name: "Look at it step by step" }).click();
          await page.getByText("Either the machine was set up anew").waitFor();
        },
      ],
      [
        "adding by hand",
        "fleet",
        async (page) => {
          await go(page, "Hosts");
          await page.getByRole("button", { name: "Add hosts" }).click();
          await page.getByRole("textbox", { name: "Address" }).fill("build-7");
          await page.getByRole("button", { name: "Look at it" }).click();
          await page.getByText("First contact").waitFor();
        },
      ],
      [
        "adding from ssh's configuration",
        "fleet",
        async (page) => {
          await go(page, "Hosts");
          await page.getByRole("button", { name: "Add hosts" }).click();
          await page.getByText("From ~/.ssh/config").click();
          await page.getByText("printer", { exact: true }).waitFor();
        },
      ],
      ["a question", "question", async (page) => page.getByRole("dialog", { name: "Passphrase of a key" }).waitFor()],
      [
        "jobs",
        "jobs",
        async (page) => {
          await page.getByRole("button", { name: /1 job running/ }).click();
          await page.getByText("Uploading the agent, 31 of 47 MB").waitFor();
        },
      ],
      [
        "a plan for several hosts",
        "fleet",
        async (page) => {
          await page.getByRole("button", { name: "Review and apply" }).click();
          await page.getByRole("textbox", { name: /apply to 4 hosts/ }).waitFor();
        },
      ],
      [
        "a roll-out",
        "rollout",
        async (page) => {
          await page.getByRole("button", { name: /roll-out 1\/4 · waits for you/ }).click();
          await page.getByRole("button", { name: "Go on with stage 2" }).waitFor();
        },
      ],
    ];
    it.each(states)("%s has no accessibility violation in any theme", async (_name, scenario, reach) => {
      const { page, complaints, close } = await open(scenario);
      await reach(page);
      for (const [theme, media] of THEMES) {
        await page.emulateMedia(media);
        await page.locator(`html[data-theme="${theme}"]`).waitFor();
        const violations = await accessibilityViolations(page, { themeOnly: theme !== "dark" });
        expect({ theme, violations }).toEqual({ theme, violations: [] });
      }
      expect(complaints).toEqual([]);
      await close();
    });

    it("checks a machine, has its key trusted after a comparison, and adds it", async () => {
      const { page, close } = await open("fleet");
      await go(page, "Hosts");
      await page.getByRole("button", { name: "Add hosts" }).click();
      await page.getByRole("textbox", { name: "Address" }).fill("ops@build-7:2222");
      await page.getByLabel("Environment", { exact: true }).fill("lab");
      await page.getByRole("button", { name: "Look at it" }).click();
      await page.getByText("6 further steps not reached").waitFor();
      await expect.poll(() => page.getByRole("textbox", { name: "Port" }).inputValue()).toBe("2222");
      const expected = page.getByRole("textbox", { name: "Fingerprint that you expect" });
      await expected.fill("SHA256:another");
      await page.getByText("This is not the key that the machine shows.").waitFor();
      expect(await page.getByRole("button", { name: "I compared them: trust this key" }).isDisabled()).toBe(true);
      await expected.fill("SHA256:Qm3Y4hDk9yqv0pYw0yV4Xh9bLQkqg4w2T0n5oZr7fXs");
      await page.getByRole("button", { name: "It is the same: trust it" }).click();
      await page.getByText("No agent is installed there.").first().waitFor();
      await page.getByRole("button", { name: "Add it" }).click();
      await page.getByRole("heading", { name: "build-7", level: 1 }).waitFor();
      const added = await fleetOf(page, ({ added }) =>
        added.map(({ access, environment }) => [access?.address, access?.port, access?.user, environment?.name]),
      );
      expect(added).toEqual([["build-7", 2222, "ops", "lab"]]);
      await close();
    });

    it("offers no way to trust a key that has changed", async () => {
      const { page, close } = await open("fleet");
      await go(page, "Hosts");
      await page.getByRole("button", { name: /db-1/ }).click();
      await page.getByRole("button", { name: "Look at it step by step" }).click();
      await page.getByText("known_hosts:14").waitFor();
      const key = page.getByRole("region", { name: "Key of the machine" });
      await key.getByText("Nothing was sent to it.").waitFor();
      expect(await key.getByRole("button").count()).toBe(0);
      await close();
    });

    it("previews an inventory before it adds anybody, and takes only who is new", async () => {
      const { page, close } = await open("fleet");
      await go(page, "Hosts");
      await page.getByRole("button", { name: "Add hosts" }).click();
      await page.getByText("From an inventory").click();
      const inventory = { name: "hosts.txt", mimeType: "text/plain", buffer: Buffer.from("web-1\nbuild-8\n") };
      await page.getByLabel("Inventory file").setInputFiles(inventory);
      await page.getByRole("row", { name: /web-1.*known/ }).waitFor();
      await page.getByRole("button", { name: "Add 1 host" }).click();
      await page.getByRole("heading", { name: "build-8", level: 1 }).waitFor();
      expect(await fleetOf(page, ({ added }) => added.map(({ alias }) => alias))).toEqual(["build-8"]);
      await close();
    });

    it("asks for a passphrase without showing it, and takes Escape as no answer", async () => {
      for (const [act, answers] of [
        [
          async (page: Page) => {
            const field = page.getByLabel("Passphrase", { exact: true });
            await expect.poll(() => field.getAttribute("type")).toBe("password");
            await field.fill("correct horse");
            await page.keyboard.press("Enter");
          },
          [["correct horse"]],
        ],
        [async (page: Page) => page.getByRole("button", { name: "Do not answer" }).click(), [[]]],
      ] as const) {
        const { page, close } = await open("question");
        await page.getByRole("dialog", { name: "Passphrase of a key" }).waitFor();
        await act(page);
        await page.getByRole("dialog").waitFor({ state: "detached" });
        expect(await fleetOf(page, ({ answered }) => answered)).toEqual(answers);
        await close();
      }
    });

    it("starts a roll-out only with a reason and the words that it needs, and says how it goes", async () => {
      const { page, close } = await open("fleet");
      await page.getByRole("button", { name: "Review and apply" }).click();
      const start = page.getByRole("button", { name: "Observe on 4 hosts" });
      await start.click();
      await page.getByText("Give a reason").waitFor();
      await page.getByRole("textbox", { name: "Reason" }).fill("a try");
      await start.click();
      await page.getByText("Type “apply to 4 hosts” to go on.").waitFor();
      expect(await fleetOf(page, ({ started }) => started.length)).toBe(0);
      await page.getByRole("textbox", { name: /apply to 4 hosts/ }).fill("Apply to 4 hosts");
      await start.click();
      await page.getByText("0 of 4 hosts confirmed").waitFor();
      const [request] = await fleetOf(page, ({ started }) =>
        started.map(({ stagePercents, automatic, catchUp, typed }) => ({ stagePercents, automatic, catchUp, typed })),
      );
      expect(request).toEqual({ stagePercents: [1, 100], automatic: true, catchUp: true, typed: "Apply to 4 hosts" });
      await close();
    });

    it("lets a person go on between two stages, and asks how far back a stop goes", async () => {
      const { page, close } = await open("rollout");
      await page.getByRole("button", { name: /roll-out 1\/4/ }).click();
      await page.getByRole("button", { name: "Stop…" }).click();
      await page.getByRole("button", { name: "Stop, and roll back every host of it" }).waitFor();
      await page.getByRole("button", { name: "Go on", exact: true }).click();
      await page.getByRole("button", { name: "Go on with stage 2" }).click();
      await page.getByText("3 of 4 hosts confirmed").waitFor();
      await close();
    });
  },
);
