/** The real desktop program, where Electron's binary is there: npm delivers only its types. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { _electron, type ElectronApplication, type Page } from "playwright";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const builtMain = fileURLToPath(new URL("../../../main/dist/electron/main.js", import.meta.url));

function electronBinary(): string | null {
  const packageDir = dirname(createRequire(import.meta.url).resolve("electron/package.json"));
  const distDir = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(packageDir, "dist");
  const names = { darwin: "Electron.app/Contents/MacOS/Electron", win32: "electron.exe" } as const;
  const name = process.platform === "darwin" || process.platform === "win32" ? names[process.platform] : "electron";
  const path = join(distDir, name);
  return existsSync(path) ? path : null;
}

function obstacle(): string | null {
  if (!electronBinary()) return "Electron's binary is not installed";
  if (!existsSync(builtMain)) return "the shell is not built: node scripts/build-electron.mjs";
  if (process.platform === "linux" && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return "no display";
  if (process.getuid?.() === 0) return "Electron's sandbox does not run as root";
  return null;
}

const reason = obstacle();

describe.skipIf(reason !== null)(`the desktop program${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let stateDir: string;
  let program: ElectronApplication;
  let page: Page;

  beforeEach(async () => {
    stateDir = mkdtempSync(join(tmpdir(), "wardline-electron-"));
    writeFileSync(
      join(stateDir, "opened.yaml"),
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: opened}\n",
    );
    program = await _electron.launch({
      executablePath: electronBinary() ?? "",
      args: [
        builtMain,
        `--state-dir=${stateDir}`,
        `--agent-socket=${join(stateDir, "none.sock")}`,
        join(stateDir, "opened.yaml"),
      ],
    });
    page = await program.firstWindow();
  });

  afterEach(async () => {
    await program.close();
    rmSync(stateDir, { recursive: true, force: true });
  });

  it("shows the console on its own scheme, sandboxed, and talks to the backend", async () => {
    await expect.poll(() => page.url()).toMatch(/^app:\/\/wardline\//);
    const inPage = await page.evaluate(async () => {
      const answer = await fetch("/rpc/wardline.console.v1.HostService/GetSession", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      return { shell: ((await answer.json()) as { shell: string }).shell, hasNode: "process" in globalThis };
    });
    expect(inPage).toEqual({ shell: "electron", hasNode: false });
  });

  it("lets the page reach nothing else", async () => {
    const outcome = await page.evaluate(`(async () => ({
      reached: await fetch("https://example.com/").then(() => true, () => false),
      opened: window.open("https://example.com/") !== null,
      permission: Notification.permission,
    }))()`);
    expect(outcome).toEqual({ reached: false, opened: false, permission: "denied" });
    expect(program.windows()).toHaveLength(1);
  });
});
