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
          },
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
      await command("unknown");
      expect(complaints).toEqual([]);
      await page.context().close();
    });
  },
);
