import { describe, expect, it } from "vitest";
import { readCandidates } from "./read-dropped.ts";

const file = (size: number, isReadable = true) => ({
  size,
  arrayBuffer: async () => {
    if (!isReadable) throw new Error("gone");
    return new ArrayBuffer(Math.min(size, 8));
  },
});

describe("readCandidates", () => {
  it("takes every chosen file, whatever its name, and only policy files from folders", async () => {
    const { files, leftOut } = await readCandidates([
      { path: "photo.png", isFromFolder: false, file: file(10) },
      { path: "net/web.yaml", isFromFolder: true, file: file(10) },
      { path: "net/README.md", isFromFolder: true, file: file(10) },
    ]);
    expect(files.map((entry) => entry.path)).toEqual(["photo.png", "net/web.yaml"]);
    expect(leftOut).toEqual(["1 files of the folder that are not .yaml, .yml or .json."]);
  });

  it("names what is too large or cannot be read, and keeps the rest", async () => {
    const { files, leftOut } = await readCandidates([
      { path: "huge.yaml", isFromFolder: false, file: file(5_000_000) },
      { path: "gone.yaml", isFromFolder: false, file: file(10, false) },
      { path: "good.yaml", isFromFolder: false, file: file(10) },
    ]);
    expect(files.map((entry) => entry.path)).toEqual(["good.yaml"]);
    expect(leftOut).toHaveLength(2);
    expect(leftOut[0]).toContain("huge.yaml");
  });

  it("bounds the number of files and their sum", async () => {
    const many = Array.from({ length: 600 }, (_, index) => ({
      path: `f${index}.yaml`,
      isFromFolder: false,
      file: file(1),
    }));
    expect((await readCandidates(many)).files).toHaveLength(500);
    const heavy = Array.from({ length: 30 }, (_, index) => ({
      path: `h${index}.yaml`,
      isFromFolder: false,
      file: file(1_000_000),
    }));
    expect((await readCandidates(heavy)).files).toHaveLength(25);
  });
});
