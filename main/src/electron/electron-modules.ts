/**
 * The parts of Electron that the shell uses, cut out of Electron's own types. The shell is written against this, so that
 * its logic runs in tests with a double (`testing/`) that the compiler checks against the same types.
 */
import type * as Electron from "electron";

export type WebContentsPart = Pick<
  Electron.WebContents,
  | "on"
  | "send"
  | "setWindowOpenHandler"
  | "isDestroyed"
  | "mainFrame"
  | "openDevTools"
  | "print"
  | "startDrag"
  | "getZoomFactor"
>;

export type WindowPart = Pick<
  Electron.BrowserWindow,
  | "on"
  | "loadURL"
  | "show"
  | "hide"
  | "focus"
  | "isMinimized"
  | "isMaximized"
  | "restore"
  | "maximize"
  | "getNormalBounds"
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

export interface TrayPart {
  setMenu(template: Electron.MenuItemConstructorOptions[]): void;
  setToolTip(text: string): void;
  onClick(listener: () => void): void;
  destroy(): void;
}

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
    | "setAsDefaultProtocolClient"
    | "isPackaged"
  >;
  readonly protocol: Pick<Electron.Protocol, "registerSchemesAsPrivileged">;
  readonly defaultSession: () => SessionPart;
  readonly createWindow: (options: Electron.BrowserWindowConstructorOptions) => WindowPart;
  readonly utilityProcess: {
    fork(modulePath: string, args: string[], options: Electron.ForkOptions): ChildPart;
  };
  readonly ipcMain: Pick<Electron.IpcMain, "on">;
  readonly dialog: Pick<Electron.Dialog, "showOpenDialog" | "showErrorBox" | "showMessageBox">;
  readonly menu: { setApplicationMenu(template: Electron.MenuItemConstructorOptions[]): void };
  readonly shell: Pick<Electron.Shell, "openExternal" | "openPath">;
  /** @param iconPath of a picture file */
  readonly createTray: (iconPath: string) => TrayPart;
  readonly screen: { displays(): readonly Pick<Electron.Display, "workArea">[] };
  readonly notifications: {
    isSupported(): boolean;
    show(options: Electron.NotificationConstructorOptions, onClick: () => void): void;
  };
  readonly safeStorage: Pick<
    Electron.SafeStorage,
    "isAsyncEncryptionAvailable" | "encryptStringAsync" | "decryptStringAsync" | "getSelectedStorageBackend"
  >;
}
