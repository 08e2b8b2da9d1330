import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../ports.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import { SettingsTable } from "../store/settings-table.ts";
import { Store } from "../store/store.ts";
import { parseOrigin, SshOrigins } from "./ssh-origins.ts";

describe("where a host sees the console", () => {
  it.each([
    ["198.51.100.7 50000 192.0.2.10 2222\n", { clientAddress: "198.51.100.7", serverPort: 2222 }],
    ["Welcome!\r\nFE80::1%eth0 1 fe80::2%eth0 22\r\n", { clientAddress: "fe80::1", serverPort: 22 }],
    ["", null],
    ["\n", null],
    ["198.51.100.7 50000 192.0.2.10 2222 and more", null],
    ["198.51.100.7 x 192.0.2.10 22", null],
    ["198.51.100.7 1 somewhere 22", null],
    ["host 1 192.0.2.10 22", null],
    ["198.51.100.7 1 192.0.2.10 70000", null],
  ])("is read from %j", (text, expected) => {
    expect(parseOrigin(text)).toEqual(expected);
  });
});

describe("what hosts said", () => {
  let directory: string;
  let store: Store;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "wardline-origins-"));
    store = new Store({ stateDir: directory, logger: silentLogger });
  });
  afterEach(() => {
    store.close();
    rmSync(directory, { recursive: true });
  });

  const session = (stdout: string | Error) =>
    ({
      run: () => (stdout instanceof Error ? Promise.reject(stdout) : Promise.resolve({ stdout })),
    }) as unknown as SshSession;

  it("stays known while they are away and after a restart, and follows the newest connection", async () => {
    const origins = new SshOrigins(new SettingsTable(store));
    expect(origins.of("a")).toBeNull();
    await origins.ask("a", session("198.51.100.7 50000 192.0.2.10 22"));
    await origins.ask("a", session(new Error("forbidden")));
    await origins.ask("a", session("nonsense"));
    const expected = { clientAddress: "198.51.100.7", serverPort: 22 };
    expect(origins.of("a")).toEqual(expected);
    expect(new SshOrigins(new SettingsTable(store)).of("a")).toEqual(expected);
    await origins.ask("a", session("198.51.100.8 50000 192.0.2.10 2222"));
    expect(new SshOrigins(new SettingsTable(store)).of("a")).toMatchObject({
      clientAddress: "198.51.100.8",
      serverPort: 2222,
    });
    expect(origins.of("b")).toBeNull();
  });
});
