/** The sign in the desktop's tray: optional, and off until it is asked for. It shows, opens and quits; it decides nothing. */
import type { MenuItemConstructorOptions } from "electron";
import type { ElectronModules, TrayPart } from "./electron-modules.ts";

export interface TrayActions {
  show(): void;
  openWindow(): void;
  quit(): void;
}

export class TrayKeeper {
  readonly #createTray: ElectronModules["createTray"];
  readonly #iconPath: string;
  readonly #actions: TrayActions;
  #tray: TrayPart | null = null;

  constructor(createTray: ElectronModules["createTray"], iconPath: string, actions: TrayActions) {
    this.#createTray = createTray;
    this.#iconPath = iconPath;
    this.#actions = actions;
  }

  get isShown(): boolean {
    return this.#tray !== null;
  }

  set(isWanted: boolean): void {
    if (isWanted === this.isShown) return;
    this.#tray?.destroy();
    this.#tray = null;
    if (!isWanted) return;
    const tray = this.#createTray(this.#iconPath);
    tray.setToolTip("Wardline");
    tray.setMenu(this.#menu());
    tray.onClick(() => this.#actions.show());
    this.#tray = tray;
  }

  #menu(): MenuItemConstructorOptions[] {
    return [
      { label: "Show Wardline", click: () => this.#actions.show() },
      { label: "New window", click: () => this.#actions.openWindow() },
      { type: "separator" },
      { label: "Quit Wardline", click: () => this.#actions.quit() },
    ];
  }
}
