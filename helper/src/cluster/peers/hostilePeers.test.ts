import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { createServer as createTcpServer } from "node:net";
import { connect } from "node:tls";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import type { MemoryClusterStore } from "../../testing/memoryClusterStore.ts";
import { PeerLab, type PeerNode } from "../../testing/peerLab.ts";
import { PeerClient } from "./peerClient.ts";

let lab: PeerLab;
let a: PeerNode;

beforeEach(async () => {
  lab = await PeerLab.create();
  a = await lab.first();
});
afterEach(() => lab.close());

const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof Failure ? ErrorCode[error.code] : `not a failure: ${String(error)}`),
  );

describe("time", () => {
  it("gives a member whose certificate is over a new one and nothing else", async () => {
    // OpenSSL goes by the real time, so the cluster is made in the past.
    const days = { count: -3 };
    const clock = { ...systemClock, wallMs: () => Date.now() + days.count * 86_400_000 };
    const moving = await PeerLab.create(clock);
    lab.onClose(() => moving.close());
    const b = await moving.join("b");
    const server = await moving.first();
    days.count = 0;
    expect(await outcome(b.client.ping(server))).toBe("IDENTITY_REFUSED");
    server.identity.start((request, self) => moving.identities.admission.renew(request, self));
    await server.identity.renewNow();
    const shown = b.identity.renewalCredentials();
    const { name, trustDomain, spiffeId, expiresAtMs, roots } = b.identity;
    const careless = new PeerClient({
      identity: {
        ...{ name, trustDomain, spiffeId, expiresAtMs, roots },
        credentials: () => shown,
        renewalCredentials: () => shown,
        onChange: () => () => undefined,
      },
      directory: b.directory,
      clock,
    });
    lab.onClose(() => careless.close());
    await expect(careless.ping(server)).rejects.toMatchObject({
      code: ErrorCode.IDENTITY_REFUSED,
      message: /ended at/,
    });
    b.identity.start((request) => b.client.renewAtAny([server], request));
    await b.identity.renewNow();
    expect(await outcome(b.client.ping(server))).toBe("ok");
  });

  it("does not renew for who was removed meanwhile, or was away for more than 30 days", async () => {
    const days = { count: -40 };
    const clock = { ...systemClock, wallMs: () => Date.now() + days.count * 86_400_000 };
    const moving = await PeerLab.create(clock);
    lab.onClose(() => moving.close());
    const b = await moving.join("b");
    const server = await moving.first();
    days.count = -20;
    const c = await moving.join("c");
    days.count = 0;
    server.identity.start((request, self) => moving.identities.admission.renew(request, self));
    await server.identity.renewNow();
    b.identity.start((request) => b.client.renewAtAny([server], request));
    expect(await outcome(b.identity.renewNow())).toBe("IDENTITY_REFUSED");
    c.identity.start((request) => c.client.renewAtAny([server], request));
    await moving.identities.remove("c");
    await expect(c.identity.renewNow()).rejects.toMatchObject({ code: ErrorCode.NOT_A_MEMBER });
  });

  it("serves nobody while its own certificate is over", async () => {
    const b = await lab.join("b");
    await a.server.close();
    const hours = { count: 0 };
    const { identity: stored, authority } = lab.identities.founding;
    const publicKey = createPublicKey(stored.keyPem);
    const request = { name: "a", publicKey, ipAddress: "127.0.0.1", nowMs: Date.now(), lifeMs: 3_600_000 };
    const { chainPem } = await authority.issueMember(request);
    const clock = { ...systemClock, wallMs: () => Date.now() + hours.count * 3_600_000 };
    const short = await lab.start({ ...stored, chainPem }, a.peerAddress, clock);
    expect(await outcome(b.client.ping(short))).toBe("ok");
    hours.count = 2;
    await expect(b.client.ping(short)).rejects.toMatchObject({
      code: ErrorCode.IDENTITY_REFUSED,
      message: expect.stringContaining("The certificate of this host ended"),
    });
    await expect(short.server.listen()).rejects.toMatchObject({ code: ErrorCode.IDENTITY_REFUSED });
  });
});

describe("hostile ends", () => {
  it("that speak no TLS, or nothing, hold nobody up", async () => {
    const b = await lab.join("b");
    const port = Number(a.peerAddress.split(":")[1]);
    const { connect: connectTcp } = await import("node:net");
    const plain = connectTcp(port, "127.0.0.1");
    plain.on("error", () => undefined);
    plain.write("GET / HTTP/1.1\r\n\r\n".repeat(10_000));
    const silent = connectTcp(port, "127.0.0.1");
    silent.on("error", () => undefined);
    expect(await outcome(b.client.ping(a))).toBe("ok");
    plain.destroy();
    silent.destroy();
  });

  it("that say nothing do not hold up the end of the server", async () => {
    const { connect: connectTcp } = await import("node:net");
    const port = Number(a.peerAddress.split(":")[1]);
    const ends = Array.from({ length: 3 }, () => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => undefined);
      return { socket, closed: once(socket, "close") };
    });
    await expect.poll(() => a.server.handshakes).toBe(3);
    ends[0]?.socket.write("no TLS at all");
    ends[1]?.socket.destroy();
    await expect.poll(() => a.server.handshakes).toBe(1);
    const b = await lab.join("b");
    expect(await outcome(b.client.ping(a))).toBe("ok");
    await expect.poll(() => a.server.handshakes).toBe(1);
    const began = Date.now();
    await a.server.close();
    // Not when the handshakes have taken too long.
    expect(Date.now() - began).toBeLessThan(8_000);
    await Promise.all(ends.map(({ closed }) => closed));
    expect(a.server.handshakes).toBe(0);
  });

  it("that speak an older TLS or another protocol are refused", async () => {
    const port = Number(a.peerAddress.split(":")[1]);
    for (const options of [{ maxVersion: "TLSv1.2" as const }, { ALPNProtocols: ["http/1.1"] }]) {
      const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
      await expect(once(socket, "secureConnect")).rejects.toThrow();
      socket.destroy();
    }
  });

  it("that do not say what they speak are left at once", async () => {
    const port = Number(a.peerAddress.split(":")[1]);
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
    socket.on("error", () => undefined);
    await once(socket, "close");
    expect(a.server.connections).toBe(0);
  });

  it("that never answer end by the deadline", async () => {
    const server = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    lab.onClose(() => server.close());
    const { port } = server.address() as { port: number };
    const started = Date.now();
    expect(await outcome(a.client.ping({ name: "b", peerAddress: `127.0.0.1:${port}` }, { timeoutMs: 200 }))).toBe(
      "DEADLINE_EXCEEDED",
    );
    expect(Date.now() - started).toBeLessThan(5_000);
  });

  it("keep the number of strangers bounded, and members still come in", async () => {
    const port = Number(a.peerAddress.split(":")[1]);
    const { connect: connectHttp2 } = await import("node:http2");
    const sessions = Array.from({ length: 160 }, () => {
      const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
      session.on("error", () => undefined);
      return session;
    });
    await Promise.all(
      sessions.map((session) => new Promise((resolve) => session.once("connect", resolve).once("close", resolve))),
    );
    await expect.poll(() => a.server.connections).toBeLessThanOrEqual(128);
    const b = await lab.join("b");
    expect(await outcome(b.client.ping(a))).toBe("ok");
    for (const session of sessions) session.destroy();
  });

  it("without a certificate open a few streams at once, and no more", async () => {
    const { connect: connectHttp2 } = await import("node:http2");
    const session = connectHttp2(`https://${a.peerAddress}`, { rejectUnauthorized: false });
    session.on("error", () => undefined);
    await once(session, "connect");
    const closed = once(session, "close");
    const ask = () => {
      const path = "/wardline.peer.v1.PeerService/Join";
      const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" });
      stream.on("error", () => undefined);
      stream.write(Buffer.from([0, 0, 0, 1, 0]));
    };
    for (let count = 0; count < 5; count += 1) ask();
    await closed;
    await expect.poll(() => a.server.connections).toBe(0);
  });

  it("that were removed cost the store few questions, however often they call", async () => {
    const b = await lab.join("b", true);
    await lab.identities.remove("b");
    const { calls } = (lab.identities.store as MemoryClusterStore).state;
    const before = calls.get("get") ?? 0;
    for (let count = 0; count < 20; count += 1) expect(await outcome(b.client.ping(a))).toBe("NOT_A_MEMBER");
    expect((calls.get("get") ?? 0) - before).toBeLessThan(10);
  });

  it("are named when an address cannot be listened on", async () => {
    const b = await lab.join("b");
    await expect(lab.start(lab.identities.founding.identity, b.peerAddress)).rejects.toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
    });
    expect(b.client).toBeInstanceOf(PeerClient);
  });
});
