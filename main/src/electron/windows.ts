/** The windows of the console. All show one backend; each has its own place, size and zoom. */
import type { Logger } from "../backend/ports.ts";
import type { ElectronModules, WebContentsPart, WindowPart } from "./electron-modules.ts";
import type { OpenedFile } from "./opened-files.ts";
import { APP_ORIGIN, isOwnUrl } from "./security.ts";
import { CHANNELS, type ShellCommand } from "./shell-channels.ts";
import { readWindowState, visibleBounds, type WindowBounds, writeWindowState } from "./window-state.ts";

/** More would be a mistake, or a page that went mad. */
const MOST_WINDOWS = 12;
/** A second window does not hide the first. */
const CASCADE_PIXELS = 32;
const WIDTH = 1440;
const HEIGHT = 900;

export interface WindowsOptions {
  readonly electron: Pick<ElectronModules, "createWindow" | "screen">;
  readonly logger: Logger;
  readonly preloadPath: string;
  /** Where place, size and zoom of the window that was closed last are kept. */
  readonly statePath: string;
  /** `true` = the window is only hidden: the tray brings it back. */
  readonly hidesOnClose: () => boolean;
}

interface OpenWindow {
  readonly part: WindowPart;
  /** The page has said that it listens. */
  listens: boolean;
}

/** Whose message it is: the main frame of one of our windows, on our page. */
export interface SenderEvent {
  readonly senderFrame: { readonly url: string } | null;
}

export class Windows {
  readonly #options: WindowsOptions;
  /** The one used last is the last. */
  #open: OpenWindow[] = [];
  #waitingFiles: readonly OpenedFile[] = [];

  constructor(options: WindowsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#open.length;
  }

  /** @param place as the page's address has it, `#/hosts/ID`; empty = where it begins */
  open(place = ""): void {
    if (this.#open.length >= MOST_WINDOWS) {
      this.#options.logger.warn({ windows: this.#open.length }, "no further window opened");
      this.show();
      return;
    }
    const { electron, preloadPath, statePath } = this.#options;
    const state = readWindowState(statePath);
    const part = electron.createWindow({
      width: WIDTH,
      height: HEIGHT,
      ...visibleBounds(shifted(state.bounds, this.#open.length), this.#workAreas()),
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
        zoomFactor: state.zoomFactor,
      },
    });
    if (state.isMaximized) part.maximize();
    const window: OpenWindow = { part, listens: false };
    this.#open.push(window);
    this.#follow(window);
    void part.loadURL(`${APP_ORIGIN}/${place}`);
  }

  #follow(window: OpenWindow): void {
    const { part } = window;
    part.on("ready-to-show", () => part.show());
    part.on("focus", () => {
      this.#open = [...this.#open.filter((other) => other !== window), window];
    });
    part.on("close", (event) => {
      this.#keepState(part);
      if (!this.#options.hidesOnClose() || this.#open.length > 1) return;
      event.preventDefault();
      part.hide();
    });
    part.on("closed", () => {
      this.#open = this.#open.filter((other) => other !== window);
    });
    part.webContents.on("did-start-navigation", (details) => {
      if (details.isMainFrame && !details.isSameDocument) window.listens = false;
    });
  }

  /** Brings the window used last to the front; opens one where none is left. @param place where it goes, if anywhere */
  show(place = ""): void {
    const window = this.#open.at(-1);
    if (!window) {
      this.open(place);
      return;
    }
    if (window.part.isMinimized()) window.part.restore();
    window.part.show();
    window.part.focus();
    if (place === "") return;
    if (window.listens) window.part.webContents.send(CHANNELS.navigate, place);
    else void window.part.loadURL(`${APP_ORIGIN}/${place}`);
  }

  /** To the window used last. */
  send(command: ShellCommand): void {
    this.#open.at(-1)?.part.webContents.send(CHANNELS.command, command);
  }

  /** Does something with the window used last. */
  withLast(act: (contents: WebContentsPart) => void): void {
    const contents = this.#open.at(-1)?.part.webContents;
    if (contents && !contents.isDestroyed()) act(contents);
  }

  /** Kept until a page listens. */
  deliver(files: readonly OpenedFile[]): void {
    this.#waitingFiles = [...this.#waitingFiles, ...files];
    this.#deliverWaiting();
  }

  /** The window that a message came from; `null` = of no window of ours, which is logged. */
  senderOf({ senderFrame }: SenderEvent): WebContentsPart | null {
    const window = this.#open.find(({ part }) => senderFrame !== null && part.webContents.mainFrame === senderFrame);
    if (window && senderFrame && isOwnUrl(senderFrame.url)) return window.part.webContents;
    this.#options.logger.warn({}, "message of a foreign frame dropped");
    return null;
  }

  listening(contents: WebContentsPart): void {
    const window = this.#open.find(({ part }) => part.webContents === contents);
    if (window) window.listens = true;
    this.#deliverWaiting();
  }

  #deliverWaiting(): void {
    const window = this.#open.findLast(({ listens }) => listens);
    if (!window || this.#waitingFiles.length === 0) return;
    window.part.webContents.send(CHANNELS.filesOpened, this.#waitingFiles);
    this.#waitingFiles = [];
  }

  #keepState(part: WindowPart): void {
    try {
      writeWindowState(this.#options.statePath, {
        bounds: part.getNormalBounds(),
        isMaximized: part.isMaximized(),
        zoomFactor: part.webContents.getZoomFactor(),
      });
    } catch (error) {
      this.#options.logger.warn({ err: error }, "window state not kept");
    }
  }

  #workAreas(): WindowBounds[] {
    return this.#options.electron.screen.displays().map(({ workArea }) => workArea);
  }
}

function shifted(bounds: WindowBounds | null, windows: number): WindowBounds | null {
  if (!bounds) return null;
  return { ...bounds, x: bounds.x + windows * CASCADE_PIXELS, y: bounds.y + windows * CASCADE_PIXELS };
}
