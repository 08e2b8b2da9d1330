/**
 * What the preload gives the page as `window.wardlineShell`, and the channels behind it. Everything else goes through the
 * backend's contract.
 */

/** A file that the desktop handed over, to be previewed for import. */
export interface OpenedFileMessage {
  readonly path: string;
  readonly content: Uint8Array;
}

/** Commands of the native menu. */
export type ShellCommand =
  | "open-policies"
  | "open-flows"
  | "open-hosts"
  | "open-palette"
  | "open-settings"
  | "open-shortcuts"
  | "new-policy"
  | "plan";

export interface ShellBridge {
  readonly kind: "electron";
  /** Path of a dropped file on this machine, for display; empty for a file that has none. */
  pathOf(file: File): string;
  /** Also delivers what was handed over before the page listened. Returns the disposer. */
  onFilesOpened(listener: (files: readonly OpenedFileMessage[]) => void): () => void;
  onCommand(listener: (command: ShellCommand) => void): () => void;
  /** Shows the system's dialog; chosen files arrive at {@link onFilesOpened}. */
  chooseFiles(): void;
  /** Another place to show, `#/hosts/ID`: a link of the desktop was opened. Returns the disposer. */
  onNavigate(listener: (place: string) => void): () => void;
  /** Opens another window of this console. @param place `#/hosts/ID`; empty = where it begins */
  openWindow(place: string): void;
  /** Begins to drag a file with this text out of the window. @param name with its extension, no folder */
  dragOut(name: string, text: string): void;
}

export const CHANNELS = {
  filesOpened: "wardline:files-opened",
  command: "wardline:command",
  /** The page listens for files now. */
  listening: "wardline:listening",
  chooseFiles: "wardline:choose-files",
  navigate: "wardline:navigate",
  openWindow: "wardline:open-window",
  dragOut: "wardline:drag-out",
} as const;
