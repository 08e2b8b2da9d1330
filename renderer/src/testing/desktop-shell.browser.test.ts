import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

describe.skipIf(browserTestObstacle)(
  `the desktop shell's bridge${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    it("previews files that the desktop opens and follows the native menu", async () => {
      const { page, complaints } = await server.open({});
      // The preload runs before the page: put the double there and load the page again.
      await page.addInitScript(() => {
        const listeners: Record<string, (value: unknown) => void> = {};
        const asked: string[] = [];
        Object.assign(window, {
          wardlineShell: {
            onFilesOpened: (listener: (files: unknown) => void) => {
              listeners.files = listener;
              return () => {};
            },
            onCommand: (listener: (command: string) => void) => {
              listeners.command = listener as (value: unknown) => void;
              return () => {};
            },
            onNavigate: (listener: (place: string) => void) => {
              listeners.navigate = listener as (value: unknown) => void;
              return () => {};
            },
            openWindow: (place: string) => asked.push(`window ${place}`),
            dragOut: (name: string, text: string) => asked.push(`drag ${name}: ${text.length > 0}`),
          },
          askedOfShell: asked,
          fromShell: listeners,
        });
      });
      await page.reload();
      await page.getByRole("navigation", { name: "Views" }).waitFor();
      await page.evaluate(() => {
        const { fromShell } = window as unknown as { fromShell: { files(files: unknown): void } };
        const content = new TextEncoder().encode("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n");
        fromShell.files([{ path: "opened.yaml", content }]);
      });
      await page.getByRole("dialog").getByText("opened.yaml").waitFor();
      await page.keyboard.press("Escape");
      const command = (name: string) =>
        page.evaluate((value) => {
          const { fromShell } = window as unknown as { fromShell: { command(command: string): void } };
          fromShell.command(value);
        }, name);
      await command("open-hosts");
      await page.getByRole("main", { name: "hosts" }).waitFor();
      await command("plan");
      await page.getByRole("dialog", { name: /Review and apply/ }).waitFor();
      await page.keyboard.press("Escape");
      await page.evaluate(() => {
        const { fromShell } = window as unknown as { fromShell: { navigate(place: string): void } };
        fromShell.navigate("#/flows");
      });
      await page.getByRole("main", { name: "flows" }).waitFor();
      await page.evaluate(() => {
        const { fromShell } = window as unknown as { fromShell: { navigate(place: string): void } };
        fromShell.navigate("#/flows/src%3A10.20.0.11%20port%3A443");
      });
      await expect
        .poll(() =>
          page.evaluate("(({ view, flowsMode, flowText }) => [view, flowsMode, flowText])(windowStore.getState())"),
        )
        .toEqual(["flows", "history", "src:10.20.0.11 port:443"]);
      await command("unknown");
      const asked = () => page.evaluate("window.askedOfShell") as Promise<string[]>;
      await page.keyboard.press("Alt+2");
      const row = page.getByRole("button", { name: /web\.yaml/ });
      await row.click();
      await page.locator(".code-editor .cm-content").waitFor();
      await page.keyboard.press("Alt+n");
      const place = await page.evaluate("location.hash");
      await expect.poll(asked).toEqual([`window ${place}`]);
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Command" }).fill("new window");
      await page.getByRole("option", { name: /New window, at this place/ }).click();
      await expect.poll(asked).toEqual([`window ${place}`, `window ${place}`]);
      // A real drag: the shell is asked for the file, and the page has none of its own under way.
      const box = await row.boundingBox();
      if (!box) throw new Error("the row is not shown");
      await page.mouse.move(box.x + 20, box.y + box.height / 2);
      await page.mouse.down();
      await page.mouse.move(box.x + 200, box.y + 60, { steps: 6 });
      await page.mouse.up();
      await expect.poll(asked).toEqual([`window ${place}`, `window ${place}`, "drag web.yaml: true"]);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    it("is not needed in a browser: a file is dragged as a download or saved as a copy, and no window is offered", async () => {
      const { page, complaints } = await server.open({});
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.keyboard.press("Alt+2");
      const row = page.getByRole("button", { name: /web\.yaml/ });
      await row.click();
      await page.locator(".code-editor .cm-content").waitFor();
      const dragged = (await row.evaluate((element) => {
        const data = new DataTransfer();
        element.dispatchEvent(new DragEvent("dragstart", { bubbles: true, cancelable: true, dataTransfer: data }));
        return [data.getData("DownloadURL"), data.getData("text/plain")];
      })) as [string, string];
      expect(dragged[0]).toMatch(/^application\/yaml:web\.yaml:blob:/);
      const shown = (await page.evaluate(
        "[...window.fake.files].find(([path]) => path.endsWith('web.yaml'))[1].text",
      )) as string;
      expect(dragged[1]).toBe(shown);
      await page.getByRole("button", { name: "File actions" }).press("Enter");
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("menuitem", { name: "Save a copy" }).press("Enter"),
      ]);
      expect(download.suggestedFilename()).toBe("web.yaml");
      expect(readFileSync(await download.path(), "utf8")).toBe(shown);
      const dir = process.env.WARDLINE_SHOTS_DIR;
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Command" }).fill("window");
      await page.getByRole("option").first().waitFor();
      expect(await page.getByRole("option", { name: /New window/ }).count()).toBe(0);
      await page.getByRole("combobox", { name: "Command" }).fill("copy a link");
      for (const theme of ["dark", "light"]) {
        await page.evaluate(`settingsStore.getState().change({ "display.theme": "${theme}" })`);
        if (dir) await page.screenshot({ path: `${dir}/palette-${theme}.png` });
      }
      await page.getByRole("option", { name: /Copy a link to this file/ }).click();
      const clipboard = () => page.evaluate("navigator.clipboard.readText()") as Promise<string>;
      await expect.poll(clipboard).toMatch(/^wardline:\/\/policies\/[^/]*web\.yaml$/);
      await page.evaluate("navigator.clipboard.writeText('')");
      await page.getByRole("button", { name: "File actions" }).press("Enter");
      await page.getByRole("menuitem", { name: "Copy link" }).press("Enter");
      await expect.poll(clipboard).toMatch(/^wardline:\/\/policies\/[^/]*web\.yaml$/);
      await page.keyboard.press("Alt+5");
      await page.keyboard.press("Alt+c");
      await expect.poll(clipboard).toMatch(/^wardline:\/\/hosts/);
      expect(complaints).toEqual([]);
      await page.context().close();
    });
  },
);
