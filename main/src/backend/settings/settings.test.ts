import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { SettingOrigin, SettingsService } from "@wardline/api/wardline/console/v1/settings";
import { ErrorCode } from "@wardline/domain/errors";
import type { SettingKey, SettingValue } from "@wardline/domain/settings";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../ports.ts";
import { startTestConsole } from "../testing/console.ts";
import { SettingsFiles, type SettingsFilesOptions } from "./settings-files.ts";

let dir: string;
let path: string;
let lockedPath: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wardline-settings-"));
  path = join(dir, "config/wardline/settings.yaml");
  lockedPath = join(dir, "etc/settings.yaml");
  mkdirSync(dirname(lockedPath), { mode: 0o755 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function open(options: Partial<SettingsFilesOptions> = {}): SettingsFiles {
  const lockOwnerId = process.getuid?.() ?? 0;
  const ports = { stateDir: dir, clock: systemClock, logger: silentLogger, isSafeMode: false };
  return new SettingsFiles({ path, lockedPath, lockOwnerId, ...ports, ...options });
}

function write(text: string, to = path): void {
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, text, { mode: 0o644 });
  chmodSync(to, 0o644);
}

const edits = (values: Partial<Record<SettingKey, SettingValue | null>>) =>
  new Map(Object.entries(values)) as Map<SettingKey, SettingValue | null>;
const failing = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error) => error,
  );

describe("SettingsFiles", () => {
  it("begins a file that only its owner reads, and rewrites only the node that changes", async () => {
    const files = open();
    expect(files.snapshot()).toMatchObject({ exists: false, problems: [], facts: [] });
    await files.change(edits({ "display.theme": "dark" }));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    write("# mine\ndisplay:\n  theme: dark # late\nfuture: {a: 1}\n");
    await files.change(edits({ "display.theme": "light", "time.zone": "utc" }));
    expect(readFileSync(path, "utf8")).toBe(
      "# mine\ndisplay:\n  theme: light # late\nfuture: {a: 1}\ntime:\n  zone: utc\n",
    );
    expect(files.snapshot().values).toMatchObject({ "display.theme": "light", "time.zone": "utc" });
    expect(files.snapshot().problems.map(({ code }) => code)).toEqual(["SET201"]);
    expect(readdirSync(dirname(path))).toEqual(["settings.yaml"]);
  });

  it("never writes over a file that it cannot read, and goes on with what counted before", async () => {
    const files = open();
    await files.change(edits({ "display.theme": "light", "display.zoom": 120 }));
    const broken = "display:\n  theme: [light\n";
    write(broken);
    files.look();
    expect(files.snapshot()).toMatchObject({
      isBroken: true,
      values: { "display.theme": "light", "display.zoom": 120 },
    });
    expect(files.snapshot().facts.map(({ origin }) => origin)).toEqual(["kept", "kept"]);
    expect(files.snapshot().problems[0]?.source).toMatchObject({ file: path, line: expect.any(Number) });
    const refusal = await failing(files.change(edits({ "display.theme": "dark" })));
    expect(refusal).toMatchObject({ code: ErrorCode.SETTINGS_BROKEN, diagnostics: [{ source: { file: path } }] });
    expect(readFileSync(path, "utf8")).toBe(broken);
    // Also after a restart.
    expect(open().snapshot().values).toMatchObject({ "display.theme": "light", "display.zoom": 120 });
  });

  it("keeps the broken file beside the new one when the person chooses", async () => {
    const files = open();
    await files.change(edits({ "display.zoom": 120 }));
    write("display: [");
    const movedTo = await files.change(edits({ "display.theme": "dark" }), { replaceBroken: true });
    expect(readFileSync(movedTo, "utf8")).toBe("display: [");
    expect(files.snapshot()).toMatchObject({
      isBroken: false,
      values: { "display.theme": "dark", "display.zoom": 120 },
    });
  });

  it("keeps the value before one that does not fit, and replaces that one only when asked", async () => {
    const files = open();
    await files.change(edits({ "display.theme": "light" }));
    write("display:\n  theme: pink\n");
    files.look();
    expect(files.snapshot().values["display.theme"]).toBe("light");
    await files.change(edits({ "time.zone": "utc" }));
    expect(readFileSync(path, "utf8")).toBe("display:\n  theme: pink\ntime:\n  zone: utc\n");
    expect(await failing(files.change(edits({ "display.theme": "dark" })))).toMatchObject({
      code: ErrorCode.SETTINGS_BROKEN,
    });
    await files.change(edits({ "display.theme": "dark" }), { replaceBroken: true });
    expect(files.snapshot()).toMatchObject({ problems: [], values: { "display.theme": "dark" } });
  });

  it("lets a lock beat the person's value and says where it comes from", async () => {
    write("display:\n  theme: light\n");
    write("# policy of this machine\nsafety:\n  readOnly: true\ndisplay:\n  theme: contrast\n", lockedPath);
    const files = open();
    expect(files.snapshot().values).toMatchObject({ "display.theme": "contrast", "safety.readOnly": true });
    expect(files.snapshot().facts).toContainEqual({
      key: "display.theme",
      origin: "locked",
      file: lockedPath,
      line: 5,
      userValue: "light",
    });
    const refusal = await failing(files.change(edits({ "display.theme": "dark" })));
    expect(refusal).toMatchObject({
      code: ErrorCode.SETTING_LOCKED,
      message: expect.stringContaining(`${lockedPath}, line 5`),
    });
  });

  it.each([
    ["a file that others can write", () => chmodSync(lockedPath, 0o666), {}],
    ["a directory that others can write", () => chmodSync(dirname(lockedPath), 0o777), {}],
    ["a file of somebody else", () => {}, { lockOwnerId: 4_294_000_000 }],
  ])("does not follow locks in %s", (_what, spoil, options) => {
    write("display:\n  theme: contrast\n", lockedPath);
    spoil();
    const { values, problems } = open(options).snapshot();
    expect(values["display.theme"]).toBe("system");
    expect(problems).toMatchObject([{ code: "SET205", severity: "error", source: { file: lockedPath } }]);
  });

  it("neither reads nor writes the person's file in safe mode", async () => {
    write("display:\n  theme: [");
    const files = open({ isSafeMode: true });
    expect(files.snapshot()).toMatchObject({
      isSafeMode: true,
      isBroken: false,
      problems: [],
      values: { "display.theme": "system" },
    });
    expect(await failing(files.change(edits({ "display.theme": "dark" })))).toMatchObject({
      code: ErrorCode.READ_ONLY,
    });
  });

  it("takes nothing from what is no file of text", () => {
    mkdirSync(path, { recursive: true });
    expect(open().snapshot()).toMatchObject({ isBroken: true, problems: [{ code: "SET206" }] });
    rmSync(path, { recursive: true });
    writeFileSync(path, Buffer.from([0x64, 0x3a, 0xff, 0xfe]));
    expect(open().snapshot()).toMatchObject({ isBroken: true, problems: [{ code: "SET206" }] });
  });

  it("follows a file that another process or an editor writes, and one that is a link", async () => {
    const target = join(dir, "dotfiles/settings.yaml");
    write("display:\n  theme: dark\n", target);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
    const files = open();
    const ending = new AbortController();
    const following = files.follow(ending.signal);
    expect(files.snapshot().values["display.theme"]).toBe("dark");
    write("display:\n  theme: light\n", target);
    await expect.poll(() => files.snapshot().values["display.theme"]).toBe("light");
    await files.change(edits({ "display.density": "comfortable" }));
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readFileSync(target, "utf8")).toBe("display:\n  theme: light\n  density: comfortable\n");
    rmSync(target);
    await expect.poll(() => files.snapshot().values["display.theme"]).toBe("system");
    ending.abort();
    await following;
  });

  it("loses no change when two processes change different settings at once", async () => {
    const [one, other] = [open(), open()];
    const changes: Promise<string>[] = [];
    for (let zoom = 60; zoom < 80; zoom++)
      changes.push(
        one.change(edits({ "display.zoom": zoom })),
        other.change(edits({ "notifications.keepDays": zoom - 50 })),
      );
    await Promise.all(changes);
    expect(open().snapshot().values).toMatchObject({ "display.zoom": 79, "notifications.keepDays": 29 });
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  it("leaves the file as it was when it cannot be written", async () => {
    write("display:\n  theme: dark\n");
    // A directory where the file would be put beside: the name of the temporary file is not known, so its place is spoilt.
    const files = open({ path: join(path, "settings.yaml") });
    expect(await failing(files.change(edits({ "display.theme": "light" })))).toMatchObject({
      code: ErrorCode.INTERNAL,
    });
    expect(readFileSync(path, "utf8")).toBe("display:\n  theme: dark\n");
  });
});

describe("SettingsService", () => {
  it("tells every window what one of them changed, and saves a whole text only over the one that was read", async () => {
    const tester = startTestConsole(undefined, { settingsFiles: { path, lockedPath } });
    try {
      const transport = createRouterTransport((router) => tester.backend.routes(router));
      const client = createClient(SettingsService, transport);
      const leaving = new AbortController();
      const stream = client.watchSettings({}, { signal: leaving.signal })[Symbol.asyncIterator]();
      expect((await stream.next()).value.state?.values).toMatchObject({ "display.theme": "system" });
      const { state } = await tester.settings.setSettings({
        values: { "display.theme": "light", "keyboard.bindings": { ship: "F2" } },
      });
      expect(state?.facts).toMatchObject([
        { key: "display.theme", origin: SettingOrigin.USER, line: expect.any(Number) },
        { key: "keyboard.bindings" },
      ]);
      expect((await stream.next()).value.state?.values).toMatchObject({
        "display.theme": "light",
        "keyboard.bindings": { ship: "F2" },
      });

      const file = await client.getSettingsFile({});
      const saved = await client.saveSettingsFile({ text: "display:\n  theme: dark\n", baseDigest: file.digest });
      expect(saved.state?.values).toMatchObject({ "display.theme": "dark" });
      const codeOf = async (work: Promise<unknown>) => failureFromConnectError(await failing(work))?.code;
      expect(await codeOf(client.saveSettingsFile({ text: "", baseDigest: file.digest }))).toBe(
        ErrorCode.REVISION_CONFLICT,
      );
      expect(await codeOf(client.saveSettingsFile({ text: "a: [", baseDigest: saved.digest }))).toBe(
        ErrorCode.SETTINGS_BROKEN,
      );
      expect(await codeOf(client.setSettings({ values: { "display.them": "dark" } }))).toBe(ErrorCode.INVALID_ARGUMENT);
      expect(await codeOf(client.setSettings({ values: { "display.zoom": 7.5 } }))).toBe(ErrorCode.INVALID_ARGUMENT);
      await client.resetSettings({});
      expect(readFileSync(path, "utf8")).not.toContain("dark");
      leaving.abort();
    } finally {
      await tester.close();
    }
  });

  it("makes a console read-only where an administrator says so", async () => {
    write("safety:\n  readOnly: true\n", lockedPath);
    const settingsFiles = { path, lockedPath, lockOwnerId: process.getuid?.() ?? 0 };
    const tester = startTestConsole(undefined, { settingsFiles });
    try {
      expect((await tester.hosts.getSession({})).readOnly).toBe(true);
    } finally {
      await tester.close();
    }
  });
});
