import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessibilityViolations } from "./axe.ts";
import { browserTestObstacle, type FakeWindowServer, startFakeWindow } from "./browser.ts";

const askedOf = (page: Page) => page.evaluate("window.fake.kept.asked") as Promise<string[]>;
const THEMES = ["dark", "light"] as const;

describe.skipIf(browserTestObstacle)(
  `history, merge and configuration in Chromium${browserTestObstacle ? ` (skipped: ${browserTestObstacle})` : ""}`,
  { timeout: 120_000 },
  () => {
    let server: FakeWindowServer;
    beforeAll(async () => {
      server = await startFakeWindow();
    }, 120_000);
    afterAll(() => server.close());

    async function open() {
      const { page, complaints } = await server.open({ scenario: "normal", width: 1440, height: 900 });
      await page.keyboard.press("Alt+2");
      await page.getByRole("button", { name: /web\.yaml/ }).click();
      await page.locator(".code-editor .cm-content").waitFor();
      return { page, complaints, close: () => page.context().close() };
    }

    async function inBothThemes(page: Page, what: string) {
      for (const theme of THEMES) {
        await page.evaluate(`settingsStore.getState().change({ "display.theme": "${theme}" })`);
        await page.locator(`html[data-theme="${theme}"]`).waitFor({ state: "attached" });
        const violations = await accessibilityViolations(page, { themeOnly: theme !== THEMES[0] });
        expect({ what, theme, violations }).toEqual({ what, theme, violations: [] });
        const dir = process.env.WARDLINE_SHOTS_DIR;
        if (dir) await page.screenshot({ path: `${dir}/H-${what}-${theme}.png` });
      }
    }

    it("finds a version, says what it means, and puts it back with a reason, by keyboard", async () => {
      const { page, complaints, close } = await open();
      await page.getByRole("button", { name: "Versions and receipts" }).press("Enter");
      const sheet = page.getByRole("dialog", { name: /History/ });
      await sheet.getByRole("button", { name: /^first policies/ }).press("Enter");
      await sheet.getByText("− loses").first().waitFor();
      await sheet.getByText("ticket NET-1").waitFor();
      await sheet.locator(".text-diff .cm-content").first().waitFor();
      await inBothThemes(page, "history");
      const restore = sheet.getByRole("button", { name: "Restore as the workspace" });
      expect(await restore.isDisabled()).toBe(true);
      await sheet.getByLabel("Why restore it").fill("back");
      await restore.press("Enter");
      await sheet.getByText("Restored. Review and apply when you are ready.").waitFor();
      expect(await askedOf(page)).toEqual(["put back all: back"]);
      await sheet.getByLabel("Search").fill("nobody wrote this");
      await sheet.getByText("No version says").waitFor();
      expect(complaints).toEqual([]);
      await close();
    });

    it("keeps the workspace as it stands, with a reason and a ticket", async () => {
      const { page, complaints, close } = await open();
      await page.getByRole("button", { name: "Versions and receipts" }).press("Enter");
      const sheet = page.getByRole("dialog", { name: /History/ });
      await sheet.getByRole("button", { name: "Keep this version…" }).press("Enter");
      const keep = sheet.getByRole("button", { name: "Keep it" });
      expect(await keep.isDisabled()).toBe(true);
      await sheet.getByLabel("Why keep it").fill("before the move");
      await sheet.getByLabel("Ticket").first().fill("NET-7");
      await inBothThemes(page, "keep");
      await keep.press("Enter");
      await sheet.getByText("Kept.").waitFor();
      expect(await askedOf(page)).toEqual(["keep before the move (NET-7)"]);
      expect(complaints).toEqual([]);
      await close();
    });

    it("reads the files of a version from the history and by a link, and links to it by its digest", async () => {
      const { page, complaints, close } = await open();
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.getByRole("button", { name: "Versions and receipts" }).press("Enter");
      const history = page.getByRole("dialog", { name: /History/ });
      await history.getByRole("button", { name: /^first policies/ }).press("Enter");
      await history.getByRole("button", { name: "Read its files" }).press("Enter");
      const sheet = page.getByRole("dialog", { name: /^Version #1/ });
      const text = sheet.locator(".read-text .cm-content");
      await text.waitFor();
      await sheet.getByText(/first policies/).waitFor();
      await expect.poll(() => text.getAttribute("contenteditable")).toBe("false");
      const [name, old] = (await page.evaluate(
        "(() => { const [file] = window.fake.versions.find(({ number }) => number === 1n).files; return [file.path, file.text]; })()",
      )) as [string, string];
      await expect.poll(() => text.innerText()).toContain(old.split("\n")[0]);
      await inBothThemes(page, "version");
      await sheet.getByRole("button", { name: "Copy link" }).press("Enter");
      await sheet.getByText("Link copied.").waitFor();
      const link = (await page.evaluate("navigator.clipboard.readText()")) as string;
      expect(link).toBe(`wardline://policies/${encodeURIComponent(name)}?version=${"1".repeat(12)}`);
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        sheet.getByRole("button", { name: "Save a copy" }).press("Enter"),
      ]);
      expect(download.suggestedFilename()).toBe(name.slice(name.lastIndexOf("/") + 1));
      for (let times = 0; times < 2; times += 1) {
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        await page.evaluate(`location.hash = ${JSON.stringify(link.replace("wardline://", "#/"))}`);
        await sheet.locator(".read-text .cm-content").waitFor();
      }
      await page.keyboard.press("Escape");
      await page.evaluate("location.hash = '#/policies/nowhere.yaml?version=1'");
      await sheet.getByText(/This version has no file nowhere\.yaml/).waitFor();
      await page.keyboard.press("Escape");
      await page.evaluate("location.hash = '#/policies?version=99'");
      await page
        .getByRole("dialog", { name: "Version #99" })
        .getByText(/no such version/)
        .first()
        .waitFor();
      expect(complaints.filter((text) => !text.includes("404"))).toEqual([]);
      await close();
    });

    it("opens the version of a line by its mark and by the key", async () => {
      const { page, complaints, close } = await open();
      await page.getByRole("button", { name: "Who changed each line" }).press("Enter");
      const mark = page.locator(".cm-blame[data-version]").filter({ hasText: /#\d/ }).first();
      await mark.waitFor();
      const number = await mark.getAttribute("data-version");
      await mark.click();
      const sheet = page.getByRole("dialog", { name: `Version #${number}` });
      await sheet.locator(".read-text .cm-content").waitFor();
      await page.keyboard.press("Escape");
      await sheet.waitFor({ state: "detached" });
      await page.locator(".code-editor .cm-content").focus();
      await page.keyboard.press("Control+Home");
      await page.keyboard.press("Alt+v");
      await page.getByRole("dialog", { name: /^Version #/ }).waitFor();
      expect(complaints).toEqual([]);
      await close();
    });

    it("shows who changed each line beside the text", async () => {
      const { page, complaints, close } = await open();
      await page.getByRole("button", { name: "Who changed each line" }).press("Enter");
      await page.locator(".cm-blame").filter({ hasText: /#\d/ }).first().waitFor();
      await expect
        .poll(() => page.locator(".cm-blame").first().getAttribute("title"))
        .toMatch(/Version \d+ by .*\n(Enforced|In)/);
      await inBothThemes(page, "blame");
      // The same for whoever has no pointer: the line with the cursor is told below the text, and said aloud.
      await page.locator(".code-editor .cm-content").focus();
      await page.keyboard.press("Control+Home");
      await page.locator(".cm-blame-line", { hasText: /^(Version \d+ by |In the draft)/ }).waitFor();
      const first = await page.locator(".cm-blame-line").innerText();
      for (let line = 0; line < 40 && (await page.locator(".cm-blame-line").innerText()) === first; line++)
        await page.keyboard.press("ArrowDown");
      const other = await page.locator(".cm-blame-line").innerText();
      expect(other).not.toBe(first);
      await page
        .locator("[data-announcer='polite']", { hasText: other.split("\n")[0]?.replace(/\.$/, "") ?? "" })
        .waitFor({ state: "attached" });
      await page.getByRole("button", { name: "Who changed each line" }).press("Enter");
      await page.locator(".cm-blame").first().waitFor({ state: "detached" });
      expect(complaints).toEqual([]);
      await close();
    });

    it("merges two edits side by side and saves nothing before it is decided", async () => {
      const { page, complaints, close } = await open();
      const path = (await page.evaluate(
        "[...window.fake.files.keys()].find((path) => path.endsWith('web.yaml'))",
      )) as string;
      const textOf = () => page.evaluate(`window.fake.files.get(${JSON.stringify(path)}).text`) as Promise<string>;
      const before = await textOf();
      // Somebody else saves while this window is typing.
      await page.locator(".code-editor .cm-content").focus();
      await page.keyboard.press("Control+Home");
      await page.evaluate(
        `(() => { const file = window.fake.files.get(${JSON.stringify(path)});
          window.fake.files.set(${JSON.stringify(path)}, { ...file, text: "# theirs <b>\\u202e\\n" + file.text, revision: file.revision + 10n }); })()`,
      );
      await page.keyboard.type("# mine\n");
      await page.getByRole("button", { name: "Merge both…" }).press("Enter");
      const sheet = page.getByRole("dialog", { name: /^Merge / });
      const save = sheet.getByRole("button", { name: "Save the merged text" });
      await sheet.getByText("1 conflict to decide").waitFor();
      expect(await save.isDisabled()).toBe(true);
      await inBothThemes(page, "merge");
      await sheet.getByRole("radio", { name: "Both, mine first" }).press("Space");
      await sheet.getByText(/the result has/).waitFor();
      expect(await textOf()).toContain("# theirs");
      expect(await textOf()).not.toContain("# mine");
      await save.press("Enter");
      await sheet.waitFor({ state: "detached" });
      await expect.poll(textOf, { timeout: 15_000 }).toContain("# mine\n# theirs <b>\u202e\n");
      expect(await textOf()).toContain(before.slice(0, 40));
      expect(await askedOf(page)).toEqual([`keep Before merging ${path}`]);
      expect(complaints).toEqual([]);
      await close();
    });

    it("recognises a dropped configuration, shows who signed it, and imports only what was looked at", async () => {
      const { page, complaints, close } = await open();
      await page.getByLabel("Files to import").setInputFiles({
        name: "wardline-configuration.tar",
        mimeType: "application/x-tar",
        buffer: Buffer.from("wardline-configuration/manifest.json"),
      });
      const sheet = page.getByRole("dialog", { name: "Import a configuration" });
      await sheet.getByText("Signed by a key that nobody here knows.").waitFor();
      await sheet.getByText("− loses").waitFor();
      const run = sheet.getByRole("button", { name: /^Import 2 changes/ });
      expect(await run.isDisabled()).toBe(true);
      await inBothThemes(page, "configuration");
      await sheet.getByRole("checkbox", { name: "Remove what the archive has not" }).press("Space");
      await sheet.getByText("alert rules").waitFor();
      await sheet.getByRole("checkbox", { name: /I compared the fingerprint/ }).press("Space");
      await sheet.getByLabel("Why").fill("move");
      await sheet.getByRole("button", { name: /^Import 3 changes/ }).press("Enter");
      await sheet.getByText("What was here before is kept as a version.").waitFor();
      expect(await askedOf(page)).toEqual(["import SHA256:scaO: move"]);
      expect(complaints).toEqual([]);
      await close();
    });

    it("watches a source, shows what it has, merges what both changed, and takes over what was decided", async () => {
      const { page, complaints, close } = await open();
      await page.keyboard.press("Alt+9");
      const panel = page.getByRole("region", { name: "Watched source" });
      await panel.getByRole("textbox", { name: "Address" }).fill("https://user:secret@git.example.com/x");
      await panel.getByRole("button", { name: "Watch it" }).press("Enter");
      await panel.getByText(/without a password/).waitFor();
      await panel.getByRole("textbox", { name: "Address" }).fill("git@git.example.com:team/policies.git");
      await panel.getByRole("button", { name: "Watch it" }).press("Enter");
      await panel.getByText("3 files differ, 1 conflict.").waitFor();
      await panel.getByRole("button", { name: "Look at the proposal…" }).press("Enter");
      const sheet = page.getByRole("dialog", { name: "What the source has" });
      await sheet.getByText("1 conflict left out until merged.").waitFor();
      await sheet.getByRole("button", { name: "Take over 2 files" }).waitFor();
      await inBothThemes(page, "source");
      await sheet.getByRole("button", { name: "Merge…" }).press("Enter");
      const merge = page.getByRole("dialog", { name: /^Merge / });
      await merge.getByRole("radio", { name: "Both, mine first" }).press("Space");
      await merge.getByRole("button", { name: "Save the merged text" }).press("Enter");
      await merge.waitFor({ state: "detached" });
      await sheet.getByText("merged", { exact: true }).waitFor();
      await sheet.getByLabel("Why").fill("weekly");
      await sheet.getByRole("button", { name: "Take over 3 files" }).press("Enter");
      await panel.getByText("The workspace has all of it.").waitFor();
      expect(await askedOf(page)).toEqual(["source git", "take policies/both.yaml: weekly"]);
      expect(complaints).toEqual([]);
      await close();
    });
  },
);
