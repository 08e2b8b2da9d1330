import type { Locator, Page } from "playwright";

export class PoliciesPage {
  readonly page: Page;
  readonly files: Locator;
  readonly editor: Locator;
  readonly effect: Locator;
  readonly importSheet: Locator;

  constructor(page: Page) {
    this.page = page;
    this.files = page.getByRole("complementary", { name: "Policy files" });
    this.editor = page.getByRole("region", { name: "Editor" });
    this.effect = page.getByRole("complementary", { name: "Effect" });
    this.importSheet = page.getByRole("dialog", { name: "Import into the workspace" });
  }

  file(name: string): Locator {
    return this.files.getByRole("button", { name });
  }

  async open(name: string): Promise<void> {
    await this.file(name).click();
    await this.editor.getByRole("heading", { level: 1 }).filter({ hasText: name }).waitFor();
    await this.text.waitFor();
  }

  get text(): Locator {
    return this.editor.getByRole("textbox", { name: /^Text of / });
  }

  /** Replaces the whole text as a paste does, and waits until the draft is saved. */
  async replaceText(text: string): Promise<void> {
    await this.text.click();
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.text.evaluate((element, pasted) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", pasted);
      element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, text);
    await this.editor.getByText("draft saved").waitFor();
  }

  /** The row of the preview for a file. */
  preview(path: string): Locator {
    return this.importSheet.getByRole("listitem").filter({ hasText: path });
  }

  async import(): Promise<void> {
    await this.importSheet.getByRole("button", { name: /^Import \d+ files?$/ }).click();
    await this.importSheet.waitFor({ state: "hidden" });
  }

  async reviewAndApply(): Promise<void> {
    await this.page.getByRole("button", { name: "Review and apply" }).click();
  }

  problem(text: string | RegExp): Locator {
    return this.effect.getByRole("listitem").filter({ hasText: text });
  }
}
