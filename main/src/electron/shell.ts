/** The desktop shell: windows on `app://wardline`, the backend in a process of its own, and what only a desktop has. */
import { join } from "node:path";
import type { Logger } from "../backend/ports.ts";
import type { RendererFiles } from "../browser/renderer-files.ts";
import { createAppHandler } from "./app-protocol.ts";
import { BackendSupervisor } from "./backend-supervisor.ts";
import { LINK_SCHEME, linkInArguments, placeOfLink } from "./deep-links.ts";
import { DEFAULT_DESKTOP_SETTINGS, type DesktopSettings } from "./desktop-settings.ts";
import { DragFolder, readDraggedFile } from "./drag-out.ts";
import type { ElectronModules } from "./electron-modules.ts";
import { menuTemplate } from "./menu.ts";
import { Notifier } from "./notifications.ts";
import { filesInArguments, readOpenedFiles } from "./opened-files.ts";
import { APP_SCHEME, hardenContents, hardenSession, mayOpenOutside } from "./security.ts";
import { CHANNELS, type ShellCommand } from "./shell-channels.ts";
import { TrayKeeper } from "./tray.ts";
import { type ReleaseSource, Updates, updateWords } from "./updates.ts";
import { Windows } from "./windows.ts";

export interface ShellOptions {
  readonly electron: ElectronModules;
  readonly files: RendererFiles;
  readonly logger: Logger;
  readonly preloadPath: string;
  readonly backendEntryPath: string;
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly agentSocketPath: string;
  readonly platform: NodeJS.Platform;
  /** Arguments after the program itself. */
  readonly startArguments: readonly string[];
  readonly workingDirectory: string;
  readonly trayIconPath: string;
  /** Where newer versions are made known; `null` = nowhere. */
  readonly releases: ReleaseSource | null;
  readonly managedBy: string | null;
}

export class DesktopShell {
  readonly #options: ShellOptions;
  readonly #backend: BackendSupervisor;
  readonly #windows: Windows;
  readonly #tray: TrayKeeper;
  readonly #updates: Updates;
  readonly #dragFolder: DragFolder;
  #settings: DesktopSettings = DEFAULT_DESKTOP_SETTINGS;
  #isQuitting = false;

  constructor(options: ShellOptions) {
    this.#options = options;
    const { electron, logger, backendEntryPath, stateDir, agentSocketPath } = options;
    this.#windows = new Windows({
      electron,
      logger,
      preloadPath: options.preloadPath,
      statePath: join(stateDir, "window.json"),
      hidesOnClose: () => this.#settings.hidesOnClose && !this.#isQuitting,
    });
    this.#tray = new TrayKeeper(electron.createTray, options.trayIconPath, {
      show: () => this.#windows.show(),
      openWindow: () => this.#windows.open(),
      quit: () => electron.app.quit(),
    });
    this.#updates = new Updates({
      version: electron.app.getVersion(),
      source: options.releases,
      managedBy: options.managedBy,
      logger,
      nowMs: Date.now,
      onNewer: ({ version }) =>
        electron.notifications.show({ title: `Wardline ${version} is out`, body: "Nothing was downloaded." }, () =>
          this.#windows.show(),
        ),
    });
    this.#dragFolder = new DragFolder(join(options.cacheDir, "drag"));
    this.#backend = new BackendSupervisor({
      utilityProcess: electron.utilityProcess,
      entryPath: backendEntryPath,
      args: [stateDir, agentSocketPath],
      logger,
      notifier: new Notifier({ notifications: electron.notifications, logger, onClick: () => this.#windows.show() }),
      onSettings: (settings) => this.#follow(settings),
      onFailed: (message, hint) => {
        electron.dialog.showErrorBox("Wardline cannot start", [message, hint].filter(Boolean).join("\n\n"));
        electron.app.quit();
      },
    });
  }

  /** False when another instance runs already; that one is told and shows itself. */
  async start(): Promise<boolean> {
    const { electron, stateDir, cacheDir, startArguments, workingDirectory } = this.#options;
    const { app } = electron;
    if (!app.requestSingleInstanceLock()) {
      app.quit();
      return false;
    }
    this.#dragFolder.clear();
    // Before `ready`: Electron would put everything below the configuration directory.
    app.setPath("userData", join(stateDir, "desktop"));
    app.setPath("sessionData", join(cacheDir, "desktop"));
    app.enableSandbox();
    electron.protocol.registerSchemesAsPrivileged([
      { scheme: APP_SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true } },
    ]);
    this.#listenToApp();
    await app.whenReady();
    this.#prepareSession();
    this.#listenToPage();
    electron.menu.setApplicationMenu(menuTemplate(this.#menuActions(), this.#options.platform));
    this.#backend.start();
    const link = linkInArguments(startArguments);
    this.#windows.open((link === null ? null : placeOfLink(link)) ?? "");
    if (app.isPackaged) app.setAsDefaultProtocolClient(LINK_SCHEME);
    await this.#takeFiles(filesInArguments(startArguments, workingDirectory));
    return true;
  }

  #listenToApp(): void {
    const { app } = this.#options.electron;
    app.on("second-instance", (_event, argv, workingDirectory) => {
      const link = linkInArguments(argv.slice(1));
      if (link === null) this.#windows.show();
      else this.#openLink(link);
      void this.#takeFiles(filesInArguments(argv.slice(1), workingDirectory));
    });
    // macOS, also before `ready`.
    app.on("open-file", (event, path) => {
      event.preventDefault();
      void this.#takeFiles([path]);
    });
    app.on("open-url", (event, link) => {
      event.preventDefault();
      this.#openLink(link);
    });
    app.on("activate", () => this.#windows.show());
    app.on("window-all-closed", () => {
      if (this.#options.platform !== "darwin" && !this.#tray.isShown) app.quit();
    });
    app.on("web-contents-created", (_event, contents) =>
      hardenContents(contents, (url) => this.#openOutside(url), this.#options.logger),
    );
    app.on("before-quit", (event) => {
      if (this.#isQuitting) return;
      event.preventDefault();
      this.#isQuitting = true;
      this.#updates.close();
      this.#dragFolder.close();
      this.#tray.set(false);
      void this.#backend.stop().finally(() => app.quit());
    });
  }

  #prepareSession(): void {
    const { electron, files, logger } = this.#options;
    const session = electron.defaultSession();
    hardenSession(session, logger);
    session.protocol.handle(
      APP_SCHEME,
      createAppHandler({ files, callBackend: (path, request) => this.#backend.call(path, request) }),
    );
  }

  #listenToPage(): void {
    const { ipcMain } = this.#options.electron;
    ipcMain.on(CHANNELS.listening, (event) => {
      const sender = this.#windows.senderOf(event);
      if (sender) this.#windows.listening(sender);
    });
    ipcMain.on(CHANNELS.chooseFiles, (event) => {
      if (this.#windows.senderOf(event)) void this.#chooseFiles();
    });
    ipcMain.on(CHANNELS.openWindow, (event, place: unknown) => {
      if (!this.#windows.senderOf(event)) return;
      // The page names a place as a link does, and is believed as little.
      const asLink = typeof place === "string" ? place.replace(/^#\//, `${LINK_SCHEME}://`) : "";
      this.#windows.open(placeOfLink(asLink) ?? "");
    });
    ipcMain.on(CHANNELS.dragOut, (event, message: unknown) => {
      const { logger, trayIconPath } = this.#options;
      const file = readDraggedFile(message);
      const sender = this.#windows.senderOf(event);
      if (!sender) return;
      if (!file) {
        logger.warn({}, "nothing that can be dragged out");
        return;
      }
      try {
        sender.startDrag({ file: this.#dragFolder.write(file), icon: trayIconPath });
      } catch (error) {
        // A full disk: nothing is dragged, and the program goes on.
        logger.warn({ err: error }, "file not dragged out");
      }
    });
  }

  async #takeFiles(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    this.#windows.deliver(await readOpenedFiles(paths));
  }

  /** A link goes to its view; whatever else it says is not followed. */
  #openLink(link: string): void {
    const place = placeOfLink(link);
    if (place === null) this.#options.logger.warn({ length: link.length }, "link is none of ours");
    this.#windows.show(place ?? "");
  }

  async #chooseFiles(): Promise<void> {
    const { canceled, filePaths } = await this.#options.electron.dialog.showOpenDialog({
      title: "Import policies",
      properties: ["openFile", "multiSelections"],
      filters: [{ name: "Policies", extensions: ["yaml", "yml", "json"] }],
    });
    if (!canceled) await this.#takeFiles(filePaths);
  }

  #openOutside(url: string): void {
    if (mayOpenOutside(url)) void this.#options.electron.shell.openExternal(url);
  }

  #menuActions() {
    const { electron, stateDir } = this.#options;
    return {
      send: (command: ShellCommand) => this.#windows.send(command),
      chooseFiles: () => void this.#chooseFiles(),
      openWindow: () => this.#windows.open(),
      print: () => this.#windows.withLast((contents) => contents.print()),
      checkForUpdates: () => void this.#sayUpdates(),
      showAbout: () => electron.app.showAboutPanel(),
      openStateDir: () => void electron.shell.openPath(stateDir),
      openDevTools: () => this.#windows.withLast((contents) => contents.openDevTools({ mode: "detach" })),
    };
  }

  async #sayUpdates(): Promise<void> {
    const { message, detail } = updateWords(await this.#updates.check());
    await this.#options.electron.dialog.showMessageBox({ type: "info", message, detail, buttons: ["Close"] });
  }

  #follow(settings: DesktopSettings): void {
    this.#settings = settings;
    this.#tray.set(settings.hasTray);
    this.#updates.set(settings.updates);
  }
}
