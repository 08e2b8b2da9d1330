/** What a window of the console does while somebody works in it, measured in Debian's Chromium by real events. */
import { processorTimeOfTasks } from "@wardline/renderer/testing/task-times";
import { chromium, type Page } from "playwright";
import { quantile } from "./statistics.ts";

const WHEEL_PIXELS = [120, 600, 3_000, -600];

export async function withPage<Result>(url: string, body: (page: Page) => Promise<Result>): Promise<Result> {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } });
    await page.goto(url);
    return await body(page);
  } finally {
    await browser.close();
  }
}

/** From now on, every task that is too long for the browser's taste, and every frame. */
const OBSERVE = `() => {
  const seen = { tasks: [], frames: [], waiting: 0, isOn: true };
  const observer = new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map((entry) => entry.duration)));
  observer.observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => {
    if (!seen.isOn) return observer.disconnect();
    seen.frames.push(now - last);
    last = now;
    if (document.querySelector(".record-row[aria-busy=true]")) seen.waiting++;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.seenByBench = seen;
}`;

interface Seen {
  readonly tasks: number[];
  readonly frames: number[];
  readonly waiting: number;
}

/** Turns a real wheel over a box for some seconds, slowly, fast and back; then once more under the browser's own trace. */
export async function scrollByWheel(page: Page, selector: string, seconds: number) {
  const box = await page.locator(selector).boundingBox();
  if (!box) throw new Error(`There is no ${selector} to scroll.`);
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const turn = async (untilMs: number) => {
    let turns = 0;
    for (; performance.now() < untilMs; turns++) {
      await page.mouse.wheel(0, WHEEL_PIXELS[Math.floor(turns / 10) % WHEEL_PIXELS.length]!);
    }
    return turns;
  };
  await page.evaluate(`(${OBSERVE})()`);
  const turns = await turn(performance.now() + seconds * 1_000);
  await page.waitForTimeout(300);
  const seen = (await page.evaluate("(window.seenByBench.isOn = false, window.seenByBench)")) as Seen;
  const tasks = await processorTimeOfTasks(page, async () => {
    await turn(performance.now() + (seconds * 1_000) / 2);
  });
  return {
    wheelTurns: turns,
    tasksOver50Ms: seen.tasks.length,
    longestTaskMs: Math.round(Math.max(0, ...seen.tasks)),
    longestTaskProcessorMs: Number(Math.max(0, ...tasks).toFixed(1)),
    tasksOver50MsOfProcessor: tasks.filter((ms) => ms > 50).length,
    frames: seen.frames.length,
    frameMsP95: Math.round(quantile(seen.frames, 0.95)),
    framesWithRowsOnTheirWay: seen.waiting,
  };
}

/** When the box is left and the new list is drawn: for the key, and the frame after the rows are in the page. */
const WATCH = `() => {
  window.answered = new Promise((resolve) => {
    let startMs = null;
    let wasBusy = false;
    const look = () => {
      const grid = document.querySelector(".record-grid");
      if (grid?.getAttribute("aria-busy") === "true") wasBusy = true;
      const isThere = grid ? !grid.querySelector(".record-row[aria-busy=true]") : document.querySelector(".history-list .empty-state");
      if (startMs === null || !wasBusy || !isThere || grid?.getAttribute("aria-busy") === "true") return;
      watch.disconnect();
      requestAnimationFrame((now) => setTimeout(() => resolve(performance.now() - startMs)));
    };
    const watch = new MutationObserver(look);
    watch.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-busy"] });
    addEventListener("keydown", (event) => {
      if (event.key === "Enter") startMs = event.timeStamp;
    }, { capture: true, once: true });
  });
}`;

/** Milliseconds from the key that asks to the rows on the screen. */
export async function askInWindow(page: Page, text: string): Promise<number> {
  const box = page.getByRole("combobox", { name: "Query of the flows" });
  await box.fill(text);
  await page.evaluate(`(${WATCH})()`);
  await box.press("Enter");
  return Number(await page.evaluate("window.answered"));
}

/** A table as one would begin, in an empty window: one element for each row. */
export async function plainTable(page: Page, rows: number, seconds: number) {
  const builtMs = Number(
    await page.evaluate(`(() => {
      const started = performance.now();
      const rows = Array.from({ length: ${rows} }, (_, row) =>
        "<tr>" + Array.from({ length: 11 }, (_, cell) => "<td>" + row + " " + cell + "</td>").join("") + "</tr>");
      document.body.innerHTML = "<div id=peer style='position:fixed;inset:0;overflow:auto'><table>" + rows.join("") + "</table></div>";
      document.querySelector("#peer").getBoundingClientRect();
      return performance.now() - started;
    })()`),
  );
  return { rows, builtMs: Math.round(builtMs), ...(await scrollByWheel(page, "#peer", seconds)) };
}

/** After a collection of garbage. */
export async function memoryOf(page: Page): Promise<{ readonly heapMiB: number; readonly nodes: number }> {
  return (await page.evaluate(
    "(gc(), { heapMiB: Math.round(performance.memory.usedJSHeapSize / 2 ** 20 * 10) / 10, nodes: document.querySelectorAll('*').length })",
  )) as { heapMiB: number; nodes: number };
}
