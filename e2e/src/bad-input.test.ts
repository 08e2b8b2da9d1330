/** Everything that a person can drop in by mistake, and a few things that somebody might send on purpose. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type DroppedFile, dropFiles } from "./drop.ts";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { ConsolePage } from "./pages/console.ts";
import { HOSTS, WEB_TO_DATABASE } from "./policies.ts";
import { expectPasses, expectRefused } from "./traffic.ts";

const problem = systemProblem();
const BOMB = `a: &a [x,x,x,x,x,x,x,x,x,x]\n${[..."bcdefghi"]
  .map((name, index) => `${name}: &${name} [${Array(10).fill(`*${"abcdefghi"[index]}`).join(",")}]`)
  .join("\n")}\n`;

describe.skipIf(problem !== null)(`bad input in the browser${skipReason(problem)}`, { timeout: STEP_LIMIT_MS }, () => {
  let system: System;
  let ui: ConsolePage;

  beforeAll(async () => {
    system = await System.start();
    ui = new ConsolePage(system.page);
    await system.enforce({ "hosts.yaml": HOSTS, "web.yaml": WEB_TO_DATABASE });
    await ui.goTo("Policies");
    await ui.policies.file("web.yaml").waitFor();
  }, STEP_LIMIT_MS);
  afterAll(() => system?.close(), STEP_LIMIT_MS);
  beforeEach((context) => system.watch(context));

  const drop = (...files: readonly DroppedFile[]): Promise<void> => dropFiles(ui.policies.editor, files);
  const cancel = async (): Promise<void> => {
    await ui.policies.importSheet.getByRole("button", { name: "Cancel" }).click();
    await ui.policies.importSheet.waitFor({ state: "hidden" });
  };

  it("shows where broken YAML is broken, and plans nothing with it", async () => {
    await drop({ name: "broken.yaml", content: "apiVersion: networking.k8s.io/v1\nkind: [NetworkPolicy\nspec: {\n" });
    const row = ui.policies.preview("broken.yaml");
    await row.getByText(/errors?: it can be imported and mended, not applied/).click();
    await row
      .getByText(/^\d+:\d+ WL1\d\d$/)
      .first()
      .waitFor();
    await ui.policies.import();
    await ui.policies.open("broken.yaml");
    await ui.policies
      .problem(/WL1\d\d/)
      .first()
      .getByRole("button", { name: /^line \d+$/ })
      .waitFor();
    await ui.policies.reviewAndApply();
    await ui.ship.drawer.getByText("Mend what is listed above first.").waitFor();
    expect(await ui.ship.drawer.getByRole("button", { name: /on \d+ hosts?$/ }).isDisabled()).toBe(true);
    await ui.ship.close();
    await deleteFile("broken.yaml");
  });

  it("mends an unknown field by one click", async () => {
    await drop({ name: "typo.yaml", content: WEB_TO_DATABASE.replace("podSelector:", "podSelectr:") });
    await ui.policies.preview("typo.yaml").waitFor();
    await ui.policies.import();
    await ui.policies.open("typo.yaml");
    const unknown = ui.policies.problem("podSelectr").first();
    await unknown.getByText(/WL2\d\d/).waitFor();
    await unknown.getByRole("button", { name: /podSelector/ }).click();
    await ui.policies.text.getByText("podSelector").waitFor();
    await ui.policies.editor.getByText("draft saved").waitFor();
    await ui.policies.problem("podSelectr").first().waitFor({ state: "detached" });
    await deleteFile("typo.yaml");
  });

  it("refuses a binary file", async () => {
    await drop({ name: "photo.yaml", content: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 0xff, 0xfe]) });
    await ui.policies.preview("photo.yaml").getByText("refused", { exact: true }).waitFor();
    await ui.policies.importSheet.getByRole("button", { name: "Nothing to import" }).waitFor();
    await cancel();
  });

  it("answers a YAML bomb with a diagnostic, at once", async () => {
    const startedAtMs = performance.now();
    await drop({ name: "bomb.yaml", content: BOMB });
    await ui.policies
      .preview("bomb.yaml")
      .getByText(/errors?: it can be imported/)
      .click();
    await ui.policies
      .preview("bomb.yaml")
      .getByText(/WL107 .*it is not read/)
      .first()
      .waitFor();
    expect(performance.now() - startedAtMs).toBeLessThan(15_000);
    await cancel();
  });

  it("leaves a file of 5 MB out and says so", async () => {
    await drop({ name: "large.yaml", content: `# ${"x".repeat(5 * 1024 * 1024)}\n` });
    await ui.policies.importSheet
      .getByText("large.yaml: larger than 1 MiB, which is what a policy file may have.")
      .waitFor();
    await cancel();
  });

  it("shows hostile names as text", async () => {
    const hostile = '<img src=x onerror="document.title=1">';
    await drop(
      { name: `${hostile}.yaml`, content: WEB_TO_DATABASE.replace("name: web-to-database", `name: '${hostile}'`) },
      { name: "bidi-\u202egpj.yaml", content: WEB_TO_DATABASE.replace("web-to-database", "rtl-\u202e\u0007x") },
    );
    await ui.policies.importSheet.getByRole("listitem").nth(1).waitFor();
    const text = await ui.policies.importSheet.innerText();
    expect(text).toContain("<img src=x");
    for (const character of ["\u202e", "\u0007"]) expect(text).not.toContain(character);
    expect(await system.page.title()).not.toBe("1");
    expect(await ui.policies.importSheet.locator("img").count()).toBe(0);
    await cancel();
  });

  it("changed nothing: the workspace and what is enforced are as before", async () => {
    const { stdout } = await system.run(["policy", "list", "--format", "json"]);
    expect(JSON.parse(stdout)).toMatchObject({ files: [{ path: "hosts.yaml" }, { path: "web.yaml" }] });
    await ui.policies.files.getByText(/2 files · all as this machine enforces/).waitFor();
    await expectPasses(system, 5432);
    await expectRefused(system, 8080);
    expect(system.complaints).toEqual([]);
  });

  async function deleteFile(name: string): Promise<void> {
    await ui.policies.open(name);
    await system.page.getByRole("button", { name: "File actions" }).click();
    await system.page.getByRole("menuitem", { name: "Delete…" }).click();
    await system.page.getByRole("button", { name: "Delete the file" }).click();
    await ui.policies.file(name).waitFor({ state: "detached" });
  }
});
