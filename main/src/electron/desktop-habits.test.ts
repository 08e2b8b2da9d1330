/** What people expect of a desktop program: links, several windows, a tray, files dragged out, news of versions. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SettingsValues } from "@wardline/domain/settings";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../backend/ports.ts";
import { RendererFiles } from "../browser/renderer-files.ts";
import { linkInArguments, placeOfLink } from "./deep-links.ts";
import { desktopSettingsOf, readDesktopSettings } from "./desktop-settings.ts";
import { readDraggedFile } from "./drag-out.ts";
import { DesktopShell, type ShellOptions } from "./shell.ts";
import { CHANNELS } from "./shell-channels.ts";
import { FakeElectron, type FakeWindow, fakeEvent } from "./testing/fake-electron.ts";
import { isNewerVersion, managingPackager, Updates, updateWords } from "./updates.ts";

let directory: string;
let electron: FakeElectron;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-habits-"));
  mkdirSync(join(directory, "dist"));
  writeFileSync(join(directory, "dist/index.html"), "");
  writeFileSync(join(directory, "web.yaml"), "kind: NetworkPolicy\n");
  electron = new FakeElectron();
});
afterEach(() => rmSync(directory, { recursive: true }));

async function start(over: Partial<ShellOptions> = {}): Promise<void> {
  const shell = new DesktopShell({
    electron: electron.modules(),
    files: new RendererFiles(join(directory, "dist")),
    logger: silentLogger,
    preloadPath: "/app/preload.cjs",
    backendEntryPath: "/app/backend.js",
    stateDir: directory,
    cacheDir: join(directory, "cache"),
    agentSocketPath: "/run/wardline/agent.sock",
    platform: "linux",
    startArguments: [],
    workingDirectory: directory,
    trayIconPath: "/app/icons/32x32.png",
    releases: null,
    managedBy: null,
    ...over,
  });
  await shell.start();
}

/** A message of the page in this window. */
function say(channel: string, payload?: unknown, window: FakeWindow = electron.window, frame = window.contents.frame) {
  electron.ipc.emit(channel, { senderFrame: frame }, payload);
}

const settings = (over: object) =>
  electron.children[0]?.emit("message", { type: "desktop-settings", hasTray: false, hidesOnClose: false, ...over });

describe("links of the desktop", () => {
  it.each([
    ["wardline://flows", "#/flows"],
    ["wardline://flows/", "#/flows"],
    ["WARDLINE://Hosts/web-1", "#/hosts/web-1"],
    ["wardline://policies/policies%2Fweb.yaml?line=12", "#/policies/policies%2Fweb.yaml?line=12"],
    ["wardline://policies/policies/web.yaml?line=12", "#/policies/policies%2Fweb.yaml?line=12"],
    ["wardline://mesh/run%2F1", "#/mesh/run%2F1"],
    ["wardline://policies/web.yaml?version=7", "#/policies/web.yaml?version=7"],
    ["wardline://policies?version=3F2A9C0011AA", "#/policies?version=3f2a9c0011aa"],
    ["wardline://flows/src%3A10.0.0.1%20port%3A443", "#/flows/src%3A10.0.0.1%20port%3A443"],
  ])("%s opens %s", (link, place) => {
    expect(placeOfLink(link)).toBe(place);
  });

  it.each([
    "wardline://apply",
    "wardline://hosts/\ud800",
    "wardline://hosts/web-1?confirm=1",
    "wardline://hosts/web-1#x",
    "wardline://hosts/web-1?version=7",
    "wardline://policies/web.yaml?version=3f2a",
    "wardline://policies/web.yaml?version=7&line=1",
    "wardline://hosts/%00",
    "wardline://hosts/%E0%A4%A",
    "wardline://user@hosts/x",
    "wardline:hosts",
    "https://hosts/web-1",
    "javascript:alert(1)",
    `wardline://hosts/${"x".repeat(5_000)}`,
    "",
  ])("%s opens nothing", (link) => {
    expect(placeOfLink(link)).toBeNull();
  });

  it("never name more than a place, whatever they are made of", () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 300 }),
        fc.constantFrom("", "wardline://hosts/", "wardline://policies/"),
        (text, start) => {
          const place = placeOfLink(start + text);
          expect(
            place === null || /^#\/[a-z]+(\/[^/?#\s<>"]+)?(\?line=\d{1,7}|\?version=[0-9a-f]{1,64})?$/.test(place),
          ).toBe(true);
        },
      ),
    );
  });

  it("open the view in the window that is there, at a first start, from a second one and on a Mac", async () => {
    await start({ startArguments: ["--state-dir=/x", "wardline://hosts/web-1"] });
    expect(electron.window.calls).toEqual(["load app://wardline/#/hosts/web-1"]);
    say(CHANNELS.listening);
    electron.app.emit("second-instance", {}, ["wardline", "wardline://flows"], directory);
    const mac = fakeEvent();
    electron.app.emit("open-url", mac, "wardline://mesh");
    electron.app.emit("open-url", fakeEvent(), "wardline://apply/everything");
    expect(mac.prevented).toBe(true);
    expect(electron.window.contents.sent).toEqual([
      [CHANNELS.navigate, "#/flows"],
      [CHANNELS.navigate, "#/mesh"],
    ]);
    expect(electron.windows).toHaveLength(1);
    expect(linkInArguments(["a.yaml", "--x"])).toBeNull();
  });
});

describe("several windows", () => {
  it("each have their place; files and commands go to the one used last", async () => {
    await start();
    const first = electron.window;
    say(CHANNELS.listening);
    first.emit("close", fakeEvent());
    say(CHANNELS.openWindow, "#/policies/web.yaml");
    const second = electron.window;
    expect(second).not.toBe(first);
    expect(second.calls).toEqual(["load app://wardline/#/policies/web.yaml"]);
    expect([second.options.x, second.options.y]).toEqual([42, 52]);
    expect(second.options.webPreferences).toMatchObject({ sandbox: true, contextIsolation: true });
    say(CHANNELS.listening, undefined, second);
    electron.app.emit("open-file", fakeEvent(), join(directory, "web.yaml"));
    await expect.poll(() => second.contents.sent.length).toBe(1);
    first.emit("focus");
    electron.app.emit("open-file", fakeEvent(), join(directory, "web.yaml"));
    await expect.poll(() => first.contents.sent.length).toBe(1);
    first.emit("closed");
    electron.app.emit("second-instance", {}, ["wardline"], directory);
    expect(second.calls).toContain("focus");
  });

  it("are bounded, and a place that is none opens where the console begins", async () => {
    await start();
    say(CHANNELS.openWindow, "#/policies/<script>?x=1");
    expect(electron.window.calls).toEqual(["load app://wardline/"]);
    say(CHANNELS.openWindow, { place: "x" });
    for (let number = 0; number < 20; number++) say(CHANNELS.openWindow, "");
    expect(electron.windows).toHaveLength(12);
    say(CHANNELS.openWindow, "", electron.window, { url: "app://wardline/" });
    expect(electron.windows).toHaveLength(12);
  });

  it("keep their zoom, within what can be read", async () => {
    await start();
    electron.window.contents.zoomFactor = 1.25;
    electron.window.emit("close", fakeEvent());
    electron = new FakeElectron();
    await start();
    expect(electron.window.options.webPreferences?.zoomFactor).toBe(1.25);
    writeFileSync(join(directory, "window.json"), JSON.stringify({ zoomFactor: 900 }));
    electron = new FakeElectron();
    await start();
    expect(electron.window.options.webPreferences?.zoomFactor).toBe(1);
  });

  it("are printed by the menu", async () => {
    await start();
    const items = electron.menuTemplate.flatMap(({ submenu }) => (Array.isArray(submenu) ? submenu : []));
    items.find(({ label }) => label === "Print…")?.click?.(null as never, undefined, null as never);
    expect(electron.window.contents.sent).toEqual([["(printed)"]]);
  });
});

describe("the tray", () => {
  it("is there when it is asked for, shows and quits, and goes again", async () => {
    await start();
    expect(electron.trays).toEqual([]);
    settings({ hasTray: true });
    const [tray] = electron.trays;
    tray?.click();
    expect(electron.window.calls.at(-1)).toBe("focus");
    const quit = tray?.menu.find(({ label }) => label === "Quit Wardline");
    quit?.click?.(null as never, undefined, null as never);
    expect(electron.calls.at(-1)).toBe("quit");
    settings({ hasTray: false });
    expect(tray?.isGone).toBe(true);
  });

  it("keeps the console when its window is closed, where that was chosen, and only then", async () => {
    await start();
    const close = () => {
      const event = fakeEvent();
      electron.window.emit("close", event);
      return event.prevented;
    };
    expect(close()).toBe(false);
    settings({ hidesOnClose: true });
    expect(close()).toBe(false);
    settings({ hasTray: true, hidesOnClose: true });
    expect(close()).toBe(true);
    expect(electron.window.calls.at(-1)).toBe("hide");
    electron.app.emit("window-all-closed");
    expect(electron.calls).not.toContain("quit");
    electron.app.emit("before-quit", fakeEvent());
    expect(close()).toBe(false);
  });

  it("takes no settings from what is none", async () => {
    await start();
    for (const message of [null, {}, { type: "desktop-settings", hasTray: "yes", hidesOnClose: 1 }, "desktop-settings"])
      electron.children[0]?.emit("message", message);
    expect(electron.trays).toEqual([]);
  });
});

describe("files dragged out", () => {
  it("are written for this account only, and gone at the end", async () => {
    await start();
    say(CHANNELS.dragOut, { name: "web.yaml", text: "kind: NetworkPolicy\n" });
    const [path = ""] = electron.window.contents.dragged;
    expect(readFileSync(path, "utf8")).toBe("kind: NetworkPolicy\n");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (let number = 0; number < 9; number++) say(CHANNELS.dragOut, { name: "a.yaml", text: String(number) });
    expect(electron.window.contents.dragged.map((each) => existsSync(each)).filter(Boolean)).toHaveLength(8);
    electron.app.emit("before-quit", fakeEvent());
    expect(electron.window.contents.dragged.some((each) => existsSync(each))).toBe(false);
  });

  it("that cannot be written are not dragged, and nothing else happens", async () => {
    writeFileSync(join(directory, "file"), "");
    await start({ cacheDir: join(directory, "file") });
    say(CHANNELS.dragOut, { name: "web.yaml", text: "" });
    expect(electron.window.contents.dragged).toEqual([]);
    electron.app.emit("before-quit", fakeEvent());
  });

  it("are removed by the next start when the program was killed", async () => {
    await start();
    say(CHANNELS.dragOut, { name: "web.yaml", text: "" });
    const [path = ""] = electron.window.contents.dragged;
    expect(existsSync(path)).toBe(true);
    electron = new FakeElectron();
    electron.hasLock = false;
    await start();
    expect(existsSync(path)).toBe(true);
    electron = new FakeElectron();
    await start();
    expect(existsSync(path)).toBe(false);
  });

  it.each([
    [{ name: "../../etc/cron.d/x.yaml", text: "" }],
    [{ name: "x.desktop", text: "" }],
    [{ name: ".profile.yaml", text: "" }],
    [{ name: "a.yaml\u0000.sh", text: "" }],
    [{ name: "a.yaml", text: "x".repeat(4 * 1024 * 1024 + 1) }],
    [{ name: `${"網".repeat(100)}.yaml`, text: "" }],
    [{ name: "a.yaml", text: 7 }],
    [null],
    ["a.yaml"],
  ])("are none: %j", async (message) => {
    expect(readDraggedFile(message)).toBeNull();
    await start();
    say(CHANNELS.dragOut, message);
    say(CHANNELS.dragOut, { name: "a.yaml", text: "" }, electron.window, { url: "app://wardline/" });
    expect(electron.window.contents.dragged).toEqual([]);
  });
});

describe("news of versions", () => {
  it.each([
    ["1.2.4", "1.2.3", true],
    ["1.10.0", "1.9.9", true],
    ["1.2.3", "1.2.3", false],
    ["1.2.3-beta.2", "1.2.3", false],
    ["1.2.3", "1.2.3-beta.2", true],
    ["1.2.3-beta.11", "1.2.3-beta.2", true],
    ["1.2.3-beta.x", "1.2.3-beta.2", true],
    ["v9", "1.2.3", false],
    ["9.9.9; rm -rf /", "1.2.3", false],
  ])("%s after %s: %s", (candidate, current, isNewer) => {
    expect(isNewerVersion(candidate, current)).toBe(isNewer);
  });

  const updates = (over: Partial<ConstructorParameters<typeof Updates>[0]> = {}) => {
    const told: string[] = [];
    const made = new Updates({
      ...{ version: "1.2.3", source: null, managedBy: null, logger: silentLogger, nowMs: () => 5 },
      onNewer: ({ version }) => told.push(version),
      ...over,
    });
    return { made, told };
  };

  it("are told once, bounded, and nothing is fetched", async () => {
    const { made, told } = updates({
      source: { newest: async () => ({ version: "1.3.0", notes: "n".repeat(50_000) }) },
    });
    expect(made.state).toEqual({ kind: "off" });
    const state = await made.check();
    await made.check();
    expect(state.kind === "newer" && state.release.notes.length).toBe(20_000);
    expect(told).toEqual(["1.3.0"]);
  });

  it("that are not to be had say why", async () => {
    const nowhere = updates().made;
    nowhere.set("notify");
    expect([nowhere.state, await nowhere.check()]).toEqual([{ kind: "nowhere" }, { kind: "nowhere" }]);
    expect(updateWords(nowhere.state).message).toBe("This build does not look for newer versions.");
    const { made } = updates({ source: { newest: async () => Promise.reject(new Error("no way there")) } });
    expect(await made.check()).toEqual({ kind: "unknown", reason: "no way there" });
    expect(await updates({ source: { newest: async () => null } }).made.check()).toEqual({
      kind: "current",
      checkedAtMs: 5,
    });
  });

  it("are left to the package manager that installed the program", async () => {
    expect(managingPackager("/opt/Wardline/wardline-console", (path) => path.includes("dpkg/info"))).toBe("apt");
    expect(managingPackager("/opt/Wardline/wardline-console", (path) => path === "/usr/bin/rpm")).toBe("dnf");
    expect(managingPackager("/home/a/Wardline.AppImage", () => true)).toBeNull();
    const { made } = updates({ managedBy: "apt", source: { newest: async () => Promise.reject(new Error("asked")) } });
    made.set("notify");
    expect(await made.check()).toEqual({ kind: "managed", by: "apt" });
  });

  it("are asked for in the menu", async () => {
    await start({ managedBy: "apt" });
    settings({ updates: "notify" });
    const items = electron.menuTemplate.flatMap(({ submenu }) => (Array.isArray(submenu) ? submenu : []));
    items.find(({ label }) => label === "Look for a newer version…")?.click?.(null as never, undefined, null as never);
    await expect.poll(() => electron.said).toEqual(["apt keeps Wardline up to date. Ask apt for a newer version."]);
  });
});

describe("settings of the desktop", () => {
  it("come from the backend's process as the shell reads them", () => {
    const values = { "desktop.tray": true, "desktop.closeToTray": true, "desktop.updates": "notify" };
    expect(readDesktopSettings(desktopSettingsOf(values as unknown as SettingsValues))).toEqual({
      hasTray: true,
      hidesOnClose: true,
      updates: "notify",
    });
  });
});
