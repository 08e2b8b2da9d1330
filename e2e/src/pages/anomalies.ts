import type { Locator, Page } from "playwright";

export class AnomaliesPage {
  readonly page: Page;
  readonly findings: Locator;
  readonly detail: Locator;
  readonly evidence: Locator;
  readonly firing: Locator;

  constructor(page: Page) {
    this.page = page;
    this.findings = page.getByRole("list", { name: "Findings, newest first" });
    this.detail = page.getByRole("complementary", { name: "Finding" });
    this.evidence = this.detail.getByRole("region", { name: "Flows that prove the finding" });
    this.firing = page.getByRole("region", { name: "Firing now" });
  }

  /** Opens the finding by its sentence. */
  finding(sentence: RegExp): Locator {
    return this.findings.getByRole("button", { name: sentence });
  }

  async tab(name: "Findings" | "Alerts" | "Backtest"): Promise<void> {
    await this.page
      .getByRole("navigation", { name: "Parts of this view" })
      .getByRole("button", { name: new RegExp(`^${name}`) })
      .click();
  }

  /** Says of the finding that is open that it belongs here. */
  async callNormal(reason: string): Promise<void> {
    await this.detail.getByRole("button", { name: "It is normal here…" }).click();
    await this.detail.getByRole("textbox", { name: "Why" }).fill(reason);
    await this.detail.getByRole("button", { name: "Call it normal here" }).click();
  }
}
