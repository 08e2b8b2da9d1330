/** A screen in every theme against WCAG 2.2 AA. */
import type { Page } from "playwright";
import { expect } from "vitest";
import { accessibilityViolations } from "./axe.ts";

/** The window follows the system: the same page in each, without opening it anew. */
const THEMES = [
  ["dark", { colorScheme: "dark", contrast: "no-preference" }],
  ["light", { colorScheme: "light", contrast: "no-preference" }],
  ["contrast", { colorScheme: "dark", contrast: "more" }],
] as const;

/** With `WARDLINE_SHOTS` set to a directory, a picture of each is kept there, for people who judge the screens. */
export async function expectNoViolation(page: Page, screen: string): Promise<void> {
  const directory = process.env.WARDLINE_SHOTS;
  for (const [theme, media] of THEMES) {
    await page.emulateMedia({ ...media, reducedMotion: "reduce" });
    await page.locator(`html[data-theme="${theme}"]`).waitFor();
    if (directory) await page.screenshot({ path: `${directory}/${screen.replace(/\W+/g, "-")}-${theme}.png` });
    const violations = await accessibilityViolations(page, { themeOnly: theme !== "dark" });
    expect.soft(violations, `${screen} in ${theme}`).toEqual([]);
  }
}
