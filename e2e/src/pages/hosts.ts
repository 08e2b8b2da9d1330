import type { Locator, Page } from "playwright";

export class HostsPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  detail(name: string): Locator {
    return this.page.getByRole("article", { name });
  }

  /** Adds one label to the host that is shown, as a draft. */
  async addLabel(key: string, value: string): Promise<void> {
    await this.page.getByRole("button", { name: "Edit labels" }).click();
    await this.page.getByRole("button", { name: "Add a label" }).click();
    await this.page
      .getByRole("textbox", { name: /^Key of label/ })
      .last()
      .fill(key);
    await this.page
      .getByRole("textbox", { name: /^Value of label/ })
      .last()
      .fill(value);
    await this.page.getByRole("button", { name: "Save as a draft" }).click();
    await this.page.getByText(`${key}=${value}`).waitFor();
  }
}
