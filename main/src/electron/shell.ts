/** The desktop shell: one window on `app://wardline`, the backend in a process of its own, and what only a desktop has. */
import { join } from "node:path";
import type { Logger } from "../backend/ports.ts";
import type { RendererFiles } from "../browser/renderer-files.ts";
import { createAppHandler } from "./app-protocol.ts";
import { BackendSupervisor } from "./backend-supervisor.ts";
import type { ElectronModules, WindowPart } from "./electron-modules.ts";
import { menuTemplate } from "./menu.ts";
import { filesInArguments, type OpenedFile, readOpenedFiles } from "./opened-files.ts";
import { APP_ORIGIN, APP_SCHEME, hardenContents, hardenSession, isOwnUrl, mayOpenOutside } from "./security.ts";
import { CHANNELS, type ShellCommand } from "./shell-channels.ts";
import { readWindowState, visibleBounds, writeWindowState } from "./window-state.ts";

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
}

export class DesktopShell {
  readonly #options: ShellOptions;
  readonly #backend: BackendSupervisor;
  #window: WindowPart | null = null;
  #pageListens = false;
  #waitingFiles: OpenedFile[] = [];
  #isQuitting = false;

  constructor(options: ShellOptions) {
    this.#options = options;
    const { electron, logger, backendEntryPath, stateDir, agentSocketPath } = options;
    this.#backend = new BackendSupervisor({
      utilityProcess: electron.utilityProcess,
      entryPath: backendEntryPath,
      args: [stateDir, agentSocketPath],
      logger,
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
    this.#openWindow();
    await this.#takeFiles(filesInArguments(startArguments, workingDirectory));
    return true;
  }

  #listenToApp(): void {
    const { app } = this.#options.electron;
    app.on("second-instance", (_event, argv, workingDirectory) => {
      this.#showWindow();
      void this.#takeFiles(filesInArguments(argv.slice(1), workingDirectory));
    });
    // macOS, also before `ready`.
    app.on("open-file", (event, path) => {
      event.preventDefault();
      void this.#takeFiles([path]);
    });
    app.on("activate", () => this.#showWindow());
    app.on("window-all-closed", () => {
      if (this.#options.platform !== "darwin") app.quit();
    });
    app.on("web-contents-created", (_event, contents) =>
      hardenContents(contents, (url) => this.#openOutside(url), this.#options.logger),
    );
    app.on("before-quit", (event) => {
      if (this.#isQuitting) return;
      event.preventDefault();
      this.#isQuitting = true;
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
      if (!this.#isOurPage(event)) return;
      this.#pageListens = true;
      this.#deliverFiles();
    });
    ipcMain.on(CHANNELS.chooseFiles, (event) => {
      if (this.#isOurPage(event)) void this.#chooseFiles();
    });
  }

  /** Only the main frame of our window, on our page. */
  #isOurPage(event: { readonly senderFrame: { readonly url: string } | null }): boolean {
    const isOurs = event.senderFrame !== null && event.senderFrame === this.#window?.webContents.mainFrame;
    if (isOurs && isOwnUrl(event.senderFrame.url)) return true;
    this.#options.logger.warn({}, "message of a foreign frame dropped");
    return false;
  }

  #openWindow(): void {
    const { electron, preloadPath, stateDir } = this.#options;
    const statePath = join(stateDir, "window.json");
    const state = readWindowState(statePath);
    const workAreas = electron.screen.displays().map((display) => display.workArea);
    const window = electron.createWindow({
      width: 1440,
      height: 900,
      ...visibleBounds(state.bounds, workAreas),
      minWidth: 800,
      minHeight: 500,
      show: false,
      title: "Wardline",
      webPreferences: {
        preload: preloadPath,
        sandbox: true,
        contextIsolation: true,
        nodeIntegration: false,
        nodeIntegrationInWorker: false,
        nodeIntegrationInSubFrames: false,
        webSecurity: true,
        webviewTag: false,
        allowRunningInsecureContent: false,
        navigateOnDragDrop: false,
        spellcheck: false,
      },
    });
    if (state.isMaximized) window.maximize();
    this.#window = window;
    this.#pageListens = false;
    window.on("ready-to-show", () => window.show());
    window.on("close", () => this.#keepWindowState(statePath, window));
    window.on("closed", () => {
      this.#window = null;
      this.#pageListens = false;
    });
    window.webContents.on("did-start-navigation", (details) => {
      if (details.isMainFrame && !details.isSameDocument) this.#pageListens = false;
    });
    void window.loadURL(`${APP_ORIGIN}/`);
  }

  #keepWindowState(statePath: string, window: WindowPart): void {
    try {
      writeWindowState(statePath, { bounds: window.getNormalBounds(), isMaximized: window.isMaximized() });
    } catch (error) {
      this.#options.logger.warn({ err: error }, "window state not kept");
    }
  }

  #showWindow(): void {
    const window = this.#window;
    if (!window) {
      this.#openWindow();
      return;
    }
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
  }

  async #takeFiles(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    this.#waitingFiles.push(...(await readOpenedFiles(paths)));
    this.#deliverFiles();
  }

  #deliverFiles(): void {
    if (!this.#pageListens || !this.#window || this.#waitingFiles.length === 0) return;
    this.#window.webContents.send(CHANNELS.filesOpened, this.#waitingFiles);
    this.#waitingFiles = [];
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
      send: (command: ShellCommand) => this.#window?.webContents.send(CHANNELS.command, command),
      chooseFiles: () => void this.#chooseFiles(),
      showAbout: () => electron.app.showAboutPanel(),
      openStateDir: () => void electron.shell.openPath(stateDir),
      openDevTools: () => this.#window?.webContents.openDevTools({ mode: "detach" }),
    };
  }
}
