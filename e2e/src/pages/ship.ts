import type { Locator, Page } from "playwright";

export class ShipDrawer {
  readonly page: Page;
  readonly drawer: Locator;

  constructor(page: Page) {
    this.page = page;
    this.drawer = page.getByRole("dialog", { name: "Review and apply" });
  }

  planFor(host: string): Locator {
    return this.drawer.getByRole("region", { name: `Plan for ${host}` });
  }

  /** Fills in how to apply and does it. */
  async apply(choice: { mode: "Observe" | "Enforce"; reason: string; within?: string }): Promise<void> {
    await this.drawer.getByRole("radio", { name: choice.mode }).check({ force: true });
    await this.drawer.getByRole("textbox", { name: "Reason" }).fill(choice.reason);
    if (choice.within) {
      await this.drawer.getByRole("button", { name: /Rolls back unless kept within/ }).click();
      await this.page.getByRole("option", { name: choice.within, exact: true }).click();
    }
    await this.drawer.getByRole("button", { name: new RegExp(`^${choice.mode} on \\d+ hosts?$`) }).click();
  }

  pending(generation: number, host: string): Locator {
    return this.drawer.getByRole("region", { name: `Generation ${generation} on ${host} waits for confirmation` });
  }

  get timer(): Locator {
    return this.drawer.getByRole("timer", { name: "Time left to confirm" });
  }

  async keep(): Promise<void> {
    await this.drawer.getByRole("button", { name: "Keep" }).click();
  }

  async rollBack(): Promise<void> {
    await this.drawer.getByRole("button", { name: "Roll back" }).click();
  }

  async close(): Promise<void> {
    await this.drawer.getByRole("button", { name: "Close" }).click();
    await this.drawer.waitFor({ state: "hidden" });
  }
}
