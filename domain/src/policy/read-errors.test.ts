import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { SourceFile } from "./model.ts";
import { createPolicyReader } from "./read.ts";

const SAMPLES = new URL("../../../assets/samples/", import.meta.url);

function sampleFiles(): readonly SourceFile[] {
  return readdirSync(SAMPLES)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => ({ path: name, text: readFileSync(new URL(name, SAMPLES), "utf8") }));
}

/** Policies of the admin tier; two of one priority that decide the same packets differently are an error. */
function guard(name: string, action: string, priority: number): SourceFile {
  const text = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: ${name}, namespace: default}
spec:
  tier: admin
  priority: ${priority}
  subject: {}
  ingress:
    - {action: ${action}, from: [{ipBlock: {cidr: 192.0.2.0/24}}]}
    - {action: ${action}, from: [{ipBlock: {cidr: 192.0.2.0/25}}]}
`;
  return { path: `${name}.yaml`, text };
}

const HOST: SourceFile = {
  path: "host.yaml",
  text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: a}\nspec: {addresses: [10.0.0.1]}\n",
};

describe("reading for errors only", () => {
  const broken: SourceFile = { path: "broken.yaml", text: "apiVersion: wardline.io/v1\nkind: Policy\nspec: [\n" };
  it.each<[string, readonly SourceFile[]]>([
    ["the samples together", sampleFiles()],
    ...sampleFiles().map((file): [string, readonly SourceFile[]] => [file.path, [file]]),
    ["two policies of one priority", [HOST, guard("one", "allow", 5), guard("two", "deny", 5)]],
    ["two policies of two priorities", [HOST, guard("one", "allow", 5), guard("two", "deny", 6)]],
    ["broken text", [HOST, guard("one", "allow", 5), broken]],
  ])("gives for %s the same world, verdict and errors, and nothing that a whole reading does not tell", (_, files) => {
    const reader = createPolicyReader();
    const [quick, whole] = [reader.read(files, { errorsOnly: true }), reader.read(files)];
    const again = reader.read(files, { errorsOnly: true });
    expect(again.diagnostics).toEqual(quick.diagnostics);
    expect(quick.world).toEqual(whole.world);
    expect(quick.ok).toBe(whole.ok);
    const errorsOf = (diagnostics: typeof whole.diagnostics) =>
      diagnostics.filter(({ severity }) => severity === "error");
    expect(errorsOf(quick.diagnostics)).toEqual(errorsOf(whole.diagnostics));
    for (const told of quick.diagnostics) expect(whole.diagnostics).toContainEqual(told);
  });

  it("meets an error between policies, and leaves out a rule without effect", () => {
    const files = [HOST, guard("one", "allow", 5), guard("two", "deny", 5)];
    const codes = (errorsOnly: boolean) =>
      new Set(
        createPolicyReader()
          .read(files, { errorsOnly })
          .diagnostics.map(({ code }) => code),
      );
    expect(codes(true)).toContain("WL344");
    expect(codes(false)).toContain("WL341");
    expect(codes(true)).not.toContain("WL341");
  });
});
