import type { MenuItemConstructorOptions } from "electron";
import type { ShellCommand } from "./shell-channels.ts";

export interface MenuActions {
  send(command: ShellCommand): void;
  chooseFiles(): void;
  openWindow(): void;
  print(): void;
  checkForUpdates(): void;
  showAbout(): void;
  openStateDir(): void;
  openDevTools(): void;
}

/** The native menu. Each entry is also a command of the page, with the same key. */
export function menuTemplate(actions: MenuActions, platform: NodeJS.Platform): MenuItemConstructorOptions[] {
  const isMac = platform === "darwin";
  const command = (label: string, accelerator: string, name: ShellCommand): MenuItemConstructorOptions => ({
    label,
    accelerator,
    click: () => actions.send(name),
  });
  const appMenu: MenuItemConstructorOptions[] = isMac ? [{ role: "appMenu" }] : [];
  return [
    ...appMenu,
    {
      label: "&File",
      submenu: [
        command("New policy", "CmdOrCtrl+N", "new-policy"),
        { label: "New window", accelerator: "CmdOrCtrl+Shift+N", click: () => actions.openWindow() },
        { label: "Import policies…", accelerator: "CmdOrCtrl+O", click: () => actions.chooseFiles() },
        { type: "separator" },
        command("Plan changes", "CmdOrCtrl+Shift+P", "plan"),
        { label: "Print…", accelerator: "CmdOrCtrl+P", click: () => actions.print() },
        { type: "separator" },
        command("Settings", "CmdOrCtrl+,", "open-settings"),
        { type: "separator" },
        { role: "close" },
        ...(isMac ? [] : [{ role: "quit" } as const]),
      ],
    },
    { role: "editMenu" },
    {
      label: "&Go",
      submenu: [
        command("Ask or go…", "CmdOrCtrl+K", "open-palette"),
        { type: "separator" },
        command("Policies", "CmdOrCtrl+1", "open-policies"),
        command("Flows", "CmdOrCtrl+2", "open-flows"),
        command("Hosts", "CmdOrCtrl+3", "open-hosts"),
      ],
    },
    {
      label: "&View",
      submenu: [
        { role: "resetZoom" },
        { role: "zoomIn" },
        { role: "zoomOut" },
        { type: "separator" },
        { role: "togglefullscreen" },
        { label: "Developer tools", accelerator: "F12", click: () => actions.openDevTools() },
      ],
    },
    { role: "windowMenu" },
    {
      role: "help",
      submenu: [
        command("Keyboard shortcuts", "CmdOrCtrl+/", "open-shortcuts"),
        { type: "separator" },
        { label: "Look for a newer version…", click: () => actions.checkForUpdates() },
        { label: "Open the folder with logs and data", click: () => actions.openStateDir() },
        { label: "About Wardline", click: () => actions.showAbout() },
      ],
    },
  ];
}
