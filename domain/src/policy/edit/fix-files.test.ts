import { describe, expect, it } from "vitest";
import { fixFiles } from "./fix-files.ts";

const NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

describe("fixFiles", () => {
  it("mends file by file, and what one fix brings to light", () => {
    const files = [
      { path: "a.yaml", text: `# kept\n${NAMESPACE.replace("Namespace", "Namespce").replace("name:", "nmae:")}` },
      { path: "b.yaml", text: NAMESPACE.replace("shop", "store") },
    ];
    const result = fixFiles(files);
    expect(result.files).toEqual([{ path: "a.yaml", text: `# kept\n${NAMESPACE}` }, files[1]]);
    expect(result.mended.map(({ code, source }) => `${code} ${source.line}`)).toEqual(["WL213 3", "WL201 4"]);
    expect(result.reading.ok).toBe(true);
  });

  it("leaves alone what has no fix", () => {
    const files = [{ path: "a.yaml", text: "kind: [\n" }];
    expect(fixFiles(files)).toMatchObject({ files, mended: [], reading: { ok: false } });
  });
});
