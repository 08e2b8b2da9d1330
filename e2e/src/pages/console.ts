/** The frame around every view. */
import type { Locator, Page } from "playwright";
import { AnomaliesPage } from "./anomalies.ts";
import { FlowsPage } from "./flows.ts";
import { HostsPage } from "./hosts.ts";
import { PoliciesPage } from "./policies.ts";
import { ShipDrawer } from "./ship.ts";

export type ViewName = "Overview" | "Policies" | "Changes" | "Flows" | "Anomalies" | "Hosts" | "Audit" | "Settings";

export class ConsolePage {
  readonly page: Page;
  readonly policies: PoliciesPage;
  readonly flows: FlowsPage;
  readonly anomalies: AnomaliesPage;
  readonly hosts: HostsPage;
  readonly ship: ShipDrawer;

  constructor(page: Page) {
    this.page = page;
    this.policies = new PoliciesPage(page);
    this.flows = new FlowsPage(page);
    this.anomalies = new AnomaliesPage(page);
    this.hosts = new HostsPage(page);
    this.ship = new ShipDrawer(page);
  }

  async goTo(view: ViewName): Promise<void> {
    await this.page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: view }).click();
  }

  /** Item of the status bar. */
  status(name: string | RegExp): Locator {
    return this.page.getByRole("contentinfo").last().getByRole("button", { name });
  }
}
