import type { Locator, Page } from "playwright";

export interface ApplyChoice {
  readonly mode: "Observe" | "Enforce";
  readonly reason: string;
  /** As the list of times shows it. */
  readonly within?: string;
}

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

  /** Fills in how to apply. */
  async fill({ mode, reason, within }: ApplyChoice): Promise<void> {
    await this.drawer.getByRole("radio", { name: mode }).check({ force: true });
    await this.drawer.getByRole("textbox", { name: "Reason" }).fill(reason);
    if (within === undefined) return;
    await this.drawer.getByRole("button", { name: /Rolls back unless kept within/ }).click();
    await this.page.getByRole("option", { name: within, exact: true }).click();
  }

  async apply(choice: ApplyChoice): Promise<void> {
    await this.fill(choice);
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
