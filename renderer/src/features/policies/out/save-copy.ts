/** A file of policies out of this window: as a download, or dragged to the desktop. */

/** The name on its own; what a file system would not take is left out. */
export function copyName(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/[^\p{L}\p{N} ._-]/gu, "_");
  const begins = /^[\p{L}\p{N}]/u.test(name) ? name : `policy-${name}`;
  return /\.(?:ya?ml|json)$/u.test(begins) ? begins.slice(-120) : `${begins.slice(0, 110)}.yaml`;
}

const addressOf = (text: string): string => URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
/** A browser begins a download after the click has returned. */
const KEPT_MS = 60_000;

export function saveCopy(path: string, text: string): void {
  const address = addressOf(text);
  const link = document.createElement("a");
  link.href = address;
  link.download = copyName(path);
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/** Begins to drag the file out: a file where the shell can make one, an address that Chromium downloads from elsewhere. */
export function beginDrag(event: Pick<DragEvent, "dataTransfer" | "preventDefault">, path: string, text: string): void {
  const name = copyName(path);
  if (window.wardlineShell) {
    event.preventDefault();
    window.wardlineShell.dragOut(name, text);
    return;
  }
  if (!event.dataTransfer) return;
  const address = addressOf(text);
  event.dataTransfer.effectAllowed = "copy";
  event.dataTransfer.setData("DownloadURL", `application/yaml:${name}:${address}`);
  event.dataTransfer.setData("text/plain", text);
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
