import { create } from "@bufbuild/protobuf";
import { RenewRequestSchema } from "@wardline/api/wardline/peer/v1/peer";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { IdentityLab } from "../testing/identityLab.ts";
import { MemoryClusterStore, MemoryStoreState } from "../testing/memoryClusterStore.ts";
import { foundCluster } from "./founding.ts";
import { loadIdentity, type StoredIdentity } from "./identityRecord.ts";
import { formatJoinToken, parseJoinToken } from "./joinTokenText.ts";
import { newPrivateKey, publicKeyBytes, signRenewal } from "./keyPairs.ts";
import { encodeMember } from "./memberRecords.ts";
import { decodePem } from "./pem.ts";
import type { PeerIdentity } from "./ports.ts";
import { verifyPeer } from "./verifyPeer.ts";

const MINUTE_MS = 60_000;

let clock: FakeClock;
let lab: IdentityLab;

beforeEach(async () => {
  clock = new FakeClock();
  lab = await IdentityLab.create({ clock });
});
afterEach(() => lab.close());

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof Failure ? ErrorCode[error.code] : String(error)),
  );

function proven(stored: StoredIdentity): PeerIdentity {
  const peer = verifyPeer(decodePem(stored.chainPem), loadIdentity(stored).roots, clock.wallMs());
  if (peer instanceof Failure) throw peer;
  return peer;
}

describe("two clusters in one store", () => {
  it("come to one: the second beginning writes nothing", async () => {
    const before = await lab.store.range(lab.keys.root);
    const other = await foundCluster({
      clusterName: "other",
      trustDomain: "other.wardline",
      memberName: "b",
      peerAddress: "10.0.0.2:7443",
      labels: {},
      admittedBy: "root",
      nowMs: clock.wallMs(),
    });
    const member = { kind: "put" as const, key: lab.keys.member("b"), value: encodeMember(other.record) };
    expect(await codeOf(lab.authorityStore.initialise(other.authority, [member]))).toBe("ALREADY_EXISTS");
    expect((await lab.store.range(lab.keys.root)).items).toEqual(before.items);
  });

  it("are told apart: the authority of another one is not opened", async () => {
    const { authority, sealKey } = lab.founding;
    const record = authority.toRecord(sealKey);
    expect(record.clusterName).toBe("demo");
    const { AuthorityStore } = await import("./authorityStore.ts");
    const wrong = new AuthorityStore({
      store: lab.store,
      keys: lab.keys,
      sealKey,
      clusterName: "other",
      trustDomain: "demo.wardline",
    });
    expect(await codeOf(wrong.current())).toBe("IDENTITY_REFUSED");
    const empty = new MemoryClusterStore(new MemoryStoreState(clock));
    const nothing = new AuthorityStore({
      store: empty,
      keys: lab.keys,
      sealKey,
      clusterName: "demo",
      trustDomain: "demo.wardline",
    });
    expect(await codeOf(nothing.current())).toBe("NOT_A_MEMBER");
  });

  it("change the roots by compare: of two changes at once one is refused", async () => {
    const nextRoot = () =>
      lab.authorityStore.update(
        (authority) => authority.withNextRoot(clock.wallMs()),
        () => [],
      );
    const outcomes = await Promise.all([codeOf(nextRoot()), codeOf(nextRoot())]);
    expect(outcomes.sort()).toEqual(["VERSION_CONFLICT", "ok"]);
    expect((await lab.authorityStore.current()).roots).toHaveLength(2);
    expect(
      await codeOf(
        lab.authorityStore.update(
          (authority) => authority,
          () => [],
        ),
      ),
    ).toBe("ok");
  });
});

describe("a join", () => {
  it("writes the member with what the administrator said, and what the host cannot say", async () => {
    const token = await lab.token({
      memberName: "web",
      labels: { role: "web" },
      candidate: true,
      createdBy: "alice (uid 1000) on a",
    });
    const response = await lab.admission.join(lab.joinRequest(token, "web"), "10.0.0.9");
    expect(await lab.record("web")).toMatchObject({
      name: "web",
      spiffeId: "spiffe://demo.wardline/host/web",
      candidate: true,
      labels: { role: "web" },
      admittedBy: "alice (uid 1000) on a",
      peerAddress: "10.0.0.9:7443",
    });
    expect(Buffer.from(response.sealKey)).toEqual(Buffer.from(lab.founding.sealKey));
    expect(response).toMatchObject({ clusterName: "demo", trustDomain: "demo.wardline", leaseMs: 5_000 });
    expect(lab.events.at(-1)).toMatchObject({ action: "join", subject: "web" });
  });

  it("gives the seal key to candidates only", async () => {
    const response = await lab.admission.join(lab.joinRequest(await lab.token(), "web"), "10.0.0.9");
    expect(response.sealKey).toHaveLength(0);
  });

  it("lets in one of two that come with one token at the same moment", async () => {
    const token = await lab.token();
    const outcomes = await Promise.all(
      ["one", "two", "three"].map((name) => codeOf(lab.admission.join(lab.joinRequest(token, name), "10.0.0.9"))),
    );
    expect(outcomes.sort()).toEqual(["TOKEN_INVALID", "TOKEN_INVALID", "ok"]);
    expect((await lab.store.range(lab.keys.members)).items).toHaveLength(2);
  });

  it("lets in one of two hosts with one name, and keeps the other's token", async () => {
    const tokens = [await lab.token(), await lab.token()];
    const outcomes = await Promise.all(
      tokens.map((token) => codeOf(lab.admission.join(lab.joinRequest(token, "web"), "10.0.0.9"))),
    );
    expect(outcomes.sort()).toEqual(["ALREADY_EXISTS", "ok"]);
    const unused = (
      await Promise.all(tokens.map((token) => codeOf(lab.admission.join(lab.joinRequest(token, "db"), "10.0.0.9"))))
    ).sort();
    expect(unused).toEqual(["TOKEN_INVALID", "ok"]);
  });

  it("answers the same host again, with the same key, while the token lasts", async () => {
    const key = newPrivateKey();
    const request = lab.joinRequest(await lab.token({ candidate: true }), "web", key);
    await lab.admission.join(request, "10.0.0.9");
    const again = await lab.admission.join(request, "10.0.0.9");
    expect(again.record?.name).toBe("web");
    expect(again.sealKey).toHaveLength(32);
    await lab.remove("web");
    expect(await codeOf(lab.admission.join(request, "10.0.0.9"))).toBe("TOKEN_INVALID");
  });

  it("ends with the token's time, by the candidate's clock", async () => {
    const token = await lab.token({ lifeMs: MINUTE_MS });
    clock.wallOffsetMs += MINUTE_MS - 1;
    const request = lab.joinRequest(token, "web");
    clock.wallOffsetMs += 1;
    expect(await codeOf(lab.admission.join(request, "10.0.0.9"))).toBe("TOKEN_INVALID");
    clock.wallOffsetMs -= 1;
    expect(await codeOf(lab.admission.join(request, "10.0.0.9"))).toBe("ok");
  });

  it.each([
    ["another secret", (token: string) => ({ ...parseJoinToken(token), secret: new Uint8Array(32) })],
    ["another id", (token: string) => ({ ...parseJoinToken(token), id: "AAAAAAAAAAAAAAAA" })],
    ["an id that is a path", (token: string) => ({ ...parseJoinToken(token), id: "../../members/a" })],
  ])("refuses %s", async (_what, change) => {
    const token = change(await lab.token());
    const request = lab.joinRequest(formatJoinToken({ ...token, id: "AAAAAAAAAAAAAAAA" }), "web");
    const { signJoin } = await import("./keyPairs.ts");
    const key = newPrivateKey();
    const signed = {
      ...request,
      tokenId: token.id,
      publicKey: publicKeyBytes(key),
      proof: signJoin(key, token.id, "web"),
    };
    expect(await codeOf(lab.admission.join(signed, "10.0.0.9"))).toBe("TOKEN_INVALID");
    expect(await lab.record("web")).toBeNull();
    expect(lab.events.at(-1)).toMatchObject({ action: "join-refused", subject: "web" });
  });

  it("refuses another name than the token's, and keeps the token", async () => {
    const token = await lab.token({ memberName: "web" });
    expect(await codeOf(lab.admission.join(lab.joinRequest(token, "db"), "10.0.0.9"))).toBe("TOKEN_INVALID");
    expect(await codeOf(lab.admission.join(lab.joinRequest(token, "web"), "10.0.0.9"))).toBe("ok");
  });

  it("refuses requests that are not signed by the key, keys of other kinds, and names that are none", async () => {
    const token = await lab.token();
    const request = lab.joinRequest(token, "web");
    const { generateKeyPairSync } = await import("node:crypto");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "der" });
    const cases = [
      [{ proof: new Uint8Array(70) }, "IDENTITY_REFUSED"],
      [{ memberName: "db" }, "IDENTITY_REFUSED"],
      [{ publicKey: publicKeyBytes(newPrivateKey()) }, "IDENTITY_REFUSED"],
      [{ publicKey: rsa }, "INVALID_ARGUMENT"],
      [{ publicKey: new Uint8Array() }, "INVALID_ARGUMENT"],
      [{ memberName: "../a" }, "INVALID_ARGUMENT"],
      [{ memberName: "" }, "INVALID_ARGUMENT"],
      [{ peerAddress: "0.0.0.0:7443" }, "INVALID_ARGUMENT"],
      [{ peerAddress: "evil.example:7443" }, "INVALID_ARGUMENT"],
      [{ tokenSecret: new Uint8Array(1_000) }, "TOKEN_INVALID"],
    ] as const;
    for (const [change, code] of cases) {
      expect(await codeOf(lab.admission.join({ ...request, ...change }, "10.0.0.9"))).toBe(code);
    }
    expect(await codeOf(lab.admission.join(request, "10.0.0.9"))).toBe("ok");
  });

  it("stops answering an address after ten wrong tokens in a minute, without asking the store, and others go on", async () => {
    const wrong = lab.joinRequest(
      formatJoinToken({ ...parseJoinToken(await lab.token()), secret: new Uint8Array(32) }),
      "web",
    );
    for (let count = 0; count < 10; count += 1) await codeOf(lab.admission.join(wrong, "fd00::1:0:0:0:1"));
    const token = await lab.token();
    const right = lab.joinRequest(token, "web");
    const calls = (lab.store as MemoryClusterStore).state.calls;
    const reads = calls.get("get");
    // The whole /64 counts as one.
    await expect(lab.admission.join(right, "fd00::1:0:0:0:2")).rejects.toMatchObject({
      code: ErrorCode.TOKEN_INVALID,
      retryable: true,
    });
    expect(calls.get("get")).toBe(reads);
    expect(await codeOf(lab.admission.join(lab.joinRequest(await lab.token(), "db"), "10.0.0.9"))).toBe("ok");
    await clock.advance(MINUTE_MS);
    expect(await codeOf(lab.admission.join(right, "fd00::1:0:0:0:2"))).toBe("ok");
  });

  it("is not to be had from a candidate that was removed", async () => {
    await lab.join("b", true);
    const removed = lab.candidate("b");
    await lab.remove("b");
    expect(await codeOf(removed.join(lab.joinRequest(await lab.token(), "web"), "10.0.0.9"))).toBe("TOKEN_INVALID");
    expect(await lab.record("web")).toBeNull();
  });
});

describe("a renewal", () => {
  function request(identity: PeerIdentity, key = newPrivateKey()) {
    const proof = signRenewal(key, identity.certificateFingerprint);
    return create(RenewRequestSchema, { publicKey: publicKeyBytes(key), proof });
  }

  it("records the new key, and the one before it while its certificate lasts", async () => {
    const caller = proven(await lab.join("web"));
    const before = await lab.record("web");
    await lab.admission.renew(request(caller), caller);
    const after = await lab.record("web");
    expect(after).toMatchObject({ previousKeyFingerprint: before?.keyFingerprint, labels: before?.labels });
    expect(after?.keyFingerprint).not.toBe(before?.keyFingerprint);
    // The answer got lost: the same host asks again with the key it has.
    await lab.admission.renew(request(caller), caller);
    expect((await lab.record("web"))?.previousKeyFingerprint).toBe(caller.keyFingerprint);
    expect(lab.events.at(-1)).toMatchObject({ action: "renew", subject: "web" });
  });

  it("is refused to who was removed, has another key on record, or does not sign with the new key", async () => {
    const caller = proven(await lab.join("web"));
    expect(await codeOf(lab.admission.renew({ ...request(caller), proof: new Uint8Array(64) }, caller))).toBe(
      "IDENTITY_REFUSED",
    );
    const other = { ...caller, keyFingerprint: "0".repeat(64) };
    expect(await codeOf(lab.admission.renew(request(caller), other))).toBe("IDENTITY_REFUSED");
    await lab.remove("web");
    expect(await codeOf(lab.admission.renew(request(caller), caller))).toBe("NOT_A_MEMBER");
    expect(await lab.record("web")).toBeNull();
  });

  it("ends for a key that was replaced long ago", async () => {
    const first = proven(await lab.join("web"));
    const key = newPrivateKey();
    await lab.admission.renew(request(first, key), first);
    const month = 30 * 24 * 60 * MINUTE_MS;
    clock.wallOffsetMs = first.expiresAtMs + month - 1_000_000 - 1;
    expect(await codeOf(lab.admission.renew(request(first), first))).toBe("ok");
    clock.wallOffsetMs += month + 24 * 60 * MINUTE_MS;
    expect(await codeOf(lab.admission.renew(request(first), first))).toBe("IDENTITY_REFUSED");
  });

  it("keeps what another writes into the record at the same moment", async () => {
    const caller = proven(await lab.join("web"));
    const store = lab.store as MemoryClusterStore;
    const transact = store.transact.bind(store);
    let isFirst = true;
    store.transact = async (transaction, options) => {
      if (isFirst) {
        isFirst = false;
        const record = await lab.record("web");
        if (!record) throw new Error("no record");
        record.labels = { role: "web" };
        await transact({
          compare: [],
          then: [{ kind: "put", key: lab.keys.member("web"), value: encodeMember(record) }],
        });
      }
      return transact(transaction, options);
    };
    await lab.admission.renew(request(caller), caller);
    expect((await lab.record("web"))?.labels).toEqual({ role: "web" });
  });

  it("is limited per member", async () => {
    const caller = proven(await lab.join("web"));
    for (let count = 0; count < 10; count += 1)
      await codeOf(lab.admission.renew({ ...request(caller), proof: new Uint8Array() }, caller));
    await expect(lab.admission.renew(request(caller), caller)).rejects.toMatchObject({ retryable: true });
  });
});
