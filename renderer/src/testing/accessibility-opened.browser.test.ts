/** What is opened over the views and inside of them, in every theme against WCAG 2.2 AA. Of the window's overlays none can be forgotten. */
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Overlay } from "../data/window-store.ts";
import { expectNoViolation } from "./accessibility-themes.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

type Opened = (page: Page) => Promise<unknown>;
interface Place {
  readonly scenario?: string;
  readonly open: Opened;
}

const dialog = (page: Page, name: string | RegExp) => page.getByRole("dialog", { name }).waitFor();
const press = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).first().click();
const show = (page: Page, overlay: Overlay) => page.evaluate(`windowStore.getState().show(${JSON.stringify(overlay)})`);
const policies = async (page: Page) => {
  await page.keyboard.press("Alt+2");
  await page.locator(".cm-content").waitFor();
};

/** Of each overlay that the window knows. */
const OVERLAYS: Readonly<Record<Exclude<Overlay, "none">, Place>> = {
  palette: {
    open: (page) => show(page, "palette").then(() => page.getByRole("combobox", { name: "Command" }).waitFor()),
  },
  shortcuts: { open: (page) => show(page, "shortcuts").then(() => dialog(page, "Keyboard shortcuts")) },
  ship: {
    open: async (page) => {
      await show(page, "ship");
      await dialog(page, "Review and apply");
      await page.getByText(/Loses access: 2/).waitFor();
    },
  },
  history: {
    open: async (page) => {
      await policies(page);
      await show(page, "history");
      await page.locator(".text-diff .cm-content").waitFor();
    },
  },
  version: {
    open: async (page) => {
      await page.evaluate(`windowStore.getState().openVersion("1", null)`);
      await page.locator(".read-text .cm-content").waitFor();
    },
  },
  import: {
    open: async (page) => {
      await policies(page);
      await page.getByLabel("Files to import").setInputFiles({
        name: "more.yaml",
        mimeType: "text/yaml",
        buffer: Buffer.from("apiVersion: wardline.io/v1\nkind: Nonsense\n"),
      });
      await dialog(page, "Import into the workspace");
      await page.getByText("more.yaml").first().waitFor();
    },
  },
  "add-hosts": { scenario: "fleet", open: (page) => show(page, "add-hosts").then(() => dialog(page, "Add hosts")) },
  suggestions: { open: (page) => show(page, "suggestions").then(() => dialog(page, "Suggested policies")) },
  ask: {
    open: async (page) => {
      await page.keyboard.press("Alt+q");
      await page.getByRole("dialog").waitFor();
    },
  },
};

/** What is opened from inside a view. */
const OPENED: Readonly<Record<string, Place>> = {
  "the bell": { open: (page) => press(page, /^Notifications/).then(() => dialog(page, "Notifications")) },
  "the bell with nothing in it": {
    scenario: "empty",
    open: (page) => press(page, /^Notifications/).then(() => dialog(page, "Notifications")),
  },
  "how the window looks": { open: (page) => press(page, "Display").then(() => dialog(page, "Display")) },
  "what is not shown": {
    open: (page) => press(page, /not shown$/).then(() => dialog(page, "Flow events not shown")),
  },
  jobs: { scenario: "jobs", open: (page) => press(page, /1 job running/).then(() => dialog(page, "Jobs")) },
  "a question of a host": { scenario: "question", open: (page) => page.getByRole("dialog").waitFor() },
  "the first steps": {
    scenario: "empty",
    open: (page) => page.getByRole("region", { name: "Start here" }).waitFor(),
  },
  "without a backend": { scenario: "down", open: (page) => page.getByText("BACKEND_UNREACHABLE").first().waitFor() },
  "before anything is known": { scenario: "silent", open: (page) => page.locator(".skeleton").first().waitFor() },
  "safe mode": { scenario: "safe-mode", open: (page) => page.locator(".safe-mode-bar").waitFor() },
  "a countdown": {
    scenario: "pending",
    open: (page) => show(page, "ship").then(() => page.getByRole("timer").waitFor()),
  },
  "flow details": {
    open: async (page) => {
      await page.keyboard.press("Alt+3");
      await page.locator("main [role='grid']").focus();
      await page.keyboard.press("Home");
      await page.getByRole("complementary", { name: /details$/ }).waitFor();
    },
  },
  "the form": {
    open: async (page) => {
      await policies(page);
      await press(page, "Both");
      await page.getByRole("region", { name: "Form of the document" }).first().waitFor();
    },
  },
  "templates of policies": {
    open: async (page) => {
      await policies(page);
      await press(page, "New policy");
      await page.getByRole("dialog").waitFor();
    },
  },
  "the picture and its tables": {
    open: async (page) => {
      await policies(page);
      await press(page, "Picture of all policies");
      await press(page, /^Connections/);
      await page.getByRole("grid").first().waitFor();
    },
  },
  "who changed each line": {
    open: async (page) => {
      await policies(page);
      await press(page, "Who changed each line");
      await page.locator(".cm-blame").filter({ hasText: /#\d/ }).first().waitFor();
    },
  },
  "two edits to merge": {
    open: async (page) => {
      await policies(page);
      const path = JSON.stringify(
        await page.evaluate("[...window.fake.files.keys()].find((path) => path.endsWith('web.yaml'))"),
      );
      await press(page, /web\.yaml/);
      await page.locator(".cm-content").focus();
      await page.keyboard.press("Control+Home");
      await page.evaluate(
        `(() => { const file = window.fake.files.get(${path});
          window.fake.files.set(${path}, { ...file, text: "# theirs\\n" + file.text, revision: file.revision + 10n }); })()`,
      );
      await page.keyboard.type("# mine\n");
      await press(page, "Merge both…");
      await page.getByText("1 conflict to decide").waitFor();
    },
  },
  "a plan that waits with its cluster": {
    scenario: "cluster-pending",
    open: (page) => page.keyboard.press("Alt+6").then(() => page.getByRole("timer").first().waitFor()),
  },
  "settings that are broken": {
    scenario: "settings-broken",
    open: async (page) => {
      await page.keyboard.press("Alt+9");
      await press(page, "Mend the file");
      await page.getByRole("textbox", { name: "Text of the settings file" }).waitFor();
    },
  },
  "the bundle for support": {
    open: async (page) => {
      await page.keyboard.press("Alt+9");
      await press(page, /[Ss]upport/);
      await page.getByRole("dialog").waitFor();
    },
  },
};

describe.skipIf(browserTestObstacle)(
  `everything that opens in every theme${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 240_000);
    afterAll(() => server?.close());

    it.each([...Object.entries(OVERLAYS), ...Object.entries(OPENED)])("%s", async (name, { scenario, open }) => {
      const { page } = await server.open({ scenario: scenario ?? "normal" });
      await open(page);
      await expectNoViolation(page, name);
    });
  },
);
