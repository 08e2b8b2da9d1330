import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectRouter } from "@connectrpc/connect";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BrowserHost, startBrowserHost } from "./browser-host.ts";

const GET_SESSION = "/rpc/wardline.console.v1.HostService/GetSession";

let distDir: string;
let host: BrowserHost;
let nowMs = 1_000_000;
let sessionCalls = 0;

const backend = {
  routes(router: ConnectRouter) {
    router.service(HostService, {
      getSession: () => {
        sessionCalls++;
        return { version: "1" };
      },
      async *watchHosts(_request, context) {
        yield { sequence: 1n };
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
    });
  },
};

beforeEach(async () => {
  nowMs = 1_000_000;
  sessionCalls = 0;
  distDir = mkdtempSync(join(tmpdir(), "wardline-dist-"));
  mkdirSync(join(distDir, "assets"));
  writeFileSync(join(distDir, "index.html"), '<meta name="csp-nonce" content="__CSP_NONCE__"><div id="root"></div>');
  writeFileSync(join(distDir, "assets/index-AbCd1234.js"), "console.log(1)");
  writeFileSync(join(distDir, "assets/index-AbCd1234.js.map"), "{}");
  host = await startBrowserHost({ backend, distDir, clock: { nowMs: () => nowMs } });
});

afterEach(async () => {
  await host.close();
  rmSync(distDir, { recursive: true });
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Raw requests: fetch would not let a test lie about Host and Origin. */
function send(path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { port, hostname } = new URL(host.origin);
    const { method = "GET", headers = {}, body } = options;
    const request = httpRequest({ host: hostname, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function logIn(): Promise<string> {
  const answer = await send(host.url.slice(host.origin.length));
  expect(answer.status).toBe(303);
  return (answer.headers["set-cookie"]?.[0] ?? "").split(";")[0] ?? "";
}

async function logInAgain(): Promise<string> {
  const answer = await send(host.createLoginUrl().slice(host.origin.length));
  return (answer.headers["set-cookie"]?.[0] ?? "").split(";")[0] ?? "";
}

function call(headers: Record<string, string>, body = "{}") {
  return send(GET_SESSION, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
}

describe("the way in", () => {
  it("exchanges the token for a session once and leads to a clean address", async () => {
    const answer = await send(host.url.slice(host.origin.length));
    expect(answer.status).toBe(303);
    expect(answer.headers.location).toBe("/");
    expect(answer.headers["set-cookie"]?.[0]).toMatch(
      /^wardline_session_\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const again = await send(host.url.slice(host.origin.length));
    expect(again.status).toBe(403);
    expect(again.body).toContain("This link was used already");
    expect(again.headers["set-cookie"]).toBeUndefined();
  });

  it("refuses a token after ten minutes, and one that it never gave out", async () => {
    nowMs += 10 * 60_000 + 1;
    expect((await send(host.url.slice(host.origin.length))).body).toContain("This link has expired");
    expect((await send("/?token=guess")).body).toContain("This link does not fit");
    expect((await send(host.createLoginUrl().slice(host.origin.length))).status).toBe(303);
  });

  it("shows nothing without a session", async () => {
    for (const path of ["/", "/assets/index-AbCd1234.js", "/nothing"]) {
      const answer = await send(path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.body).toContain("No session in this browser");
    }
  });

  it("lets a browser that was sent here by another page try once more as its own navigation", async () => {
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    expect((await send("/", { headers })).body).toContain('content="0;url=/?continue"');
    expect((await send("/?continue")).status).toBe(401);
  });
});

describe("the page", () => {
  it("is served with a nonce of its own and a policy that allows nothing foreign", async () => {
    const cookie = await logIn();
    const [first, second] = [await send("/", { headers: { cookie } }), await send("/", { headers: { cookie } })];
    const nonce = /content="([^"]+)"/.exec(first.body)?.[1] ?? "";
    expect(nonce).toHaveLength(24);
    expect(second.body).not.toContain(nonce);
    const policy = String(first.headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'; script-src 'self'; ");
    expect(policy).toContain(`'nonce-${nonce}'`);
    expect(policy).not.toMatch(/unsafe|\*|http/);
    expect(first.headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "no-store",
    });
  });

  it("serves the files of the build and no others", async () => {
    const cookie = await logIn();
    const file = await send("/assets/index-AbCd1234.js", { headers: { cookie } });
    expect(file.headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect(file.headers["cache-control"]).toContain("immutable");
    const hostile = [
      "/../../../../etc/passwd",
      "/..%2f..%2f..%2fetc%2fpasswd",
      "/assets/..%5c..%5cetc",
      "/assets/%2e%2e/%2e%2e/etc/passwd",
      "/assets/index-AbCd1234.js%00.html",
      "/assets/index-AbCd1234.js.map",
      "/assets/",
      "/assets",
      "/__proto__",
      "//etc/passwd",
      "/index.html/..",
    ];
    for (const path of hostile) {
      const answer = await send(path, { headers: { cookie } });
      expect([path, answer.body.includes("root:"), answer.body === "{}"]).toEqual([path, false, false]);
      if (answer.status !== 200) expect([404, 421]).toContain(answer.status);
    }
  });
});

describe("calls", () => {
  it("need the session, our origin and our host", async () => {
    const cookie = await logIn();
    const origin = host.origin;
    expect((await call({ cookie, origin })).status).toBe(200);
    expect((await call({ cookie, origin, "sec-fetch-site": "same-origin" })).status).toBe(200);
    expect(sessionCalls).toBe(2);
    const { port } = new URL(origin);
    const refused: [string, number, Record<string, string>][] = [
      ["no session", 401, { origin }],
      ["a wrong session", 401, { origin, cookie: `wardline_session_${port}=guess` }],
      ["no origin", 403, { cookie }],
      ["another site", 403, { cookie, origin: "https://evil.example" }],
      ["another program on this machine", 403, { cookie, origin: "http://127.0.0.1:1" }],
      ["a sandboxed page", 403, { cookie, origin: "null" }],
      ["a cross-site request", 403, { cookie, origin, "sec-fetch-site": "cross-site" }],
      ["a rebound name", 421, { cookie, origin: `http://evil.example:${port}`, host: `evil.example:${port}` }],
      ["a host without our port", 421, { cookie, origin, host: "127.0.0.1" }],
    ];
    for (const [why, status, headers] of refused) {
      expect([why, (await call(headers)).status]).toEqual([why, status]);
    }
    expect(sessionCalls).toBe(2);
  });

  it("are POST only, so that no link or image can make one", async () => {
    const cookie = await logIn();
    const answer = await send(`${GET_SESSION}?encoding=json&message=%7B%7D`, {
      headers: { cookie, origin: host.origin },
    });
    expect(answer.status).toBe(405);
    expect((await send("/", { method: "POST", headers: { cookie, origin: host.origin } })).status).toBe(405);
    expect((await send("/", { method: "OPTIONS", headers: { cookie, origin: host.origin } })).status).toBe(405);
  });

  it("refuse a body that is too large, announced or not", async () => {
    const cookie = await logIn();
    const headers = { cookie, origin: host.origin, "content-type": "application/json" };
    const announced = await send(GET_SESSION, {
      method: "POST",
      headers: { ...headers, "content-length": String(33 * 1024 * 1024), expect: "100-continue" },
    }).catch(() => null);
    if (announced) expect(announced.status).toBe(413);
    const body = `{"x":"${"a".repeat(33 * 1024 * 1024)}"}`;
    const chunked = await send(GET_SESSION, {
      method: "POST",
      headers: { ...headers, "transfer-encoding": "chunked" },
      body,
    }).catch(() => ({ status: 0 }));
    expect(chunked.status).not.toBe(200);
    expect(sessionCalls).toBe(0);
  });
});

describe("streams", () => {
  const watch = (cookie: string) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const { port, hostname } = new URL(host.origin);
      const request = httpRequest(
        {
          host: hostname,
          port,
          path: "/rpc/wardline.console.v1.HostService/WatchHosts",
          method: "POST",
          headers: { cookie, origin: host.origin, "content-type": "application/connect+json" },
          agent: false,
        },
        resolve,
      );
      request.on("error", reject);
      request.end(Buffer.from("\0\0\0\0\u0002{}", "latin1"));
    });

  it("leave one of a browser's six connections free, and come back when a window closes", async () => {
    const cookie = await logIn();
    const open = await Promise.all(Array.from({ length: 5 }, () => watch(cookie)));
    expect(open.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200, 200]);
    const refused = await watch(cookie);
    expect(refused.statusCode).toBe(429);
    expect(String(await refused.toArray())).toContain("too many windows");
    expect((await call({ cookie, origin: host.origin })).status).toBe(200);
    expect((await watch(await logInAgain())).statusCode).toBe(200);
    open.pop()?.destroy();
    await expect.poll(async () => (await watch(cookie)).statusCode).toBe(200);
    for (const response of open) response.destroy();
  });
});

describe("the server", () => {
  it("listens on loopback only", () => {
    expect(host.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it("answers others while clients send nothing", async () => {
    const { port, hostname } = new URL(host.origin);
    const idle = Array.from({ length: 100 }, () => connect({ port: Number(port), host: hostname }));
    try {
      for (const socket of idle) socket.write("POST / HTTP/1.1\r\nHost:");
      expect((await send("/")).status).toBe(401);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });

  it("says that a port is taken", async () => {
    const port = Number(new URL(host.origin).port);
    await expect(startBrowserHost({ backend, distDir, port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
  });

  it("says that the renderer is not built", async () => {
    await expect(startBrowserHost({ backend, distDir: join(distDir, "none") })).rejects.toThrow("are not built");
  });

  it("ends open streams when it closes", async () => {
    const cookie = await logIn();
    const stream = send("/rpc/wardline.console.v1.HostService/WatchHosts", {
      method: "POST",
      headers: { cookie, origin: host.origin, "content-type": "application/connect+json" },
      body: "\0\0\0\0\u0002{}",
    });
    const ended = expect(stream).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await host.close();
    await ended;
  });
});
