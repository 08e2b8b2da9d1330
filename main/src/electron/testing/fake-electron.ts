/**
 * A double of the Electron modules that the shell uses. `satisfies` and the declared types hold it to Electron's own type
 * file: when Electron changes a signature, this does not compile any more. It keeps what was asked of it and lets a test
 * fire events.
 */
import { PassThrough } from "node:stream";
import type * as Electron from "electron";
import type {
  ChildPart,
  ElectronModules,
  SessionPart,
  TrayPart,
  WebContentsPart,
  WindowPart,
} from "../electron-modules.ts";

type Listener = (...values: never[]) => void;

/** Stands for every overload of `on`: it accepts each listener, and its result fits each return type. */
class Emitter {
  readonly #listeners = new Map<string, Listener[]>();

  readonly on = (event: string, listener: Listener): never => {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this as never;
  };

  emit(event: string, ...values: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...(values as never[]));
  }
}

export interface FakeEvent {
  readonly url: string;
  prevented: boolean;
  preventDefault(): void;
}

export function fakeEvent(url = ""): FakeEvent {
  const event: FakeEvent = {
    url,
    prevented: false,
    preventDefault: () => {
      event.prevented = true;
    },
  };
  return event;
}

type FrameStub = Pick<Electron.WebFrameMain, "url">;

export class FakeContents extends Emitter {
  readonly sent: [channel: string, ...values: unknown[]][] = [];
  readonly dragged: string[] = [];
  zoomFactor = 1;
  readonly frame: FrameStub = { url: "app://wardline/" };
  openHandler: Parameters<WebContentsPart["setWindowOpenHandler"]>[0] | null = null;

  readonly #part: WebContentsPart = this.#make();

  /** Always the same, as Electron's own is. */
  part(): WebContentsPart {
    return this.#part;
  }

  #make(): WebContentsPart {
    return {
      on: this.on,
      send: (channel, ...values) => void this.sent.push([channel, ...values]),
      setWindowOpenHandler: (handler) => {
        this.openHandler = handler;
      },
      isDestroyed: () => false,
      mainFrame: this.frame as Electron.WebFrameMain,
      openDevTools: () => {},
      print: () => void this.sent.push(["(printed)"]),
      startDrag: (item) => void this.dragged.push(item.file ?? ""),
      getZoomFactor: () => this.zoomFactor,
    };
  }
}

export class FakeWindow extends Emitter {
  readonly options: Electron.BrowserWindowConstructorOptions;
  readonly contents = new FakeContents();
  readonly calls: string[] = [];
  minimized = false;

  constructor(options: Electron.BrowserWindowConstructorOptions) {
    super();
    this.options = options;
  }

  part(): WindowPart {
    const note = (name: string) => () => void this.calls.push(name);
    return {
      on: this.on,
      loadURL: async (url) => void this.calls.push(`load ${url}`),
      show: note("show"),
      hide: note("hide"),
      focus: note("focus"),
      restore: note("restore"),
      maximize: note("maximize"),
      isMinimized: () => this.minimized,
      isMaximized: () => false,
      getNormalBounds: () => ({ x: 10, y: 20, width: 1000, height: 700 }),
      webContents: this.contents.part(),
    };
  }
}

export class FakeChild extends Emitter {
  readonly posted: unknown[] = [];
  killed = false;
  readonly stderr = new PassThrough();

  part(): ChildPart {
    return {
      on: this.on,
      postMessage: (message) => {
        this.posted.push(message);
      },
      kill: () => {
        this.killed = true;
        this.emit("exit", 15);
        return true;
      },
      stderr: this.stderr,
    };
  }
}

export class FakeTray implements TrayPart {
  menu: Electron.MenuItemConstructorOptions[] = [];
  isGone = false;
  click = () => {};

  setMenu(template: Electron.MenuItemConstructorOptions[]): void {
    this.menu = template;
  }
  setToolTip(): void {}
  onClick(listener: () => void): void {
    this.click = listener;
  }
  destroy(): void {
    this.isGone = true;
  }
}

export class FakeSession extends Emitter {
  requestHandler: Parameters<SessionPart["setPermissionRequestHandler"]>[0] = null;
  checkHandler: Parameters<SessionPart["setPermissionCheckHandler"]>[0] = null;
  deviceHandler: Parameters<SessionPart["setDevicePermissionHandler"]>[0] = null;
  readonly schemes = new Map<string, (request: Request) => Promise<Response>>();
  /** Whether a request of the page would be let through. */
  lets: (url: string) => boolean = () => true;

  part(): SessionPart {
    const onBeforeRequest = (listener: unknown) => {
      const decide = listener as (
        details: { url: string },
        callback: (answer: Electron.CallbackResponse) => void,
      ) => void;
      this.lets = (url) => {
        let cancelled = false;
        decide({ url }, (answer) => {
          cancelled = answer.cancel === true;
        });
        return !cancelled;
      };
    };
    return {
      on: this.on,
      setPermissionRequestHandler: (handler) => {
        this.requestHandler = handler;
      },
      setPermissionCheckHandler: (handler) => {
        this.checkHandler = handler;
      },
      setDevicePermissionHandler: (handler) => {
        this.deviceHandler = handler;
      },
      protocol: {
        handle: (scheme, handler) => void this.schemes.set(scheme, async (request) => handler(request)),
      },
      webRequest: { onBeforeRequest },
    };
  }
}

export class FakeElectron {
  readonly app = new Emitter();
  readonly ipc = new Emitter();
  readonly session = new FakeSession();
  readonly windows: FakeWindow[] = [];
  readonly children: FakeChild[] = [];
  readonly calls: string[] = [];
  readonly opened: string[] = [];
  readonly errors: string[] = [];
  showsNotifications = true;
  readonly notifications: { options: Electron.NotificationConstructorOptions; onClick: () => void }[] = [];
  menuTemplate: Electron.MenuItemConstructorOptions[] = [];
  hasLock = true;
  isPackaged = false;
  readonly trays: FakeTray[] = [];
  readonly said: string[] = [];
  chosenFiles: string[] = [];
  workAreas: Electron.Rectangle[] = [{ x: 0, y: 0, width: 1920, height: 1080 }];
  keyring: ReturnType<Electron.SafeStorage["getSelectedStorageBackend"]> = "gnome_libsecret";
  hasKeyring = true;

  get window(): FakeWindow {
    const window = this.windows.at(-1);
    if (!window) throw new Error("no window was opened");
    return window;
  }

  modules(): ElectronModules {
    const note = (name: string) => () => void this.calls.push(name);
    return {
      app: {
        on: this.app.on,
        whenReady: async () => void this.calls.push("ready"),
        quit: note("quit"),
        requestSingleInstanceLock: () => this.hasLock,
        enableSandbox: note("enableSandbox"),
        setPath: (name, path) => void this.calls.push(`setPath ${name} ${path}`),
        getPath: () => "/nowhere",
        setAppUserModelId: () => {},
        setAboutPanelOptions: () => {},
        showAboutPanel: note("about"),
        getVersion: () => "1.2.3",
        setAsDefaultProtocolClient: (scheme) => {
          this.calls.push(`protocol client ${scheme}`);
          return true;
        },
        isPackaged: this.isPackaged,
      },
      protocol: {
        registerSchemesAsPrivileged: (schemes) =>
          void this.calls.push(
            `schemes ${schemes.map(({ scheme, privileges }) => `${scheme} ${Object.keys(privileges ?? {})}`)}`,
          ),
      },
      defaultSession: () => this.session.part(),
      createWindow: (options) => {
        const window = new FakeWindow(options);
        this.windows.push(window);
        return window.part();
      },
      utilityProcess: {
        fork: (modulePath, args) => {
          this.calls.push(`fork ${modulePath} ${args.join(" ")}`);
          const child = new FakeChild();
          this.children.push(child);
          return child.part();
        },
      },
      ipcMain: { on: this.ipc.on },
      dialog: {
        showOpenDialog: async () => ({ canceled: this.chosenFiles.length === 0, filePaths: this.chosenFiles }),
        showErrorBox: (title, content) => void this.errors.push(`${title}: ${content}`),
        showMessageBox: async (...given: unknown[]) => {
          const { message, detail = "" } = given.at(-1) as Electron.MessageBoxOptions;
          this.said.push(`${message} ${detail}`.trim());
          return { response: 0, checkboxChecked: false };
        },
      },
      menu: {
        setApplicationMenu: (template) => {
          this.menuTemplate = template;
        },
      },
      shell: {
        openExternal: async (url) => void this.opened.push(url),
        openPath: async (path) => {
          this.opened.push(path);
          return "";
        },
      },
      createTray: () => {
        const tray = new FakeTray();
        this.trays.push(tray);
        return tray;
      },
      screen: { displays: () => this.workAreas.map((workArea) => ({ workArea })) },
      notifications: {
        isSupported: () => this.showsNotifications,
        show: (options, onClick) => void this.notifications.push({ options, onClick }),
      },
      safeStorage: {
        isAsyncEncryptionAvailable: async () => this.hasKeyring,
        encryptStringAsync: async (text) => Buffer.from(text).reverse(),
        decryptStringAsync: async (sealed) => ({
          result: Buffer.from(sealed).reverse().toString(),
          shouldReEncrypt: false,
        }),
        getSelectedStorageBackend: () => this.keyring,
      },
    } satisfies ElectronModules;
  }
}
