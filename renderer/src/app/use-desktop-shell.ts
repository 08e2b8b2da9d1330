import { useEffect } from "react";
import { useConsole } from "../data/context.tsx";
import type { DesktopCommand } from "../data/desktop-shell.ts";
import { useWindow } from "../data/window-store.ts";
import { createPolicyFile } from "../features/policies/index.ts";

/** Follows the native menu, and previews the files that the desktop opens with this console. */
export function useDesktopShell(): void {
  const { connection } = useConsole();
  useEffect(() => {
    const shell = window.wardlineShell;
    if (!shell) return;
    const run: Record<DesktopCommand, () => void> = {
      "open-policies": () => useWindow.getState().goTo("policies"),
      "open-flows": () => useWindow.getState().goTo("flows"),
      "open-hosts": () => useWindow.getState().goTo("hosts"),
      "open-palette": () => useWindow.getState().show("palette"),
      "open-settings": () => useWindow.getState().goTo("settings"),
      "open-shortcuts": () => useWindow.getState().show("shortcuts"),
      "new-policy": () => {
        const { goTo, openFile } = useWindow.getState();
        // Refused or not reachable: the Policies view says so itself.
        createPolicyFile(connection).then(openFile, () => goTo("policies"));
      },
      plan: () => {
        useWindow.getState().goTo("policies");
        useWindow.getState().show("ship");
      },
    };
    const stopFiles = shell.onFilesOpened((files) => useWindow.getState().set({ view: "policies", handedOver: files }));
    const stopCommands = shell.onCommand((command) => run[command]?.());
    // The address is what back and forward go through; a place that is none is left alone there.
    const stopLinks = shell.onNavigate((place) => {
      location.hash = place;
    });
    return () => {
      stopLinks();
      stopFiles();
      stopCommands();
    };
  }, [connection]);
}
