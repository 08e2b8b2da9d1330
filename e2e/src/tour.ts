/**
 * Takes the pictures of docs/tour.md from a console that runs, as `npm run demo -- --no-open` starts it:
 * `node e2e/src/tour.ts ADDRESS [SCREEN…]`. Every screen in dark and light, from the real thing.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright";
import { CHROMIUM_ARGUMENTS, CHROMIUM_PATH } from "./harness.ts";

const IMAGES_DIR = fileURLToPath(new URL("../../docs/images/tour", import.meta.url));
const THEMES = ["dark", "light"] as const;
/** Long enough for a picture to be complete: streams, charts and layouts settle. */
const SETTLE_MS = 2_500;
const CHANGE_MS = 500;
const ACTION_LIMIT_MS = 15_000;

type Show = (page: Page) => Promise<void>;

const goTo =
  (place: string): Show =>
  async (page) => {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, place);
    // A key that is pressed before the view has changed is typed into what stood there.
    await page.waitForTimeout(CHANGE_MS);
  };
const inOrder =
  (...steps: readonly Show[]): Show =>
  async (page) => {
    for (const step of steps) await step(page);
  };
const click =
  (role: "button" | "tab", name: string | RegExp): Show =>
  async (page) =>
    page.getByRole(role, { name }).first().click();
const press =
  (keys: string): Show =>
  async (page) =>
    page.keyboard.press(keys);
const type =
  (text: string): Show =>
  async (page) =>
    page.keyboard.type(text);

const openPolicy = goTo("#/policies/shop.yaml");

/** In the order of the tour. */
const SCREENS: Readonly<Record<string, Show>> = {
  overview: goTo("#/overview"),
  "policies-text": inOrder(openPolicy, click("button", "Text")),
  "policies-both": inOrder(openPolicy, click("button", "Both")),
  picture: inOrder(goTo("#/policies"), click("button", "Picture of all policies")),
  verdicts: inOrder(goTo("#/changes"), click("tab", "Verdicts")),
  simulation: inOrder(goTo("#/changes"), click("tab", "Simulation"), click("button", /^Simulate the last/)),
  suggestions: inOrder(goTo("#/changes"), click("tab", "Suggestions")),
  "flows-live": inOrder(goTo("#/flows"), click("tab", /^Live$/)),
  "flows-history": inOrder(goTo("#/flows"), click("tab", /^History$/)),
  anomalies: inOrder(goTo("#/anomalies"), click("button", /demo-beacon|every/)),
  hosts: goTo("#/hosts"),
  cluster: goTo("#/cluster"),
  mesh: inOrder(goTo("#/mesh"), click("button", /^Topology$/)),
  audit: goTo("#/audit"),
  settings: goTo("#/settings"),
  palette: inOrder(goTo("#/overview"), press("ControlOrMeta+k"), type("who can reach db on 5432?"), press("Enter")),
  ship: inOrder(openPolicy, press("ControlOrMeta+Enter")),
  shortcuts: inOrder(goTo("#/overview"), press("?"), async (page) => page.getByRole("dialog").waitFor()),
};

const [address, ...wanted] = process.argv.slice(2);
if (!address) throw new Error("Name the address that the console printed, with its token.");
const unknown = wanted.filter((name) => !(name in SCREENS));
if (unknown.length > 0)
  throw new Error(`No screen ${unknown.join(", ")}; there are ${Object.keys(SCREENS).join(", ")}.`);

mkdirSync(IMAGES_DIR, { recursive: true });
const args = [
  ...CHROMIUM_ARGUMENTS.filter((each) => each !== "--disable-gpu"),
  "--use-gl=angle",
  "--use-angle=swiftshader",
];
const browser = await chromium.launch({
  executablePath: CHROMIUM_PATH,
  args: [...args, "--enable-unsafe-swiftshader"],
});
try {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(ACTION_LIMIT_MS);
  await page.goto(address);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  for (const [name, show] of Object.entries(SCREENS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    try {
      await show(page);
      for (const theme of THEMES) {
        await page.emulateMedia({ colorScheme: theme });
        await page.waitForTimeout(SETTLE_MS);
        await page.screenshot({ path: join(IMAGES_DIR, `${name}-${theme}.png`), animations: "disabled" });
      }
      console.log(`taken  ${name}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`FAILED ${name}: ${String(error).split("\n")[0]}`);
    }
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
  }
} finally {
  await browser.close();
}
