import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openStateDirectory } from "../agent/foundation.ts";
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

describe("a state directory that is opened", () => {
  it("is freed of what a crash has left of writers, and of nothing else", () => {
    const base = mkdtempSync(join(tmpdir(), "wardline-leftovers-"));
    try {
      const stateDir = join(base, "state");
      makeDirectory(join(stateDir, "cluster/tls"), 0o700);
      makeDirectory(join(base, "elsewhere"), 0o700);
      const put = (...paths: string[]) => {
        for (const path of paths) writeFileSync(join(base, path), "secret");
      };
      put("state/index.json.0123456789ab.new", "state/index.json.0123456789ab.former");
      put("state/cluster/identity.json.0123456789ab.new", "state/cluster/tls/key.pem.0123456789ab.new");
      put("state/index.json", "state/cluster/identity.json", "state/notes.new", "elsewhere/a.0123456789ab.new");
      symlinkSync(join(base, "elsewhere"), join(stateDir, "link"));
      openStateDirectory(stateDir).release();
      // The link is followed here, so what it leads to is listed twice.
      const rest = readdirSync(base, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      const names = [...new Set(rest.map(({ name }) => name))].filter((name) => name !== "agent.lock");
      expect(names.sort()).toEqual(["a.0123456789ab.new", "identity.json", "index.json", "notes.new"]);
    } finally {
      rmSync(base, { recursive: true });
    }
  });
});
