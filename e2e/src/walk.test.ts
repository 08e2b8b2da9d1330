/** A policy file is dropped in, enforced by the kernel, seen at work, kept, replaced and rolled back. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dropFiles, dropPaths } from "./drop.ts";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { egressTo, WEB_TO_DATABASE } from "./policies.ts";
import { expectPasses, expectRefused } from "./traffic.ts";

const problem = systemProblem();

describe.skipIf(problem !== null)(`the walk${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  it("opens on a connected host that enforces nothing yet", async () => {
    await ui.status("hosts 1/1").waitFor();
    await ui.status("eBPF · no policy applied").waitFor();
    await ui.goTo("Hosts");
    await ui.hosts.detail("web-1").waitFor();
    await ui.hosts.addLabel("app", "web");
    await expectPasses(system, 5432);
    await expectPasses(system, 8080);
  });

  it("previews a dropped file and imports it", async () => {
    await ui.goTo("Policies");
    await ui.policies.file("web-1.yaml").waitFor();
    await dropFiles(ui.policies.editor, [{ name: "web-to-database.yaml", content: WEB_TO_DATABASE }]);
    const row = ui.policies.preview("web-to-database.yaml");
    await row.getByText("NetworkPolicy web-to-database").waitFor();
    expect(await row.getByText("add", { exact: true }).count()).toBe(1);
    await ui.policies.import();
    await ui.policies.open("web-to-database.yaml");
    await ui.policies.effect.getByText(/rules? for .*web-1/).waitFor();
  });

  it("takes a folder that is dragged in, and files that are picked", async () => {
    const folder = join(system.lab.directory, "team-a");
    mkdirSync(join(folder, "inner"), { recursive: true });
    writeFileSync(join(folder, "a.yaml"), egressTo("from-folder", "none", 443));
    writeFileSync(join(folder, "inner", "b.yml"), egressTo("from-inner", "none", 444));
    writeFileSync(join(folder, "notes.txt"), "not a policy");
    await dropPaths(system.page, ui.policies.editor, [folder]);
    await ui.policies.preview("team-a/a.yaml").waitFor();
    await ui.policies.preview("team-a/inner/b.yml").waitFor();
    await ui.policies.importSheet.getByText(/^1 file.* of the folder/).waitFor();
    await ui.policies.import();

    const chooser = system.page.waitForEvent("filechooser");
    await ui.policies.files.getByRole("button", { name: "Import files" }).click();
    await (await chooser).setFiles([join(folder, "inner", "b.yml")]);
    await ui.policies.preview("b.yml").waitFor();
    await ui.policies.importSheet.getByRole("button", { name: "Cancel" }).click();
    await ui.policies.file("a.yaml").waitFor();
  });

  it("shows who loses which access before anything is applied", async () => {
    await ui.policies.open("web-to-database.yaml");
    await ui.policies.reviewAndApply();
    const plan = ui.ship.planFor("web-1");
    await plan.getByText(/^Loses access: [1-9]/).waitFor();
    await plan.getByRole("cell", { name: "out to" }).first().waitFor();
    await expectPasses(system, 8080);
  });

  it("enforces in the kernel while it waits for confirmation", async () => {
    await ui.ship.apply({ mode: "Enforce", reason: "only the database", within: "5 minutes" });
    await ui.ship.pending(1, "web-1").waitFor();
    await expectRefused(system, 8080);
    await expectPasses(system, 5432);
    await ui.ship.close();
    await ui.status(/generation \d+ waits/).waitFor();
  });

  it("shows the refused connection with its policy, and the way to the line", async () => {
    await ui.goTo("Flows");
    await ui.flows.rows("8080", "denied", "web-to-database").first().waitFor();
    await ui.flows.rows("5432", "allowed", "web-to-database").first().waitFor();
    await ui.flows.rows("8080", "denied").first().getByRole("gridcell").first().click();
    await ui.flows.details.getByText("isolated, and no rule allows it").waitFor();
    await ui.flows.details.getByRole("button", { name: "Explain as enforced" }).click();
    const walkthrough = ui.flows.details.getByRole("region", { name: "Walkthrough" });
    await walkthrough.getByText("Would be denied").waitFor();
    await walkthrough
      .getByRole("button", { name: /web-to-database\.yaml:\d+$/ })
      .first()
      .click();
    await ui.policies.editor.getByRole("heading", { name: /web-to-database\.yaml/ }).waitFor();
  });

  it("keeps it", async () => {
    await ui.status(/generation \d+ waits/).click();
    await ui.ship.keep();
    await ui.ship.drawer.getByText("Generation 1 is kept on web-1.").waitFor();
    await expectRefused(system, 8080);
    await ui.ship.close();
  });

  it("rolls back a second apply, and the receipts tell both", async () => {
    await ui.policies.open("web-to-database.yaml");
    await ui.policies.replaceText(WEB_TO_DATABASE.replace("port: 5432", "port: 8080"));
    await ui.policies.reviewAndApply();
    await ui.ship
      .planFor("web-1")
      .getByText(/^Gains access: [1-9]/)
      .waitFor();
    await ui.ship.apply({ mode: "Enforce", reason: "the wrong port", within: "5 minutes" });
    await ui.ship.pending(2, "web-1").waitFor();
    await expectPasses(system, 8080);
    await expectRefused(system, 5432);
    await ui.ship.rollBack();
    await ui.ship.drawer.getByText("Generation 2 was rolled back on web-1.").waitFor();
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
    await ui.ship.close();
    await ui.goTo("Overview");
    const receipts = system.page.getByRole("region", { name: "Applied lately" });
    await receipts.getByRole("listitem").filter({ hasText: "the wrong port" }).getByText("rolled back").waitFor();
    await receipts.getByRole("listitem").filter({ hasText: "only the database" }).getByText("kept").waitFor();
  });

  it("made no complaint in the browser", () => {
    expect(system.complaints).toEqual([]);
  });
});
