import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { ErrorCode } from "@wardline/domain/errors";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterEach, describe, expect, it } from "vitest";
import type { ReceiverOf } from "../receivers.ts";
import { alertOf, attemptOf, testCertificate } from "../testing/messages.ts";
import { type EmailDelivery, isMailAddress, sendEmail } from "./email.ts";

const certificate = testCertificate();
const reason = certificate === null ? "no openssl to make a certificate" : null;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly isEncrypted: boolean;
  readonly user: string;
}

async function smtp(options: SMTPServerOptions = {}) {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    logger: false,
    authOptional: true,
    disableReverseLookup: true,
    ...(certificate ?? {}),
    onAuth: ({ username = "", password }, _session, done) =>
      password === "right"
        ? done(null, { user: username })
        : done(Object.assign(new Error("5.7.8 no such login cmlnaHQ="), { responseCode: 535 })),
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : "",
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(parts).toString(),
          isEncrypted: session.secure,
          user: String(session.user ?? ""),
        });
        done(null, "2.0.0 Ok: queued as 4F");
      });
    },
    ...options,
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  closing.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { mails, port: (server.server.address() as AddressInfo).port };
}

function receiver(port: number, change: Partial<ReceiverOf<"email">> = {}): ReceiverOf<"email"> {
  return {
    ...{
      name: "mail",
      kind: "email",
      server: "hooks.test",
      port,
      security: "starttls",
      user: "",
      from: "wardline@example.com",
    },
    to: ["ops@example.com"],
    ...change,
  };
}

function delivery(change: Partial<EmailDelivery> = {}): EmailDelivery {
  const limits = { connectMs: 1_000, greetingMs: 500, socketMs: 1_000, totalMs: 3_000 };
  return { resolve: async () => ["127.0.0.1"], limits, authorities: certificate?.cert, ...change };
}

describe.skipIf(reason !== null)(`e-mail (${reason ?? "a real SMTP server"})`, () => {
  it("goes out encrypted by STARTTLS, logged in, in two forms", async () => {
    const { mails, port } = await smtp();
    const attempt = attemptOf({}, "right");
    const outcome = await sendEmail(receiver(port, { user: "me" }), attempt, delivery());
    expect(outcome).toMatchObject({ result: "accepted", detail: "smtp 250 2.0.0 Ok: queued as 4F" });
    const [mail] = mails;
    expect(mail).toMatchObject({
      isEncrypted: true,
      user: "me",
      from: "wardline@example.com",
      to: ["ops@example.com"],
    });
    expect(mail?.text).toContain("Subject: high: findings on web-1");
    expect(mail?.text).toContain("Message-ID: <0123456789abcdef01234567@wardline.invalid>");
    expect(mail?.text).toContain("Content-Type: text/plain");
    expect(mail?.text).toContain("Content-Type: text/html");
    expect(attempt.steps.join("\n")).toContain("It said: smtp 250");
  });

  it("goes out over TLS from the start", async () => {
    const { mails, port } = await smtp({ secure: true });
    expect(await sendEmail(receiver(port, { security: "tls" }), attemptOf(), delivery())).toMatchObject({
      result: "accepted",
    });
    expect(mails[0]?.isEncrypted).toBe(true);
  });

  it("is not sent where the server offers no encryption", async () => {
    const { mails, port } = await smtp({ hideSTARTTLS: true, disabledCommands: ["STARTTLS"] });
    const outcome = await sendEmail(receiver(port, { user: "me" }), attemptOf({}, "right"), delivery());
    expect(outcome).toMatchObject({ result: "failed", detail: expect.stringContaining("Nothing was sent") });
    expect(mails).toEqual([]);
  });

  it("is not sent to a server with another certificate", async () => {
    const { mails, port } = await smtp();
    for (const [server, authorities] of [
      ["hooks.test", undefined],
      ["other.test", certificate?.cert],
    ] as const) {
      const outcome = await sendEmail(receiver(port, { server }), attemptOf(), delivery({ authorities }));
      expect(outcome).toMatchObject({ result: "failed" });
    }
    expect(mails).toEqual([]);
  });

  it("goes unencrypted to this machine only", async () => {
    const { mails, port } = await smtp();
    const plain = receiver(port, { security: "none" });
    expect(await sendEmail(plain, attemptOf(), delivery())).toMatchObject({ result: "accepted" });
    const elsewhere = delivery({ resolve: async () => ["127.0.0.1", "192.0.2.1"] });
    const refused = await sendEmail(plain, attemptOf(), elsewhere);
    expect(refused).toMatchObject({ result: "failed", failure: { code: ErrorCode.DESTINATION_REFUSED } });
    expect(mails).toHaveLength(1);
  });

  it("says that the password is wrong, and not what it is", async () => {
    const { port } = await smtp();
    const outcome = await sendEmail(receiver(port, { user: "me" }), attemptOf({}, "wrong-one"), delivery());
    expect(outcome).toMatchObject({ result: "failed", detail: expect.stringContaining("refused the login") });
    expect(JSON.stringify([outcome, outcome.failure?.message])).not.toMatch(/wrong-one|d3JvbmctI/);
  });

  it("tells which recipients were refused", async () => {
    const onRcptTo: SMTPServerOptions["onRcptTo"] = ({ address }, _session, done) =>
      address.startsWith("no") ? done(Object.assign(new Error("5.1.1 nobody"), { responseCode: 550 })) : done();
    const { mails, port } = await smtp({ onRcptTo });
    const some = await sendEmail(
      receiver(port, { to: ["ops@example.com", "nobody@example.com"] }),
      attemptOf(),
      delivery(),
    );
    expect(some).toMatchObject({ result: "failed", detail: expect.stringContaining("not for nobody@example.com") });
    expect(mails).toHaveLength(1);
    const none = await sendEmail(receiver(port, { to: ["nobody@example.com"] }), attemptOf(), delivery());
    expect(none).toMatchObject({ result: "failed", detail: expect.stringContaining("550") });
  });

  it.each([
    [451, "retry"],
    [421, "retry"],
    [552, "failed"],
    [554, "failed"],
  ])("that is answered with %d: %s", async (responseCode, result) => {
    const onMailFrom: SMTPServerOptions["onMailFrom"] = (_address, _session, done) =>
      done(Object.assign(new Error("not now"), { responseCode }));
    const { port } = await smtp({ onMailFrom });
    const outcome = await sendEmail(receiver(port), attemptOf(), delivery());
    expect(outcome).toMatchObject({ result, detail: expect.stringContaining(String(responseCode)) });
  });

  it("is given up where the server says nothing, and tried again", async () => {
    const silent = createServer(() => {});
    const port = await listen(silent);
    const outcome = await sendEmail(receiver(port), attemptOf(), delivery());
    expect(outcome.result).toBe("retry");
    await closing.pop()?.();
    expect(await sendEmail(receiver(port), attemptOf(), delivery())).toMatchObject({
      result: "retry",
      detail: `Nobody listens on port ${port} (connection refused).`,
    });
  });

  it("is given up where the server drags it out", async () => {
    const slow = createServer((socket) => {
      const timer = setInterval(() => socket.write("220-wait\r\n"), 50);
      socket.on("close", () => clearInterval(timer));
      socket.on("error", () => {});
    });
    const limits = { connectMs: 1_000, greetingMs: 60_000, socketMs: 60_000, totalMs: 400 };
    const outcome = await sendEmail(receiver(await listen(slow)), attemptOf(), delivery({ limits }));
    expect(outcome).toMatchObject({ result: "retry", detail: "It took longer than 0.4 s altogether." });
  });

  it("carries nothing of what hosts call themselves into headers or markup", async () => {
    const { mails, port } = await smtp();
    const host = "web\r\nBcc: thief@example.com\r\n\r\n<img src=x>";
    const sentence = `<script>alert(1)</script>\r\n.\r\nMAIL FROM:<x@y>\u202eevil "quoted" & more`;
    const firing = [alertOf({ host, sentence })];
    await sendEmail(receiver(port), attemptOf({ firing, firingCount: 1 }), delivery());
    const [mail] = mails;
    expect(mails).toHaveLength(1);
    expect(mail?.to).toEqual(["ops@example.com"]);
    const [head = "", ...rest] = (mail?.text ?? "").split("\r\n\r\n");
    expect(head).not.toMatch(/^Bcc:/im);
    const html = rest
      .join("\n")
      .replace(/=\r?\n/g, "")
      .replace(/=3D/g, "=");
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(html).not.toContain("<script>alert(1)</script></li>");
    expect(html).not.toContain("\u202e");
  });
});

describe("mail addresses", () => {
  it.each(["a@b.c", "first.last+tag@example.com"])("%s is one", (text) => {
    expect(isMailAddress(text)).toBe(true);
  });
  it.each([
    "",
    "a",
    "a@b c",
    "a@b,c@d",
    "A <a@b.c>",
    "a@b.c\r\nBcc: d@e.f",
    "a@b.c;d@e.f",
    '"a b"@c.d',
    "a@[127.0.0.1]",
    "@b.c",
    "a@-b",
  ])("%j is none", (text) => {
    expect(isMailAddress(text)).toBe(false);
  });
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return (server.address() as AddressInfo).port;
}
