import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "../testing/run-cli.ts";
import { INVENTORY } from "../testing/samples.ts";

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
  writeFileSync(sandbox.path("hosts.yaml"), INVENTORY);
  const flow = (fields: object) =>
    JSON.stringify({
      host: "here",
      time: "2026-11-21T05:00:00Z",
      kind: "FLOW_EVENT_KIND_START",
      direction: "DIRECTION_INGRESS",
      protocol: 6,
      sourceAddress: "10.0.0.5",
      destinationAddress: "10.9.0.1",
      destinationPort: 443,
      verdict: "VERDICT_ALLOW",
      enforced: "VERDICT_ALLOW",
      subjectKey: "Host/here",
      ...fields,
    });
  const lines = [{}, {}, {}, {}, { destinationPort: 8443 }].map(flow);
  writeFileSync(sandbox.path("flows.ndjson"), `${lines.join("\n")}\n`);
});
afterAll(() => sandbox.dispose());

const ARGS = ["policy", "suggest", "--inventory", "hosts.yaml", "--flows", "flows.ndjson"];

describe("policy suggest", () => {
  it("prints a draft that can be checked as it stands, with what was left out", async () => {
    const { exitCode, stdout } = await sandbox.run(ARGS);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("# default role=web: 1 endpoint, confidence 0.");
    expect(stdout).toContain("# No egress was kept, so all of it would be denied.");
    expect(stdout).toContain("# Left out: 1 connection (1 flow) that were seen too rarely");
    const checked = await sandbox.run(["policy", "check", "-", "hosts.yaml"], stdout);
    expect(checked.stdout).toContain("2 documents in 2 files");
    expect(checked.exitCode).toBe(0);
  });

  it("writes policies and tests that keep what was seen, and overwrites nothing", async () => {
    const { exitCode, value } = await sandbox.json([...ARGS, "--as", "k8s", "--generalize", "0", "--out", "drafts"]);
    expect(exitCode).toBe(0);
    const files = ["drafts/default-suggested-web.yaml", "drafts/default-suggested-web-keeps.yaml"];
    expect(value).toMatchObject({ read: 5, files, suggestions: [{ name: "suggested-web" }] });
    const policy = readFileSync(sandbox.path(files[0] ?? ""), "utf8");
    expect(policy).toContain("kind: NetworkPolicy");
    expect((await sandbox.run(["policy", "check", "drafts", "hosts.yaml"])).exitCode).toBe(0);
    const simulated = await sandbox.json(["policy", "simulate", "drafts", "hosts.yaml", "--flows", "flows.ndjson"]);
    expect(simulated.value).toMatchObject({ recorded: { "stays-allowed": 4, "newly-blocked": 1 } });
    const again = await sandbox.run([...ARGS, "--out", "drafts"]);
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toContain("exists already");
    expect(readFileSync(sandbox.path(files[0] ?? ""), "utf8")).toBe(policy);
  });

  it("says that there is nothing to learn from, and refuses what it cannot read", async () => {
    writeFileSync(sandbox.path("empty.ndjson"), "");
    const nothing = await sandbox.run(["policy", "suggest", "--inventory", "hosts.yaml", "--flows", "empty.ndjson"]);
    expect(nothing).toMatchObject({ exitCode: 1, stdout: "# Learned from 0 flows of empty.ndjson.\n" });
    expect((await sandbox.run([...ARGS, "--generalize", "2"])).exitCode).toBe(2);
    expect((await sandbox.run([...ARGS, "--as", "rego"])).exitCode).toBe(2);
    expect(existsSync(sandbox.path("2"))).toBe(false);
  });
});
