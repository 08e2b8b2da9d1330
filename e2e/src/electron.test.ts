/** The desktop program itself, where its binary is installed. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { _electron } from "playwright";
import { describe, expect, it } from "vitest";
import { STEP_LIMIT_MS, skipReason } from "./harness.ts";

const MAIN_ENTRY = fileURLToPath(new URL("../../main/dist/electron/main.js", import.meta.url));

/** Path of the binary; the package itself holds none until its install script has downloaded it. */
function findElectron(): string | null {
  try {
    const directory = dirname(createRequire(import.meta.url).resolve("electron/package.json"));
    const path = join(directory, "dist", readFileSync(join(directory, "path.txt"), "utf8").trim());
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

function electronProblem(): string | null {
  if (findElectron() === null) return "needs the Electron binary";
  if (!existsSync(MAIN_ENTRY)) return "needs main/dist/electron (npm run build)";
  if (process.platform === "linux" && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return "needs a display";
  return null;
}

const problem = electronProblem();

describe.skipIf(problem !== null)(`the desktop program${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  it("opens the console in a sandboxed window and reaches its backend", async () => {
    const stateDir = mkdtempSync(join(tmpdir(), "wardline-electron-"));
    const program = await _electron.launch({
      executablePath: findElectron() ?? "",
      args: [
        MAIN_ENTRY,
        ...(process.geteuid?.() === 0 ? ["--no-sandbox"] : []),
        `--state-dir=${stateDir}`,
        `--agent-socket=${join(stateDir, "no-agent.sock")}`,
      ],
    });
    try {
      const page = await program.firstWindow();
      await page.getByRole("navigation", { name: "Views" }).waitFor();
      expect(new URL(page.url()).protocol).toBe("app:");
      await page.getByRole("button", { name: "hosts 0/1" }).waitFor();
      expect(await page.evaluate(() => "require" in globalThis)).toBe(false);
    } finally {
      await program.close();
      rmSync(stateDir, { recursive: true, force: true });
    }
  });
});
