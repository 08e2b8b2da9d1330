/** Files that a person drags out of a file manager. */
import type { Locator, Page } from "playwright";

export interface DroppedFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** The events that a drop of these files makes, with a real DataTransfer that holds real File objects. */
export async function dropFiles(target: Locator, files: readonly DroppedFile[]): Promise<void> {
  const plain = files.map(({ name, content }) => ({
    name,
    base64: Buffer.from(typeof content === "string" ? content : content).toString("base64"),
  }));
  await target.evaluate((element, dropped) => {
    const data = new DataTransfer();
    for (const { name, base64 } of dropped) {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      data.items.add(new File([bytes], name));
    }
    for (const type of ["dragenter", "dragover", "drop"]) {
      element.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data }));
    }
  }, plain);
}

/** Drags files or folders of the disk onto the target, through the browser's own input, as from a file manager. */
export async function dropPaths(page: Page, target: Locator, paths: readonly string[]): Promise<void> {
  const box = await target.boundingBox();
  if (box === null) throw new Error("the target of the drop is not visible");
  const session = await page.context().newCDPSession(page);
  const place = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, ...place, data });
  }
  await session.detach();
}
