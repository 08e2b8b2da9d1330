/** Entry of the desktop program: joins the shell with the real Electron. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  app,
  BrowserWindow,
  dialog,
  ipcMain,
  Menu,
  Notification,
  protocol,
  safeStorage,
  screen,
  session,
  shell,
  Tray,
  utilityProcess,
} from "electron";
import { pino } from "pino";
import { DEFAULT_AGENT_SOCKET, defaultCacheDir, defaultStateDir } from "../backend/paths.ts";
import { CONSOLE_BUILD, CONSOLE_VERSION } from "../backend/version.ts";
import { RendererFiles } from "../browser/renderer-files.ts";
import type { TrayPart } from "./electron-modules.ts";
import { DesktopShell } from "./shell.ts";
import { managingPackager } from "./updates.ts";

const logger = pino({ name: "shell" });
const builtDir = import.meta.dirname;

function optionValue(name: string): string | null {
  const prefix = `--${name}=`;
  return process.argv.find((argument) => argument.startsWith(prefix))?.slice(prefix.length) || null;
}

/** Kept until it is gone: one that is collected earlier hears of no click. */
const shownNotifications = new Set<Notification>();

function showNotification(options: Electron.NotificationConstructorOptions, onClick: () => void): void {
  const notification = new Notification(options);
  shownNotifications.add(notification);
  notification.on("click", onClick);
  notification.on("close", () => shownNotifications.delete(notification));
  notification.on("failed", (_event, error) => {
    logger.warn({ problem: error }, "notification not shown");
    shownNotifications.delete(notification);
  });
  notification.show();
}

function createTray(iconPath: string): TrayPart {
  const tray = new Tray(iconPath);
  return {
    setMenu: (template) => tray.setContextMenu(Menu.buildFromTemplate(template)),
    setToolTip: (text) => tray.setToolTip(text),
    onClick: (listener) => void tray.on("click", listener),
    destroy: () => tray.destroy(),
  };
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
    createTray,
    screen: { displays: () => screen.getAllDisplays() },
    notifications: { isSupported: () => Notification.isSupported(), show: showNotification },
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
  trayIconPath: join(builtDir, "icons", "32x32.png"),
  // There is no place yet where releases are made known: see docs/security-model.md.
  releases: null,
  managedBy: managingPackager(process.execPath, existsSync),
});

desktopShell.start().catch((error: unknown) => {
  logger.error({ err: error }, "shell not started");
  dialog.showErrorBox("Wardline cannot start", error instanceof Error ? error.message : String(error));
  app.exit(1);
});
