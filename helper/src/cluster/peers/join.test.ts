import { createPublicKey } from "node:crypto";
import { connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatJoinToken, parseJoinToken } from "../../identity/joinTokenText.ts";
import { newPrivateKey, privateKeyPem } from "../../identity/keyPairs.ts";
import { encodePem } from "../../identity/pem.ts";
import { authorityNames, forge } from "../../testing/certificateForge.ts";
import { freeAddress, PeerLab, type PeerNode } from "../../testing/peerLab.ts";
import { joinCluster } from "./joinClient.ts";

let lab: PeerLab;
let a: PeerNode;

beforeEach(async () => {
  lab = await PeerLab.create();
  a = await lab.first();
});
afterEach(() => lab.close());

const wallMs = () => Date.now();
const ask = (token: string, memberName = "web", more: object = {}) =>
  joinCluster({ token, memberName, peerAddress: "127.0.0.1:7443", wallMs, ...more });

async function refusal(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(
    () => "it was let in",
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
}

/** The token with other places to ask. */
const at = (token: string, ...candidates: { name: string; peerAddress: string }[]) =>
  formatJoinToken({ ...parseJoinToken(token), candidates });

/** A TLS server that remembers every byte that it was sent. */
async function eavesdropper(credentials: {
  cert: string;
  key: string;
}): Promise<{ readonly peerAddress: string; heard: () => string }> {
  const heard: Buffer[] = [];
  const server = createTlsServer(
    { ...credentials, ALPNProtocols: ["h2"], minVersion: "TLSv1.3" },
    (socket: TLSSocket) => {
      socket.on("data", (chunk: Buffer) => heard.push(chunk));
      socket.on("error", () => undefined);
    },
  );
  const peerAddress = await freeAddress();
  await new Promise<void>((resolve) => server.listen(Number(peerAddress.split(":")[1]), "127.0.0.1", resolve));
  lab.onClose(() => server.close());
  return { peerAddress, heard: () => Buffer.concat(heard).toString("latin1") };
}

describe("joinCluster", () => {
  it("makes a member of a host that has nothing but a token", async () => {
    const token = await lab.identities.token({ candidate: true, labels: { role: "web" } });
    const joined = await ask(token);
    expect(joined.record).toMatchObject({ name: "web", labels: { role: "web" }, peerAddress: "127.0.0.1:7443" });
    expect(joined.settings).toMatchObject({
      clusterName: "demo",
      leaseMs: 5_000,
      store: { endpoints: ["https://10.0.0.1:2379"] },
    });
    expect(Buffer.from(joined.sealKey ?? [])).toEqual(Buffer.from(lab.identities.founding.sealKey));
    const web = await lab.start(joined.identity, await freeAddress());
    expect((await web.client.ping(a)).roundTripMs).toBeGreaterThan(0);
    expect(lab.identities.events.at(-1)).toMatchObject({
      action: "join",
      subject: "web",
      detail: expect.stringContaining("127.0.0.1"),
    });
  });

  it("gives a plain member no seal key", async () => {
    expect((await ask(await lab.identities.token())).sealKey).toBeNull();
  });

  it("asks the next candidate when the first is not there", async () => {
    const token = await lab.identities.token();
    const gone = { name: "gone", peerAddress: await freeAddress() };
    expect((await ask(at(token, gone, a))).record.name).toBe("web");
  });

  it("is answered again with the same key after the answer was lost on the way", async () => {
    const token = await lab.identities.token();
    const [host = "", port] = a.peerAddress.split(":");
    const sockets: Socket[] = [];
    // Cuts the connection when the server's answer to the request comes: the member is written by then.
    let isCutting = true;
    const cutter = createTcpServer((near) => {
      const far = connectTcp(Number(port), host);
      sockets.push(near, far);
      near.pipe(far);
      for (const socket of [near, far]) socket.on("error", () => undefined);
      far.on("data", async (chunk: Buffer) => {
        const isMember = (await lab.identities.record("web")) !== null;
        if (isCutting && isMember) near.destroy();
        else near.write(chunk);
      });
    });
    const peerAddress = await freeAddress();
    await new Promise<void>((resolve) => cutter.listen(Number(peerAddress.split(":")[1]), "127.0.0.1", resolve));
    lab.onClose(() => {
      for (const socket of sockets) socket.destroy();
      cutter.close();
    });
    const cut = at(token, { name: "a", peerAddress });
    const privateKey = newPrivateKey();
    expect((await refusal(ask(cut, "web", { privateKey }))).code).toBe(ErrorCode.HOST_UNREACHABLE);
    expect(await lab.identities.record("web")).not.toBeNull();
    isCutting = false;
    // Another host that found the token gets nothing for it.
    expect((await refusal(ask(cut, "web"))).code).toBe(ErrorCode.TOKEN_INVALID);
    expect((await ask(cut, "web", { privateKey })).record.name).toBe("web");
  });

  it("takes a used token from nobody else, and says when a name is taken", async () => {
    const token = await lab.identities.token();
    await ask(token, "web");
    expect((await refusal(ask(token, "db"))).code).toBe(ErrorCode.TOKEN_INVALID);
    const other = await refusal(ask(await lab.identities.token(), "web"));
    expect(other).toMatchObject({ code: ErrorCode.ALREADY_EXISTS, message: expect.stringContaining("web") });
  });

  it("says that nobody can be reached, is canceled, and refuses what is no token, name or address", async () => {
    const token = await lab.identities.token();
    const gone = at(token, { name: "a", peerAddress: await freeAddress() });
    expect((await refusal(ask(gone))).code).toBe(ErrorCode.HOST_UNREACHABLE);
    expect((await refusal(ask(token, "web", { signal: AbortSignal.abort() }))).code).toBe(ErrorCode.CANCELED);
    expect((await refusal(ask("wl1.abc"))).code).toBe(ErrorCode.TOKEN_INVALID);
    expect((await refusal(ask(token, "Web"))).code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect((await refusal(ask(token, "web", { peerAddress: "0.0.0.0:1" }))).code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(await lab.identities.record("web")).toBeNull();
  });
});

describe("the secret of a token goes to nobody but a candidate of it", () => {
  async function expectUnheard(credentials: { cert: string; key: string }, reason: RegExp): Promise<void> {
    const { peerAddress, heard } = await eavesdropper(credentials);
    const token = at(await lab.identities.token(), { name: "a", peerAddress });
    const failure = await refusal(ask(token));
    expect(failure.code).toBe(ErrorCode.IDENTITY_REFUSED);
    expect(failure.message).toMatch(reason);
    const { secret } = parseJoinToken(token);
    expect(heard()).not.toContain(Buffer.from(secret).toString("latin1"));
    expect(await lab.identities.record("web")).toBeNull();
  }

  it("not to another cluster of the same names", async () => {
    const other = await PeerLab.create();
    lab.onClose(() => other.close());
    const { chainPem: cert, keyPem: key } = other.identities.founding.identity;
    await expectUnheard({ cert, key }, /not the cluster of the token/);
  });

  it("not to a plain member in the place of a candidate", async () => {
    const { chainPem: cert, keyPem: key } = await lab.identities.join("b");
    await expectUnheard({ cert, key }, /answers host b/);
  });

  it("not to a server of the cluster", async () => {
    const key = newPrivateKey();
    const { chainPem } = await lab.identities.founding.authority.issueServer({
      name: "a",
      publicKey: createPublicKey(key),
      dnsNames: [],
      ipAddresses: ["127.0.0.1"],
      nowMs: Date.now(),
      lifeMs: 3_600_000,
    });
    await expectUnheard({ cert: chainPem, key: privateKeyPem(key) }, /answers server a/);
  });

  it("not to somebody who shows the right root below a certificate of their own", async () => {
    const root = lab.identities.founding.authority.trusted.certificates[0]?.x509.raw as Uint8Array;
    const fake = await forge({ isAuthority: true, names: authorityNames("demo.wardline"), commonName: "x" });
    const leaf = await forge({ names: [{ type: "url", value: "spiffe://demo.wardline/host/a" }], issuer: fake });
    const cert = encodePem([leaf.der, root]);
    await expectUnheard({ cert, key: privateKeyPem(leaf.privateKey) }, /not the cluster of the token|does not lead/);
  });
});
