import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, describe, expect, it } from "vitest";
import type { ReceiverOf } from "../receivers.ts";
import { attemptOf, testCertificate } from "../testing/messages.ts";
import { alertsUrlOf } from "./alertmanager.ts";
import { addressProblem, readUrl, resolveDestination } from "./destination.ts";
import { isSignatureValid, SIGNATURE_HEADER, signatureOf } from "./signature.ts";
import { type HttpDelivery, postWebhook } from "./webhook.ts";

const certificate = testCertificate();
const noCertificate = certificate === null ? "no openssl to make a certificate" : null;
const servers: { close(): unknown; closeAllConnections(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Received {
  readonly request: IncomingMessage;
  readonly body: string;
}

async function serve(answer: (response: ServerResponse, request: IncomingMessage) => void, tls = false) {
  const received: Received[] = [];
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      received.push({ request, body });
      answer(response, request);
    });
  };
  const server: Server = tls && certificate ? createTlsServer(certificate, onRequest) : createServer(onRequest);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { received, port: (server.address() as AddressInfo).port };
}

function http(change: Partial<HttpDelivery> = {}): HttpDelivery {
  return {
    allowedUrls: () => [],
    resolve: async () => ["127.0.0.1"],
    limits: { connectMs: 2_000, answerMs: 400, totalMs: 3_000 },
    nowMs: () => 1_700_000_000_000,
    ...change,
  };
}

function hook(url: string, allowLocal = true): ReceiverOf<"webhook"> {
  return { name: "hook", kind: "webhook", url, allowLocal };
}

describe("a webhook", () => {
  it("gets signed JSON that its owner can verify", async () => {
    const { received, port } = await serve((response) => response.writeHead(204).end());
    const attempt = attemptOf({}, "s3cret");
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/in?x=1`), attempt, http());
    expect(outcome).toMatchObject({ result: "accepted", detail: expect.stringMatching(/^HTTP 204 in \d+ ms$/) });
    const [{ request, body } = {} as Received] = received;
    expect(request.url).toBe("/in?x=1");
    expect(request.headers["wardline-message-id"]).toBe("0123456789abcdef01234567");
    expect(JSON.parse(body)).toMatchObject({
      version: 1,
      kind: "firing",
      firingCount: 1,
      firing: [{ host: "web-1", endedAt: null }],
    });
    const header = String(request.headers[SIGNATURE_HEADER.toLowerCase()]);
    expect(isSignatureValid(header, body, "s3cret", 1_700_000_100)).toBe(true);
    expect(isSignatureValid(header, `${body} `, "s3cret", 1_700_000_100)).toBe(false);
    expect(isSignatureValid(header, body, "other", 1_700_000_100)).toBe(false);
    expect(isSignatureValid(header, body, "s3cret", 1_700_000_301)).toBe(false);
    // As `printf '1700000000.{}' | openssl dgst -sha256 -hmac s3cret` says.
    expect(signatureOf("{}", "s3cret", 1_700_000_000)).toBe(
      "t=1700000000,v1=97926816e98fbb41ccb1673225ff29a2f35369099990e1b1561651e7bd097ebf",
    );
    expect(attempt.steps.join("\n")).toContain("127.0.0.1");
  });

  it("can be verified as the documentation says", async () => {
    const page = readFileSync(new URL("../../../../../docs/alerts.md", import.meta.url), "utf8");
    const [, code = ""] = /```js\n(.*?)```/s.exec(page) ?? [];
    const { isFromWardline } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
      isFromWardline: (header: string, body: string, secret: string, nowSeconds: number) => boolean;
    };
    const header = signatureOf('{"a":1}', "s3cret", 1_700_000_000);
    expect(isFromWardline(header, '{"a":1}', "s3cret", 1_700_000_100)).toBe(true);
    expect(isFromWardline(header, '{"a":2}', "s3cret", 1_700_000_100)).toBe(false);
    expect(isFromWardline(header, '{"a":1}', "other", 1_700_000_100)).toBe(false);
    expect(isFromWardline(header, '{"a":1}', "s3cret", 1_700_000_400)).toBe(false);
    expect(isFromWardline("nonsense", '{"a":1}', "s3cret", 1_700_000_100)).toBe(false);
  });

  it.each([
    [500, "retry"],
    [503, "retry"],
    [429, "retry"],
    [408, "retry"],
    [400, "failed"],
    [404, "failed"],
    [410, "failed"],
  ])("that answers %d: %s", async (status, result) => {
    const { port } = await serve((response) =>
      response.writeHead(status, { "Retry-After": "120" }).end("<b>no\u202e</b>"),
    );
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/`), attemptOf(), http());
    expect(outcome).toMatchObject({ result, retryAfterMs: 120_000 });
    expect(outcome.detail).toMatch(new RegExp(`^HTTP ${status} in \\d+ ms: <b>no </b>$`));
    expect(outcome.failure?.code).toBe(ErrorCode.DELIVERY_FAILED);
  });

  it("that sends the message on is not followed, wherever it points", async () => {
    const inner = await serve((response) => response.end("secret"));
    const outer = await serve((response) =>
      response.writeHead(307, { Location: `http://127.0.0.1:${inner.port}/` }).end(),
    );
    const outcome = await postWebhook(hook(`http://127.0.0.1:${outer.port}/`), attemptOf(), http());
    expect(outcome).toMatchObject({ result: "failed", detail: expect.stringContaining("redirects are not followed") });
    expect(inner.received).toEqual([]);
  });

  it("that never answers is given up, and tried again later", async () => {
    const { port } = await serve(() => {});
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/`), attemptOf(), http());
    expect(outcome).toMatchObject({ result: "retry", detail: "Connected, but no answer within 0.4 s." });
  });

  it("that answers without end costs no more than the beginning", async () => {
    let written = 0;
    const { port } = await serve((response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(64 * 1024, "x");
      const pour = () => {
        while (!response.destroyed && written < 1024 ** 3) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", pour);
        }
      };
      pour();
    });
    const attempt = attemptOf();
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/`), attempt, http());
    expect(outcome.result).toBe("accepted");
    expect(attempt.steps.at(-1)).toContain("the rest was not read");
    expect(written).toBeLessThan(32 * 1024 ** 2);
  });

  it("that drips its answer is given up altogether", async () => {
    const { port } = await serve((response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write("."), 20);
      response.on("close", () => clearInterval(timer));
    });
    const limits = { connectMs: 2_000, answerMs: 5_000, totalMs: 500 };
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/`), attemptOf(), http({ limits }));
    expect(outcome).toMatchObject({ result: "retry", detail: "It took longer than 0.5 s altogether." });
  });

  it("where nobody listens is tried again", async () => {
    const { port } = await serve((response) => response.end());
    for (const server of servers.splice(0)) server.close();
    await expect.poll(() => isClosed(port)).toBe(true);
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/`), attemptOf(), http());
    expect(outcome).toMatchObject({ result: "retry", detail: "Nobody listens there (connection refused)." });
  });

  it("does not show the secret when it is sent back", async () => {
    const { port } = await serve((response) => response.writeHead(400).end("bad s3cret-value"));
    const outcome = await postWebhook(hook(`http://127.0.0.1:${port}/`), attemptOf({}, "s3cret-value"), http());
    expect(JSON.stringify(outcome)).not.toContain("s3cret-value");
    expect(outcome.detail).toContain("bad …");
  });
});

describe.skipIf(noCertificate !== null)(`a webhook over TLS (${noCertificate ?? "openssl"})`, () => {
  it("is believed for its name only, and only by a known authority", async () => {
    const { received, port } = await serve((response) => response.end(), true);
    const authorities = certificate?.cert;
    const send = (name: string, change: Partial<HttpDelivery>) =>
      postWebhook(hook(`https://${name}:${port}/`), attemptOf(), http(change));
    expect(await send("hooks.test", { authorities })).toMatchObject({ result: "accepted" });
    expect((await send("hooks.test", {})).detail).toContain("certificate is not accepted");
    expect((await send("other.test", { authorities })).detail).toContain("certificate is not accepted");
    expect(received).toHaveLength(1);
  });
});

describe("where messages may go", () => {
  it.each([
    ...[
      "127.0.0.1",
      "127.255.255.254",
      "10.0.0.1",
      "172.16.0.1",
      "192.168.1.1",
      "169.254.1.1",
      "100.64.0.1",
      "0.0.0.0",
    ],
    ...[
      "224.0.0.1",
      "255.255.255.255",
      "192.0.2.1",
      "198.18.0.1",
      "240.0.0.1",
      "::1",
      "::",
      "fe80::1",
      "fc00::1",
      "fd12::1",
    ],
    ...[
      "ff02::1",
      "::ffff:127.0.0.1",
      "::ffff:10.0.0.1",
      "::ffff:7f00:1",
      "64:ff9b::7f00:1",
      "64:ff9b::a9fe:a9fe",
      "2002:7f00:1::",
    ],
    ...[
      "2001:0:53aa:64c::1",
      "2001:db8::1",
      "64:ff9b:1::1",
      "169.254.169.254",
      "fd00:ec2::254",
      "168.63.129.16",
      "100.100.100.200",
    ],
    ...["::127.0.0.1", "0:0:0:0:0:ffff:0a00:0001", "fec0::1", "not-an-address"],
  ])("not to %s", (address) => {
    expect(addressProblem(address, false)).not.toBeNull();
  });

  it.each(["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])(
    "to %s",
    (address) => {
      expect(addressProblem(address, false)).toBeNull();
    },
  );

  it("to local ones where that is allowed, but never to where clouds keep credentials or to many", () => {
    for (const address of ["127.0.0.1", "10.0.0.1", "::1", "fd12::1", "169.254.1.1", "100.64.0.1", "::ffff:10.0.0.1"]) {
      expect(addressProblem(address, true)).toBeNull();
    }
    for (const address of [
      "169.254.169.254",
      "::ffff:169.254.169.254",
      "fd00:ec2::254",
      "224.0.0.1",
      "0.0.0.0",
      "::",
    ]) {
      expect(addressProblem(address, true)).not.toBeNull();
    }
  });

  it.each([
    ["ftp://hooks.test/", ErrorCode.INVALID_ARGUMENT],
    ["hooks.test", ErrorCode.INVALID_ARGUMENT],
    ["https://user:pass@hooks.test/", ErrorCode.INVALID_ARGUMENT],
    ["http://hooks.test/", ErrorCode.DESTINATION_REFUSED],
    ["https://127.1/", ErrorCode.DESTINATION_REFUSED],
    ["https://2130706433/", ErrorCode.DESTINATION_REFUSED],
    ["https://0x7f.1/", ErrorCode.DESTINATION_REFUSED],
    ["https://[::ffff:127.0.0.1]/", ErrorCode.DESTINATION_REFUSED],
    ["https://169.254.169.254/latest/", ErrorCode.DESTINATION_REFUSED],
  ])("not by the URL %s", (url, code) => {
    expect(() => readUrl(url, { allowLocal: false, allowedUrls: [] })).toThrow(expect.objectContaining({ code }));
  });

  it("only below the allowed URLs", () => {
    const rules = { allowLocal: false, allowedUrls: ["https://hooks.test/services"] };
    for (const url of ["https://hooks.test/services", "https://hooks.test/services/a"])
      expect(readUrl(url, rules).href).toBe(url);
    for (const url of [
      "https://hooks.test/servicesx",
      "https://hooks.test.evil/services",
      "https://hooks.test:444/services",
      "https://hooks.test/services/../x",
    ]) {
      expect(() => readUrl(url, rules)).toThrow("not on the list");
    }
  });

  it("judges every address of a name, and looks it up once", async () => {
    const { received, port } = await serve((response) => response.end());
    const answers = [["127.0.0.1"], ["10.0.0.1"]];
    let asked = 0;
    const resolve = async () => answers[asked++] ?? [];
    expect(await postWebhook(hook(`http://rebind.test:${port}/`), attemptOf(), http({ resolve }))).toMatchObject({
      result: "accepted",
    });
    expect([asked, received.length]).toEqual([1, 1]);
    const { signal } = new AbortController();
    const both = resolveDestination(
      "https://mixed.test/",
      { allowLocal: false, allowedUrls: [] },
      async () => ["8.8.8.8", "10.0.0.1"],
      signal,
    );
    await expect(both).rejects.toMatchObject({
      code: ErrorCode.DESTINATION_REFUSED,
      message: expect.stringContaining("10.0.0.1"),
    });
    const plain = resolveDestination(
      "http://mixed.test/",
      { allowLocal: true, allowedUrls: [] },
      async () => ["127.0.0.1", "8.8.8.8"],
      signal,
    );
    await expect(plain).rejects.toThrow("unencrypted");
    const never = postWebhook(
      hook("https://gone.test/", false),
      attemptOf(),
      http({ resolve: async () => Promise.reject(Object.assign(new Error("x"), { code: "ENOTFOUND" })) }),
    );
    expect(await never).toMatchObject({ result: "retry", detail: "The name gone.test was not found: ENOTFOUND." });
  });

  it("refuses a local webhook at delivery too, for good", async () => {
    const { received, port } = await serve((response) => response.end());
    const outcome = await postWebhook(hook(`https://inward.test:${port}/`, false), attemptOf(), http());
    expect(outcome).toMatchObject({ result: "failed", failure: { code: ErrorCode.DESTINATION_REFUSED } });
    expect(received).toEqual([]);
    expect(alertsUrlOf("https://am.test/prefix/")).toBe("https://am.test/prefix/api/v2/alerts");
  });
});

function isClosed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}
