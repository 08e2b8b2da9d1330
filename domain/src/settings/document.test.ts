import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { settingsTableMarkdown } from "./document.ts";
import { SETTINGS_PROBLEMS } from "./file/codes.ts";

const page = readFileSync(new URL("../../../docs/settings.md", import.meta.url), "utf8");

it("docs/settings.md has the table of all settings", () => {
  expect(page).toContain(settingsTableMarkdown());
});

it("docs/settings.md names every problem of a settings file", () => {
  for (const [code, { title }] of Object.entries(SETTINGS_PROBLEMS))
    expect(page).toContain(`| \`${code}\` | ${title} |`);
});
