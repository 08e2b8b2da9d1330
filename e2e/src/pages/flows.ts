import type { Locator, Page } from "playwright";

export class FlowsPage {
  readonly page: Page;
  readonly grid: Locator;
  readonly filter: Locator;
  readonly details: Locator;

  constructor(page: Page) {
    this.page = page;
    this.grid = page.getByRole("grid", { name: "Flows, last to arrive first" });
    this.filter = page.getByRole("search", { name: "Filter flows" });
    this.details = page.getByRole("complementary", { name: "Flow details" });
  }

  /** Rows in the page (the grid holds only those near the visible part) that have all of these texts. */
  rows(...texts: readonly (string | RegExp)[]): Locator {
    let rows = this.grid.getByRole("row").filter({ has: this.page.getByRole("gridcell") });
    for (const text of texts) rows = rows.filter({ hasText: text });
    return rows;
  }

  /** One more condition in the flow query language. */
  async addCondition(text: string): Promise<void> {
    const box = this.filter.getByRole("combobox", { name: "Query of the flows" });
    await box.fill(`${await box.inputValue()} ${text}`.trim());
    await box.press("Enter");
  }

  async clearConditions(): Promise<void> {
    await this.filter.getByRole("button", { name: "Clear" }).click();
  }
}
