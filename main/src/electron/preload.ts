// Runs sandboxed before the page: hands over the few things that only the shell can do. Built as CommonJS.
import { contextBridge, ipcRenderer, webUtils } from "electron";
import { CHANNELS, type OpenedFileMessage, type ShellBridge, type ShellCommand } from "./shell-channels.ts";

function listen<Message>(channel: string, listener: (message: Message) => void): () => void {
  const forward = (_event: unknown, message: Message) => listener(message);
  ipcRenderer.on(channel, forward);
  return () => ipcRenderer.off(channel, forward);
}

const bridge: ShellBridge = {
  kind: "electron",
  pathOf: (file) => webUtils.getPathForFile(file),
  onFilesOpened(listener) {
    const dispose = listen<readonly OpenedFileMessage[]>(CHANNELS.filesOpened, listener);
    ipcRenderer.send(CHANNELS.listening);
    return dispose;
  },
  onCommand: (listener) => listen<ShellCommand>(CHANNELS.command, listener),
  chooseFiles: () => ipcRenderer.send(CHANNELS.chooseFiles),
  onNavigate: (listener) => listen<string>(CHANNELS.navigate, listener),
  openWindow: (place) => ipcRenderer.send(CHANNELS.openWindow, place),
  dragOut: (name, text) => ipcRenderer.send(CHANNELS.dragOut, { name, text }),
};

contextBridge.exposeInMainWorld("wardlineShell", bridge);
