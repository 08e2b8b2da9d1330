import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { inspect } from "node:util";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type AuthorityRecord, AuthorityRecordSchema, RootState } from "@wardline/api/wardline/v1/identity";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { Authority, CLOCK_SKEW_MS, MEMBER_LIFE_MS } from "./authority.ts";
import { readCertificate } from "./certificate.ts";
import { newPrivateKey } from "./keyPairs.ts";
import { decodePem } from "./pem.ts";
import { newSealKey } from "./sealing.ts";
import { MAX_SERVER_LIFE_MS } from "./serverRequest.ts";
import { serverUserOf, storeUserOf } from "./storeUsers.ts";
import { adoptBundle, decodeBundle, encodeBundle } from "./trustBundle.ts";
import { verifyPeer } from "./verifyPeer.ts";

const NOW_MS = Date.parse("2026-11-21T12:00:00Z");
const DAY_MS = 86_400_000;
const make = () => Authority.create("demo", "demo.wardline", NOW_MS);
const newPublicKey = (): KeyObject => createPublicKey(newPrivateKey());
const failing = (run: () => unknown): Failure => {
  try {
    run();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

function member(authority: Authority, nowMs = NOW_MS) {
  return authority.issueMember({ name: "web-1", publicKey: newPublicKey(), ipAddress: "10.0.0.2", nowMs });
}

describe("Authority", () => {
  it("gives a member a certificate for peers and for etcd", async () => {
    const authority = await make();
    const issued = await member(authority);
    const [leaf, root] = decodePem(issued.chainPem) as [Uint8Array, Uint8Array];
    const facts = readCertificate(leaf);
    expect(facts.uris).toEqual(["spiffe://demo.wardline/host/web-1"]);
    expect(facts.dnsNames).toEqual(["web-1"]);
    expect(facts.ipAddresses.map((bytes) => bytes.join("."))).toEqual(["10.0.0.2"]);
    expect(facts.x509.subject).toBe("CN=web-1");
    expect(facts.startsAtMs).toBe(NOW_MS - CLOCK_SKEW_MS);
    expect(facts.expiresAtMs).toBe(NOW_MS + MEMBER_LIFE_MS);
    expect(readCertificate(root).fingerprint).toBe(authority.signingFingerprint);
    expect(verifyPeer([leaf], authority.trusted, NOW_MS)).toMatchObject({ name: "web-1" });
    // What OpenSSL makes of it.
    expect(new X509Certificate(leaf).checkIP("10.0.0.2")).toBe("10.0.0.2");
    expect(new X509Certificate(leaf).verify(new X509Certificate(root).publicKey)).toBe(true);
  });

  it("never gives two certificates one serial number", async () => {
    const authority = await make();
    const all = await Promise.all(Array.from({ length: 20 }, () => member(authority)));
    const serials = all.map(({ chainPem }) => new X509Certificate(chainPem).serialNumber);
    expect(new Set(serials).size).toBe(20);
    expect(serials.every((serial) => /^[4-7]/.test(serial))).toBe(true);
  });

  it("gives servers what they ask for and nothing that no server may have", async () => {
    const authority = await make();
    const request = {
      name: "etcd-1",
      publicKey: newPublicKey(),
      dnsNames: ["etcd.example"],
      ipAddresses: ["127.0.0.1", "fd00::1"],
      nowMs: NOW_MS,
    };
    const { chainPem } = await authority.issueServer({ ...request, lifeMs: 7 * DAY_MS });
    const facts = readCertificate(decodePem(chainPem)[0] as Uint8Array);
    expect(facts.uris).toEqual(["spiffe://demo.wardline/server/etcd-1"]);
    expect(facts.ipAddresses.map(({ length }) => length)).toEqual([4, 16]);
    const wrong = [
      { lifeMs: 1_000 },
      { lifeMs: 91 * DAY_MS },
      { lifeMs: Number.NaN },
      { lifeMs: DAY_MS, name: "a.b" },
      { lifeMs: DAY_MS, dnsNames: ["*.example"] },
      { lifeMs: DAY_MS, dnsNames: ["a, URI:spiffe://demo.wardline/host/a"] },
      { lifeMs: DAY_MS, ipAddresses: ["10.0.0.1/8"] },
      { lifeMs: DAY_MS, dnsNames: Array.from({ length: 17 }, (_, index) => `n${index}`) },
    ];
    for (const change of wrong) {
      expect(failing(() => authority.issueServer({ ...request, ...change })).code).toBe(ErrorCode.INVALID_ARGUMENT);
    }
  });

  it("never lets two identities share a user of etcd, and no member be its administrator", () => {
    const long = "a".repeat(63);
    const names = ["root", "a", `${long}.b`, `${long}.c`, "server"];
    const users = [...names.map(storeUserOf), ...["root", "a"].map(serverUserOf)];
    expect(new Set(users).size).toBe(users.length);
    expect(users).not.toContain("root");
    expect(users.every((user) => user.length <= 64)).toBe(true);
  });

  it("comes back from its sealed record, and only with its own key and names", async () => {
    const authority = await make();
    const sealKey = newSealKey();
    const record = authority.toRecord(sealKey);
    const again = Authority.open(fromBinary(AuthorityRecordSchema, toBinary(AuthorityRecordSchema, record)), sealKey);
    expect(again.signingFingerprint).toBe(authority.signingFingerprint);
    expect(verifyPeer(decodePem((await member(again)).chainPem), authority.trusted, NOW_MS)).toMatchObject({
      name: "web-1",
    });
    const flipped = Uint8Array.from(record.roots[0]?.sealedKey ?? []);
    flipped[20] = (flipped[20] ?? 0) ^ 1;
    const other = await make();
    const otherKey = other.toRecord(sealKey).roots[0]?.sealedKey ?? new Uint8Array();
    const withKey = (sealedKey: Uint8Array) => ({
      ...record,
      roots: record.roots.map((root) => ({ ...root, sealedKey })),
    });
    const wrong = [
      [record, newSealKey()],
      [{ ...record, clusterName: "other" }, sealKey],
      [{ ...record, trustDomain: "other.wardline" }, sealKey],
      [{ ...record, clusterName: "" }, sealKey],
      [{ ...record, roots: [] }, sealKey],
      [withKey(flipped), sealKey],
      [withKey(otherKey), sealKey],
      [withKey(new Uint8Array(5)), sealKey],
      [withKey(new Uint8Array()), sealKey],
    ] as [AuthorityRecord, Uint8Array][];
    for (const [changed, key] of wrong) {
      expect(failing(() => Authority.open(changed, key)).code).toBe(ErrorCode.IDENTITY_REFUSED);
    }
  });

  it("shows its keys nowhere: not when printed, logged, turned into JSON or sealed", async () => {
    const authority = await make();
    const sealKey = newSealKey();
    const lines: string[] = [];
    pino({ base: null }, { write: (line: string) => lines.push(line) }).info(
      { authority, roots: authority.roots },
      "x",
    );
    const record = authority.toRecord(sealKey);
    const shown = [
      inspect(authority, { depth: 9, showHidden: true }),
      JSON.stringify({ authority }, (_, value: unknown) => (typeof value === "bigint" ? "" : value)),
      ...lines,
      inspect(record, { depth: 9, maxArrayLength: null }),
    ].join("\n");
    expect(shown).not.toMatch(/PRIVATE|privateKey/);
    // The sealed key opens to PKCS#8, whose first bytes are always the same: they are not to be seen.
    const sealed = Buffer.from(record.roots[0]?.sealedKey ?? []);
    expect(sealed.includes(Buffer.from("301306072a8648ce3d020106082a8648ce3d030107", "hex"))).toBe(false);
  });

  it("ends certificates with its root, and issues none below a root that is over", async () => {
    const authority = await make();
    const rootEndMs = authority.roots[0]?.certificate.expiresAtMs ?? 0;
    expect((await member(authority, rootEndMs - 1_000)).expiresAtMs).toBe(rootEndMs);
    await expect(member(authority, rootEndMs)).rejects.toMatchObject({ code: ErrorCode.IDENTITY_REFUSED });
  });

  it.each([
    ["De mo", "demo"],
    ["demo", "de mo"],
    ["demo", "a\nb"],
    ["", "demo"],
    ["demo", ""],
  ])("refuses the names %j and %j", async (name, domain) => {
    await expect(Authority.create(name, domain, NOW_MS)).rejects.toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  });
});

describe("a change of roots", () => {
  it("is trusted before it signs, and the old root until its last certificate is over", async () => {
    const first = await make();
    const old = await member(first);
    const prepared = await first.withNextRoot(NOW_MS);
    expect(prepared.signingFingerprint).toBe(first.signingFingerprint);
    expect(prepared.trusted.certificates).toHaveLength(2);
    const signing = prepared.withNextRootSigning(NOW_MS + DAY_MS);
    expect(signing.signingFingerprint).not.toBe(first.signingFingerprint);
    const fresh = await member(signing, NOW_MS + DAY_MS);
    // Both hold for everybody who has the bundle of now; the new one also for who has only heard of the preparation.
    expect(verifyPeer(decodePem(old.chainPem), signing.trusted, NOW_MS)).toMatchObject({ name: "web-1" });
    expect(verifyPeer(decodePem(fresh.chainPem), signing.trusted, NOW_MS + DAY_MS)).toMatchObject({ name: "web-1" });
    expect(verifyPeer(decodePem(fresh.chainPem), prepared.trusted, NOW_MS + DAY_MS)).toMatchObject({ name: "web-1" });
    expect(verifyPeer(decodePem(fresh.chainPem), first.trusted, NOW_MS + DAY_MS)).toBeInstanceOf(Failure);
    // The old key is gone, the old certificate is not.
    expect(signing.toRecord(newSealKey()).roots.map(({ state, sealedKey }) => [state, sealedKey.length > 0])).toEqual([
      [RootState.RETIRING, false],
      [RootState.SIGNING, true],
    ]);
    expect(signing.withoutRetired(NOW_MS + DAY_MS + MAX_SERVER_LIFE_MS)).toBe(signing);
    expect(signing.withoutRetired(NOW_MS + 2 * DAY_MS + MAX_SERVER_LIFE_MS).trusted.certificates).toHaveLength(1);
    expect([first.sequence, prepared.sequence, signing.sequence]).toEqual([1n, 2n, 3n]);
  });

  it("is refused out of order", async () => {
    const authority = await make();
    expect(failing(() => authority.withNextRootSigning(NOW_MS)).code).toBe(ErrorCode.NOT_FOUND);
    const prepared = await authority.withNextRoot(NOW_MS);
    await expect(prepared.withNextRoot(NOW_MS)).rejects.toMatchObject({ code: ErrorCode.ALREADY_EXISTS });
  });

  it("reaches members by bundles that a root they trust has signed, and only forwards", async () => {
    const first = await make();
    const prepared = await first.withNextRoot(NOW_MS);
    const bundle = decodeBundle(encodeBundle(prepared.bundle));
    expect(adoptBundle(first.trusted, first.sequence, bundle)?.certificates).toHaveLength(2);
    expect(adoptBundle(first.trusted, prepared.sequence, bundle)).toBeNull();
    const stranger = await (await make()).withNextRoot(NOW_MS);
    expect(failing(() => adoptBundle(first.trusted, 1n, stranger.bundle)).message).toMatch(/signed by nobody/);
    expect(failing(() => adoptBundle(first.trusted, 1n, { ...bundle, sequence: 9n })).message).toMatch(
      /signed by nobody/,
    );
    const smuggled = { ...bundle, certificatesPem: [...bundle.certificatesPem, ...stranger.bundle.certificatesPem] };
    expect(failing(() => adoptBundle(first.trusted, 1n, smuggled)).message).toMatch(/signed by nobody/);
    expect(failing(() => adoptBundle(first.trusted, 1n, { ...bundle, signatures: [] })).code).toBe(
      ErrorCode.IDENTITY_REFUSED,
    );
    expect(failing(() => decodeBundle(Buffer.from("{"))).code).toBe(ErrorCode.IDENTITY_REFUSED);
    const own = { ...bundle, trustDomain: "other" };
    expect(failing(() => adoptBundle(first.trusted, 1n, own)).message).toMatch(/another trust domain/);
  });
});
