import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../backend/ports.ts";
import { RendererFiles } from "../browser/renderer-files.ts";
import { Notifier, notifyThrough } from "./notifications.ts";
import { createSecrets } from "./secrets.ts";
import { DesktopShell, type ShellOptions } from "./shell.ts";
import { CHANNELS } from "./shell-channels.ts";
import { FakeElectron, fakeEvent } from "./testing/fake-electron.ts";

let directory: string;
let electron: FakeElectron;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-shell-"));
  mkdirSync(join(directory, "dist"));
  writeFileSync(join(directory, "dist/index.html"), "<p>__CSP_NONCE__</p>");
  writeFileSync(join(directory, "dist/app.js"), "1");
  writeFileSync(join(directory, "web.yaml"), "kind: NetworkPolicy\n");
  electron = new FakeElectron();
});
afterEach(() => rmSync(directory, { recursive: true }));

async function start(over: Partial<ShellOptions> = {}) {
  const shell = new DesktopShell({
    electron: electron.modules(),
    files: new RendererFiles(join(directory, "dist")),
    logger: silentLogger,
    preloadPath: "/app/preload.cjs",
    backendEntryPath: "/app/backend.js",
    stateDir: directory,
    cacheDir: "/cache",
    agentSocketPath: "/run/wardline/agent.sock",
    platform: "linux",
    startArguments: [],
    workingDirectory: directory,
    trayIconPath: "/app/icons/32x32.png",
    releases: null,
    managedBy: null,
    ...over,
  });
  return shell.start();
}

function page(path: string, init?: RequestInit): Promise<Response> {
  const handler = electron.session.schemes.get("app");
  if (!handler) throw new Error("no handler for app://");
  return handler(
    Object.defineProperty(new Request(`http://wardline${path}`, init), "url", { value: `app://wardline${path}` }),
  );
}

/** The page says that it listens; `frame` is the one that says so. */
function listen(frame: { url: string } = electron.window.contents.frame) {
  electron.ipc.emit(CHANNELS.listening, { senderFrame: frame });
}

const deliveries = () => electron.window.contents.sent.filter(([channel]) => channel === CHANNELS.filesOpened);

describe("start", () => {
  it("prepares everything before the window opens on the app's own page", async () => {
    expect(await start()).toBe(true);
    expect(electron.calls).toEqual([
      `setPath userData ${directory}/desktop`,
      "setPath sessionData /cache/desktop",
      "enableSandbox",
      "schemes app standard,secure,supportFetchAPI,stream",
      "ready",
      `fork /app/backend.js ${directory} /run/wardline/agent.sock`,
    ]);
    expect(electron.window.calls).toEqual(["load app://wardline/"]);
    expect(electron.window.options.webPreferences).toMatchObject({
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      webviewTag: false,
    });
  });

  it("leaves the stage to the instance that runs already", async () => {
    electron.hasLock = false;
    expect(await start()).toBe(false);
    expect(electron.calls).toEqual(["quit"]);
    expect(electron.windows).toEqual([]);
  });

  it("tells why the backend cannot run, and quits", async () => {
    await start();
    electron.children[0]?.emit("message", { type: "failed", message: "The database is newer.", hint: "Update." });
    expect(electron.errors).toEqual(["Wardline cannot start: The database is newer.\n\nUpdate."]);
    expect(electron.calls.at(-1)).toBe("quit");
    electron.children[0]?.emit("exit", 1);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(electron.children).toHaveLength(1);
  });

  it("starts the backend again when it ends by itself", async () => {
    await start();
    const call = page("/rpc/x", { method: "POST", body: "{}" });
    await expect.poll(() => electron.children[0]?.posted.length).toBe(1);
    electron.children[0]?.emit("exit", 1);
    expect((await call).status).toBe(503);
    await expect.poll(() => electron.children.length).toBe(2);
  });

  it("lets the backend close before it quits", async () => {
    await start();
    const event = fakeEvent();
    electron.app.emit("before-quit", event);
    expect(event.prevented).toBe(true);
    expect(electron.children[0]?.posted).toEqual([{ type: "close" }]);
    electron.children[0]?.emit("exit", 0);
    await expect.poll(() => electron.calls.at(-1)).toBe("quit");
    const second = fakeEvent();
    electron.app.emit("before-quit", second);
    expect(second.prevented).toBe(false);
    expect(electron.children).toHaveLength(1);
  });
});

describe("notifications", () => {
  const notice = {
    type: "notify",
    notification: 1,
    title: "high: findings on web-1",
    body: "<b>",
    tag: "t",
    isUrgent: true,
  };

  it("are shown by the desktop, and the backend is told; a click shows the window", async () => {
    await start();
    const [child] = electron.children;
    child?.emit("message", notice);
    expect(electron.notifications.map(({ options }) => options)).toEqual([
      { title: "high: findings on web-1", body: "<b>", urgency: "critical" },
    ]);
    expect(child?.posted).toEqual([{ type: "notified", notification: 1, problem: "" }]);
    electron.notifications[0]?.onClick();
    expect(electron.window.calls).toContain("focus");
  });

  it("settle in the backend as the shell says", async () => {
    const listeners: ((message: unknown) => void)[][] = [[], []];
    const port = (mine: number) => ({
      post: (message: unknown) => listeners[1 - mine]?.forEach((listener) => void listener(message)),
      onFrame: (listener: (message: unknown) => void) => void listeners[mine]?.push(listener),
    });
    const { notifications } = electron.modules();
    new Notifier({ notifications, logger: silentLogger, onClick: () => {} }).serve(port(0));
    const notify = notifyThrough(port(1));
    await notify({ title: "a", body: "b", tag: "t", isUrgent: false });
    electron.showsNotifications = false;
    await expect(notify({ title: "a", body: "b", tag: "t", isUrgent: false })).rejects.toThrow(
      "shows no notifications",
    );
    expect(electron.notifications).toHaveLength(1);
  });

  it("that are none, too many, or cannot be shown are said to be so", async () => {
    await start();
    const [child] = electron.children;
    child?.emit("message", { ...notice, title: 7 });
    electron.showsNotifications = false;
    child?.emit("message", notice);
    electron.showsNotifications = true;
    for (let number = 0; number < 31; number++) child?.emit("message", { ...notice, notification: number });
    const problems = ((child?.posted ?? []) as { problem: string }[]).map(({ problem }) => problem);
    expect(problems.slice(0, 2)).toEqual(["it is no notification", "this desktop shows no notifications"]);
    expect(problems.at(-1)).toBe("there were too many in the last minute");
    expect(electron.notifications).toHaveLength(30);
  });
});

describe("what the page may not do", () => {
  beforeEach(() => start());

  it("gets no permission and no device", () => {
    const answers: boolean[] = [];
    for (const permission of ["notifications", "media", "clipboard-read", "openExternal"]) {
      electron.session.requestHandler?.(
        null as never,
        permission as never,
        (granted) => answers.push(granted),
        null as never,
      );
      answers.push(electron.session.checkHandler?.(null, permission as never, "app://wardline", null as never) ?? true);
    }
    answers.push(electron.session.deviceHandler?.(null as never) ?? true);
    expect(answers).toEqual(new Array(9).fill(false));
    const download = fakeEvent();
    electron.session.emit("will-download", download);
    expect(download.prevented).toBe(true);
  });

  it("may copy a text and have saved what it made itself, and nothing of others", () => {
    const mayCopy = (origin: string) =>
      electron.session.checkHandler?.(null, "clipboard-sanitized-write", origin, null as never);
    expect([mayCopy("app://wardline/"), mayCopy("app://other/"), mayCopy("https://example.com/")]).toEqual([
      true,
      false,
      false,
    ]);
    const asked: boolean[] = [];
    for (const url of ["app://wardline/index.html", "https://example.com/"]) {
      const contents = { getURL: () => url } as never;
      electron.session.requestHandler?.(contents, "clipboard-sanitized-write", (may) => asked.push(may), null as never);
    }
    expect(asked).toEqual([true, false]);
    const prevented = [
      ...["blob:app://wardline/1-2", "blob:https://example.com/1", "blob:app://wardline.evil/1"],
      ...["https://example.com/x", "app://wardline/assets/index.js"],
    ].map((url) => {
      const download = fakeEvent();
      electron.session.emit("will-download", download, { getURL: () => url });
      return download.prevented;
    });
    expect(prevented).toEqual([false, true, true, true, true]);
  });

  it.each([
    ["app://wardline/assets/index.js", true],
    ["devtools://devtools/bundled/x.html", true],
    ["app://other/", false],
    ["https://example.com/", false],
    ["http://127.0.0.1:9/", false],
    ["file:///etc/passwd", false],
    ["app://wardline.evil/", false],
    ["blob:app://wardline/1-2", true],
    ["blob:https://example.com/1-2", false],
    ["data:text/html,x", false],
  ])("reaches only its own files: %s", (url, allowed) => {
    expect(electron.session.lets(url)).toBe(allowed);
  });

  it("stays where it is and opens no window", () => {
    const { contents } = electron.window;
    electron.app.emit("web-contents-created", {}, contents.part());
    for (const name of ["will-navigate", "will-frame-navigate", "will-redirect"]) {
      const away = fakeEvent("https://evil.example/");
      contents.emit(name, away);
      const home = fakeEvent("app://wardline/flows");
      contents.emit(name, home);
      expect([name, away.prevented, home.prevented]).toEqual([name, true, false]);
    }
    const webview = fakeEvent();
    contents.emit("will-attach-webview", webview);
    expect(webview.prevented).toBe(true);
    const open = (url: string) => contents.openHandler?.({ url } as never).action;
    const urls = [
      "https://kubernetes.io/docs/concepts/",
      "http://kubernetes.io/",
      "https://kubernetes.io.evil.example/",
      "https://user@kubernetes.io/",
      "https://kubernetes.io:444/",
      "file:///bin/sh",
      "javascript:alert(1)",
    ];
    expect(urls.map(open)).toEqual(new Array(urls.length).fill("deny"));
    expect(electron.opened).toEqual(["https://kubernetes.io/docs/concepts/"]);
  });
});

describe("what the page says", () => {
  it("on a channel that is none is written down and does nothing", async () => {
    const warned: unknown[] = [];
    await start({ logger: { ...silentLogger, warn: (details: object) => void warned.push(details) } });
    const { contents } = electron.window;
    electron.app.emit("web-contents-created", {}, contents.part());
    contents.emit("ipc-message", {}, CHANNELS.listening);
    contents.emit("ipc-message", {}, "shell:execute", "rm");
    expect(warned).toEqual([{ channel: "shell:execute" }]);
  });
});

describe("app://", () => {
  beforeEach(() => start());

  it("serves the build with a nonce and a strict policy", async () => {
    const index = await page("/");
    const nonce = /<p>(.+)<\/p>/.exec(await index.text())?.[1];
    expect(index.headers.get("content-security-policy")).toContain(
      `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'`,
    );
    expect(await (await page("/app.js")).text()).toBe("1");
    expect((await page("/app.js")).headers.get("x-content-type-options")).toBe("nosniff");
    for (const path of ["/../web.yaml", "/%2e%2e/web.yaml", "/nothing"]) expect((await page(path)).status).toBe(404);
    expect((await page("/", { method: "POST", body: "" })).status).toBe(405);
  });

  it("passes calls to the backend process, and only those of its own page", async () => {
    const call = page("/rpc/wardline.console.v1.HostService/GetSession", { method: "POST", body: "{}" });
    await expect.poll(() => electron.children[0]?.posted.length).toBe(1);
    expect(electron.children[0]?.posted[0]).toMatchObject({
      type: "request",
      id: 1,
      method: "POST",
      path: "/wardline.console.v1.HostService/GetSession",
    });
    electron.children[0]?.emit("message", {
      type: "head",
      id: 1,
      status: 200,
      headers: [["content-type", "application/json"]],
    });
    electron.children[0]?.emit("message", { type: "chunk", id: 1, data: new TextEncoder().encode('{"version":"1"}') });
    electron.children[0]?.emit("message", { type: "end", id: 1 });
    expect(await (await call).json()).toEqual({ version: "1" });
    expect((await page("/rpc/x")).status).toBe(405);
    const foreign = await page("/rpc/x", { method: "POST", body: "", headers: { origin: "https://evil.example" } });
    expect(foreign.status).toBe(403);
  });
});

describe("files from the desktop", () => {
  it("reach the page once it listens, by name and content only", async () => {
    await start({ startArguments: ["--state-dir=/x", "web.yaml", "readme.txt", "https://evil/x.yaml"] });
    expect(deliveries()).toEqual([]);
    listen();
    expect(deliveries()).toEqual([
      [CHANNELS.filesOpened, [{ path: "web.yaml", content: new Uint8Array(Buffer.from("kind: NetworkPolicy\n")) }]],
    ]);
    listen();
    expect(deliveries()).toHaveLength(1);
  });

  it("come from a second start, from open-file and from the dialog", async () => {
    await start();
    listen();
    electron.window.minimized = true;
    electron.app.emit("second-instance", {}, ["wardline", "web.yaml"], directory);
    await expect.poll(() => deliveries().length).toBe(1);
    expect(electron.window.calls).toEqual(["load app://wardline/", "restore", "show", "focus"]);
    electron.app.emit("open-file", fakeEvent(), join(directory, "web.yaml"));
    await expect.poll(() => deliveries().length).toBe(2);
    electron.chosenFiles = [join(directory, "web.yaml")];
    electron.ipc.emit(CHANNELS.chooseFiles, { senderFrame: electron.window.contents.frame });
    await expect.poll(() => deliveries().length).toBe(3);
  });

  it("are not given to a foreign frame, nor read beyond a bound", async () => {
    await start({ startArguments: ["web.yaml"] });
    listen({ url: "app://wardline/" });
    listen({ url: "https://evil.example/" });
    electron.ipc.emit(CHANNELS.listening, { senderFrame: null });
    expect(deliveries()).toEqual([]);
    writeFileSync(join(directory, "huge.yaml"), Buffer.alloc(5 * 1024 * 1024));
    mkdirSync(join(directory, "folder.yaml"));
    electron.app.emit("second-instance", {}, ["wardline", "huge.yaml", "folder.yaml", "none.yaml"], directory);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(deliveries()).toEqual([]);
    listen();
    // Those that were read by now come together, others when they are.
    const delivered = () => {
      const files = deliveries().flatMap(([, some]) => some as { path: string; content: Uint8Array }[]);
      return files.map(({ path, content }) => [path, content.length]);
    };
    await expect.poll(delivered).toEqual([
      ["web.yaml", 20],
      ["huge.yaml", 1024 * 1024 + 1],
    ]);
  });

  it("wait when the page loads again", async () => {
    await start();
    listen();
    electron.window.contents.emit("did-start-navigation", { isMainFrame: true, isSameDocument: false });
    electron.app.emit("open-file", fakeEvent(), join(directory, "web.yaml"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(deliveries()).toEqual([]);
    await expect
      .poll(() => {
        listen();
        return deliveries().length;
      })
      .toBe(1);
  });
});

describe("the window", () => {
  it("comes back where it was, when that still shows", async () => {
    await start();
    electron.window.emit("close");
    expect(JSON.parse(readFileSync(join(directory, "window.json"), "utf8"))).toEqual({
      bounds: { x: 10, y: 20, width: 1000, height: 700 },
      isMaximized: false,
      zoomFactor: 1,
    });
    electron = new FakeElectron();
    await start();
    expect(electron.window.options).toMatchObject({ x: 10, y: 20, width: 1000, height: 700 });
    electron = new FakeElectron();
    electron.workAreas = [{ x: 5000, y: 0, width: 100, height: 100 }];
    await start();
    expect(electron.window.options.x).toBeUndefined();
    writeFileSync(join(directory, "window.json"), '{"bounds":{"x":"a"}');
    electron = new FakeElectron();
    await start();
    expect(electron.window.options).toMatchObject({ width: 1440, height: 900 });
  });

  it("has a menu whose commands reach the page", async () => {
    await start();
    const items = electron.menuTemplate.flatMap(({ submenu }) => (Array.isArray(submenu) ? submenu : []));
    const palette = items.find(({ label }) => label === "Ask or go…");
    palette?.click?.(null as never, undefined, null as never);
    expect(electron.window.contents.sent).toEqual([[CHANNELS.command, "open-palette"]]);
    const keys = items.map(({ accelerator }) => accelerator).filter((key) => key !== undefined);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("secrets", () => {
  it("go through the keyring, and say when there is none", async () => {
    const secrets = createSecrets(electron.modules().safeStorage, "linux");
    expect(await secrets.protection()).toBe("keyring");
    expect(await secrets.decrypt(await secrets.encrypt("pass"))).toBe("pass");
    electron.keyring = "basic_text";
    expect(await secrets.protection()).toBe("plain");
    electron.hasKeyring = false;
    expect(await secrets.protection()).toBe("none");
    await expect(secrets.encrypt("pass")).rejects.toThrow("no keyring");
  });
});
