/**
 * The parts of Electron that the shell uses, cut out of Electron's own types. The shell is written against this, so that
 * its logic runs in tests with a double (`testing/`) that the compiler checks against the same types.
 */
import type * as Electron from "electron";

export type WebContentsPart = Pick<
  Electron.WebContents,
  "on" | "send" | "setWindowOpenHandler" | "isDestroyed" | "mainFrame" | "openDevTools"
>;

export type WindowPart = Pick<
  Electron.BrowserWindow,
  "on" | "loadURL" | "show" | "focus" | "isMinimized" | "isMaximized" | "restore" | "maximize" | "getNormalBounds"
> & { readonly webContents: WebContentsPart };

export type SessionPart = Pick<
  Electron.Session,
  "setPermissionRequestHandler" | "setPermissionCheckHandler" | "setDevicePermissionHandler" | "on"
> & {
  readonly protocol: Pick<Electron.Protocol, "handle">;
  readonly webRequest: Pick<Electron.WebRequest, "onBeforeRequest">;
};

export type ChildPart = Pick<Electron.UtilityProcess, "on" | "postMessage" | "kill"> & {
  readonly stderr: NodeJS.ReadableStream | null;
};

export interface ElectronModules {
  readonly app: Pick<
    Electron.App,
    | "on"
    | "whenReady"
    | "quit"
    | "requestSingleInstanceLock"
    | "enableSandbox"
    | "setPath"
    | "getPath"
    | "setAppUserModelId"
    | "setAboutPanelOptions"
    | "showAboutPanel"
    | "getVersion"
  >;
  readonly protocol: Pick<Electron.Protocol, "registerSchemesAsPrivileged">;
  readonly defaultSession: () => SessionPart;
  readonly createWindow: (options: Electron.BrowserWindowConstructorOptions) => WindowPart;
  readonly utilityProcess: {
    fork(modulePath: string, args: string[], options: Electron.ForkOptions): ChildPart;
  };
  readonly ipcMain: Pick<Electron.IpcMain, "on">;
  readonly dialog: Pick<Electron.Dialog, "showOpenDialog" | "showErrorBox">;
  readonly menu: { setApplicationMenu(template: Electron.MenuItemConstructorOptions[]): void };
  readonly shell: Pick<Electron.Shell, "openExternal" | "openPath">;
  readonly screen: { displays(): readonly Pick<Electron.Display, "workArea">[] };
  readonly safeStorage: Pick<
    Electron.SafeStorage,
    "isAsyncEncryptionAvailable" | "encryptStringAsync" | "decryptStringAsync" | "getSelectedStorageBackend"
  >;
}
