export type DesktopCommand =
  | "open-policies"
  | "open-flows"
  | "open-hosts"
  | "open-palette"
  | "open-settings"
  | "open-shortcuts"
  | "new-policy"
  | "plan";

/** What the desktop shell puts on the window; absent in a browser. The shell's side is main/src/electron. */
export interface DesktopShell {
  onFilesOpened(
    listener: (files: readonly { readonly path: string; readonly content: Uint8Array }[]) => void,
  ): () => void;
  onCommand(listener: (command: DesktopCommand) => void): () => void;
  /** A link of the desktop was opened: `#/hosts/ID`. */
  onNavigate(listener: (place: string) => void): () => void;
  openWindow(place: string): void;
  dragOut(name: string, text: string): void;
}

declare global {
  interface Window {
    readonly wardlineShell?: DesktopShell;
  }
}
