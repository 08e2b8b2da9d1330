import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeDirectory } from "./directory.ts";

describe("makeDirectory", () => {
  it("makes what is missing with the mode and leaves what is there", () => {
    const base = mkdtempSync(join(tmpdir(), "wardline-directory-"));
    try {
      makeDirectory(join(base, "a/b/c"), 0o700);
      makeDirectory(join(base, "a/b/c"), 0o755);
      expect(statSync(join(base, "a/b/c")).mode & 0o777).toBe(0o700);
    } finally {
      rmSync(base, { recursive: true });
    }
  });

  it.skipIf(process.platform !== "linux")("fails where the file system refuses, and does not try for ever", () => {
    expect(() => makeDirectory("/proc/not-writable/state", 0o700)).toThrow(/ENOENT|EACCES|EPERM/);
  });
});
