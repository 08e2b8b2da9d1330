/** Development page: the window on the fake backend. `dev.html#scenario=no-agent`; never part of the build. */
import "../ui/global.ts";
import { startWindow } from "../app/start-window.tsx";
import { useSettings } from "../data/settings.ts";
import { useWindow } from "../data/window-store.ts";
import { showDesignSystem } from "./design-system.tsx";
import { FakeConsole } from "./fake-console.ts";
import { SCENARIOS } from "./fake-scenarios.ts";

/** Not a scenario: the components by themselves. */
const DESIGN_SYSTEM = "design-system";
const scenarioName = new URLSearchParams(location.hash.slice(1)).get("scenario") ?? "normal";
if (scenarioName === DESIGN_SYSTEM) showDesignSystem();
else showWindow();

function showWindow(): void {
  const scenario = SCENARIOS[scenarioName];
  if (!scenario) throw new Error(`No scenario ${scenarioName}; there are ${Object.keys(SCENARIOS).join(", ")}.`);
  const fake = new FakeConsole(scenario);
  startWindow(fake.transport);
  Object.assign(window, { fake, windowStore: useWindow, settingsStore: useSettings });
}
