/**
 * Takes the pictures of findings and history from the demo: `node e2e/src/anomaly/screenshots.ts` (as root, with the project's
 * Node). A scan and a beacon run in it; the pictures are taken when both are found.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fleetProblem } from "../fleet/fleet.ts";
import { systemProblem } from "../harness.ts";
import { DemoLab } from "./demo-lab.ts";

const IMAGES_DIR = fileURLToPath(new URL("../../../docs/images", import.meta.url));
/** From the beginning of the attacks: enough of a beat for a chart. */
const WATCHED_MS = 90_000;

const problem = systemProblem() ?? fleetProblem();
if (problem !== null) throw new Error(`the pictures cannot be taken: ${problem}`);
const lab = await DemoLab.start();
try {
  const { ui, page } = lab;
  const take = async (name: string): Promise<void> => {
    await page.mouse.move(720, 899);
    await page.screenshot({ path: join(IMAGES_DIR, `${name}.png`), animations: "disabled" });
  };
  await ui.goTo("Anomalies");
  await lab.hasWatched();
  lab.attack("beacon", "--from", "web-1");
  lab.attack("scan", "--from", "web-1", "--to", "db-1");
  await ui.anomalies.finding(/demo-scan/).waitFor({ timeout: WATCHED_MS });
  await ui.anomalies.finding(/demo-beacon/).waitFor({ timeout: WATCHED_MS });
  await page.waitForTimeout(WATCHED_MS / 2);
  await ui.anomalies.finding(/demo-beacon/).click();
  await ui.anomalies.evidence.waitFor();
  await take("anomalies");

  await ui.anomalies.detail.getByRole("button", { name: "Show all in the history" }).click();
  await page.getByRole("grid", { name: "Records" }).getByText("demo-beacon").first().waitFor();
  // The chart draws itself when its numbers have come.
  await page.waitForTimeout(3_000);
  await take("history");
} finally {
  await lab.close();
}
