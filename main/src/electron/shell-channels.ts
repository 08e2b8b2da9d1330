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
export type ShellCommand = "open-policies" | "open-flows" | "open-hosts" | "open-palette" | "new-policy" | "plan";

export interface ShellBridge {
  readonly kind: "electron";
  /** Path of a dropped file on this machine, for display; empty for a file that has none. */
  pathOf(file: File): string;
  /** Also delivers what was handed over before the page listened. Returns the disposer. */
  onFilesOpened(listener: (files: readonly OpenedFileMessage[]) => void): () => void;
  onCommand(listener: (command: ShellCommand) => void): () => void;
  /** Shows the system's dialog; chosen files arrive at {@link onFilesOpened}. */
  chooseFiles(): void;
}

export const CHANNELS = {
  filesOpened: "wardline:files-opened",
  command: "wardline:command",
  /** The page listens for files now. */
  listening: "wardline:listening",
  chooseFiles: "wardline:choose-files",
} as const;
