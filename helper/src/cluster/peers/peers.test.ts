import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { ForwardRequestSchema, ForwardResponseSchema } from "@wardline/api/wardline/peer/v1/peer";
import { Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { newPrivateKey, privateKeyPem } from "../../identity/keyPairs.ts";
import { freeAddress, PeerLab, type PeerNode } from "../../testing/peerLab.ts";

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

const write = (actor = "alice (uid 1000) on b") => create(ForwardRequestSchema, { actor, role: Role.OPERATOR });

describe("two members", () => {
  it("tell each other the time", async () => {
    const b = await lab.join("b");
    const reading = await b.client.ping(a);
    expect(Math.abs(reading.offsetMs)).toBeLessThan(reading.uncertaintyMs + 50);
    expect(reading.roundTripMs).toBeGreaterThan(0);
    expect(reading.uncertaintyMs).toBeGreaterThan(reading.roundTripMs / 2);
  });

  it("measure a clock that is wrong, with its sign", async () => {
    const late = await lab.join("late", false, { ...systemClock, wallMs: () => Date.now() - 5_000 });
    expect((await late.client.ping(a)).offsetMs).toBeCloseTo(-5_000, -2);
    expect((await a.client.ping(late)).offsetMs).toBeCloseTo(5_000, -2);
  });

  it("hand on what people wrote, with who wrote it and who hands it on", async () => {
    const b = await lab.join("b", true);
    lab.forward = async () => create(ForwardResponseSchema, { answer: { case: "confirmSet", value: {} } });
    expect((await b.client.forward(a, write())).answer.case).toBe("confirmSet");
    expect(lab.forwarded[0]).toMatchObject({
      request: { actor: "alice (uid 1000) on b", role: Role.OPERATOR },
      caller: { identity: { name: "b" }, record: { candidate: true } },
    });
  });

  it("get failures whole, and of bugs only that there is one", async () => {
    const b = await lab.join("b", true);
    lab.forward = () =>
      Promise.reject(new Failure({ code: ErrorCode.VERSION_CONFLICT, message: "changed", hint: "look" }));
    await expect(b.client.forward(a, write())).rejects.toMatchObject({
      code: ErrorCode.VERSION_CONFLICT,
      hint: "look",
    });
    lab.forward = () => Promise.reject(new TypeError("secret detail"));
    const error = await b.client.forward(a, write()).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: ErrorCode.INTERNAL });
    expect((error as Failure).message).not.toContain("secret");
  });

  it("carry a set of 8 MiB, and nothing much larger", async () => {
    const b = await lab.join("b", true);
    const withText = (sizeBytes: number) =>
      create(ForwardRequestSchema, {
        write: { case: "writeDocuments", value: { writes: [{ text: "x".repeat(sizeBytes) }] } },
      });
    expect(await outcome(b.client.forward(a, withText(8 * 1024 * 1024)))).toBe("ok");
    expect(await outcome(b.client.forward(a, withText(13 * 1024 * 1024)))).not.toBe("ok");
    expect(lab.forwarded).toHaveLength(1);
  });

  it("end calls by their deadlines and by whoever asked", async () => {
    const b = await lab.join("b", true);
    lab.forward = () => new Promise(() => undefined);
    expect(await outcome(b.client.forward(a, write(), { timeoutMs: 100 }))).toBe("DEADLINE_EXCEEDED");
    const stop = new AbortController();
    const call = outcome(b.client.forward(a, write(), { signal: stop.signal }));
    setTimeout(() => stop.abort(), 50);
    expect(await call).toBe("CANCELED");
  });

  it("find each other again after a restart of the other end", async () => {
    const b = await lab.join("b");
    expect(await outcome(b.client.ping(a))).toBe("ok");
    await a.server.close();
    expect(await outcome(b.client.ping(a))).toBe("HOST_UNREACHABLE");
    const again = await lab.first();
    expect(await outcome(b.client.ping(again))).toBe("ok");
  });
});

describe("who may call what", () => {
  it("keeps plain members from handing on", async () => {
    const b = await lab.join("b");
    expect(await outcome(b.client.forward(a, write()))).toBe("PERMISSION_DENIED");
    expect(lab.forwarded).toHaveLength(0);
  });

  it("refuses a removed member: its open connection ends, and it gets no new one", async () => {
    const b = await lab.join("b", true);
    expect(await outcome(b.client.ping(a))).toBe("ok");
    expect(a.server.connections).toBe(1);
    await lab.identities.remove("b");
    await expect.poll(() => a.server.connections).toBe(0);
    for (const call of [b.client.ping(a), b.client.forward(a, write())])
      expect(await outcome(call)).toBe("NOT_A_MEMBER");
  });

  it("keeps the connections of all others when one is removed", async () => {
    const b = await lab.join("b");
    const c = await lab.join("c");
    await Promise.all([b.client.ping(a), c.client.ping(a)]);
    await lab.identities.remove("b");
    await expect.poll(() => a.server.connections).toBe(1);
    expect(await outcome(c.client.ping(a))).toBe("ok");
  });

  it("refuses a host that was set up anew under an old name", async () => {
    const old = await lab.join("b");
    await lab.identities.remove("b");
    await lab.join("b");
    expect(await outcome(old.client.ping(a))).toBe("IDENTITY_REFUSED");
  });

  it("refuses a member of another cluster with the same names", async () => {
    const other = await PeerLab.create();
    lab.onClose(() => other.close());
    const stranger = await other.join("b");
    await lab.join("b");
    expect(await outcome(stranger.client.ping(a))).toBe("IDENTITY_REFUSED");
    // The other way round it is the server that is refused.
    expect(await outcome(a.client.ping(stranger))).toBe("IDENTITY_REFUSED");
  });

  it("gives a caller without a certificate nothing but Join", async () => {
    const { createClient } = await import("@connectrpc/connect");
    const { createGrpcTransport } = await import("@connectrpc/connect-node");
    const { PeerService } = await import("@wardline/api/wardline/peer/v1/peer");
    const { failureFromConnectError } = await import("@wardline/domain/wire");
    const transport = createGrpcTransport({
      baseUrl: `https://${a.peerAddress}`,
      nodeOptions: { rejectUnauthorized: false },
    });
    const client = createClient(PeerService, transport);
    const codes = [];
    for (const call of [client.ping({}), client.renew({}), client.forward({}), client.join({})]) {
      codes.push(
        await call.then(
          () => "ok",
          (error: unknown) => ErrorCode[failureFromConnectError(error)?.code ?? 0],
        ),
      );
    }
    expect(codes).toEqual(["IDENTITY_REFUSED", "IDENTITY_REFUSED", "IDENTITY_REFUSED", "INVALID_ARGUMENT"]);
  });

  it("does not talk to a member at another one's address", async () => {
    const b = await lab.join("b");
    const c = await lab.join("c");
    await expect(b.client.ping({ name: "a", peerAddress: c.peerAddress })).rejects.toMatchObject({
      code: ErrorCode.IDENTITY_REFUSED,
      message: expect.stringContaining("host c"),
    });
  });

  it("does not show itself to a server that is no member any more", async () => {
    const b = await lab.join("b", true);
    expect(await outcome(a.client.ping(b))).toBe("ok");
    const key = newPrivateKey();
    const record = await lab.identities.record("b");
    // Somebody with a certificate of the authority, but not with the key on record.
    const nowMs = Date.now();
    const forged = await lab.identities.founding.authority.issueMember({
      name: "b",
      publicKey: createPublicKey(key),
      ipAddress: "127.0.0.1",
      nowMs,
    });
    const peerAddress = await freeAddress();
    const { identity: stored } = lab.identities.founding;
    const impostor = await lab.start(
      { ...stored, name: "b", chainPem: forged.chainPem, keyPem: privateKeyPem(key) },
      peerAddress,
    );
    await a.directory.refresh?.("b");
    expect(record?.name).toBe("b");
    expect(await outcome(a.client.ping({ name: "b", peerAddress: impostor.peerAddress }))).toBe("IDENTITY_REFUSED");
  });
});

describe("rotation", () => {
  it("changes certificates without ending connections, and a renewed member is known at once", async () => {
    const b = await lab.join("b", true);
    let release = (): void => undefined;
    lab.forward = () =>
      new Promise((resolve) => {
        release = () => resolve(create(ForwardResponseSchema));
      });
    const underWay = outcome(b.client.forward(a, write()));
    await expect.poll(() => lab.forwarded.length).toBe(1);
    a.identity.start((request, self) => lab.identities.admission.renew(request, self));
    b.identity.start((request) => b.client.renewAtAny([a], request));
    const before = [a.identity.keyFingerprint, b.identity.keyFingerprint];
    await a.identity.renewNow();
    await b.identity.renewNow();
    expect([a.identity.keyFingerprint, b.identity.keyFingerprint].some((key) => before.includes(key))).toBe(false);
    expect(await outcome(b.client.ping(a))).toBe("ok");
    expect(await outcome(a.client.ping(b))).toBe("ok");
    release();
    expect(await underWay).toBe("ok");
    // What comes after it comes with the new key.
    lab.forward = async () => create(ForwardResponseSchema);
    await b.client.forward(a, write());
    expect(lab.forwarded.at(-1)?.caller.identity.keyFingerprint).toBe(b.identity.keyFingerprint);
    // New handshakes show the new certificate.
    const socket = connect({
      host: "127.0.0.1",
      port: Number(a.peerAddress.split(":")[1]),
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    await once(socket, "secureConnect");
    expect(a.identity.credentials().cert).toContain(socket.getPeerX509Certificate()?.toString().slice(60, 120));
    socket.destroy();
  });

  it("goes over to a new root while members are connected", async () => {
    const b = await lab.join("b");
    const { authorityStore, store, keys } = lab.identities;
    const adopt = async (node: PeerNode) =>
      node.identity.adoptBundle((await store.get(keys.bundle)).item?.value ?? new Uint8Array());
    await authorityStore.update(
      (authority) => authority.withNextRoot(Date.now()),
      () => [],
    );
    await Promise.all([a, b].map(adopt));
    await authorityStore.update(
      (authority) => authority.withNextRootSigning(Date.now()),
      () => [],
    );
    await Promise.all([a, b].map(adopt));
    b.identity.start((request) => b.client.renewAtAny([a], request));
    await b.identity.renewNow();
    // b is below the new root, a still below the old one.
    expect(await outcome(b.client.ping(a))).toBe("ok");
    expect(await outcome(a.client.ping(b))).toBe("ok");
    const c = await lab.join("c");
    expect(await outcome(c.client.ping(a))).toBe("ok");
  });
});
