/** Entry of the desktop program: joins the shell with the real Electron. */
import { join } from "node:path";
import {
  app,
  BrowserWindow,
  dialog,
  ipcMain,
  Menu,
  protocol,
  safeStorage,
  screen,
  session,
  shell,
  utilityProcess,
} from "electron";
import { pino } from "pino";
import { DEFAULT_AGENT_SOCKET, defaultCacheDir, defaultStateDir } from "../backend/paths.ts";
import { CONSOLE_BUILD, CONSOLE_VERSION } from "../backend/version.ts";
import { RendererFiles } from "../browser/renderer-files.ts";
import { DesktopShell } from "./shell.ts";

const logger = pino({ name: "shell" });
const builtDir = import.meta.dirname;

function optionValue(name: string): string | null {
  const prefix = `--${name}=`;
  return process.argv.find((argument) => argument.startsWith(prefix))?.slice(prefix.length) || null;
}

app.setAboutPanelOptions({ applicationName: "Wardline", applicationVersion: CONSOLE_VERSION, version: CONSOLE_BUILD });
app.setAppUserModelId("io.wardline.console");

const desktopShell = new DesktopShell({
  electron: {
    app,
    protocol,
    defaultSession: () => session.defaultSession,
    createWindow: (options) => new BrowserWindow(options),
    utilityProcess,
    ipcMain,
    dialog,
    menu: { setApplicationMenu: (template) => Menu.setApplicationMenu(Menu.buildFromTemplate(template)) },
    shell,
    screen: { displays: () => screen.getAllDisplays() },
    safeStorage,
  },
  files: new RendererFiles(join(builtDir, "renderer")),
  logger,
  preloadPath: join(builtDir, "preload.cjs"),
  backendEntryPath: join(builtDir, "backend.js"),
  stateDir: optionValue("state-dir") ?? defaultStateDir(),
  cacheDir: defaultCacheDir(),
  agentSocketPath: optionValue("agent-socket") ?? DEFAULT_AGENT_SOCKET,
  platform: process.platform,
  startArguments: process.argv.slice(app.isPackaged ? 1 : 2),
  workingDirectory: process.cwd(),
});

desktopShell.start().catch((error: unknown) => {
  logger.error({ err: error }, "shell not started");
  dialog.showErrorBox("Wardline cannot start", error instanceof Error ? error.message : String(error));
  app.exit(1);
});
