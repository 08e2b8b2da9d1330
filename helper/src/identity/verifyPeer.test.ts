import { createPublicKey } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { authorityNames, type ForgedCertificate, type Forgery, forge } from "../testing/certificateForge.ts";
import { fingerprintOfKey, readCertificate } from "./certificate.ts";
import { encodePem } from "./pem.ts";
import { type Roots, readRoots } from "./trustBundle.ts";
import { verifyPeer } from "./verifyPeer.ts";
import { loadX509 } from "./x509.ts";

const NOW_MS = Date.parse("2026-11-21T12:00:00Z");
const HOUR_MS = 3_600_000;
const host = (name: string, trustDomain = "demo") => [
  { type: "url" as const, value: `spiffe://${trustDomain}/host/${name}` },
];
const good: Forgery = { names: host("a") };

let root: ForgedCertificate;
let roots: Roots;

async function rootsOf(...certificates: ForgedCertificate[]): Promise<Roots> {
  return readRoots("demo", encodePem(certificates.map(({ der }) => der)));
}

const authority: Forgery = { isAuthority: true, names: authorityNames("demo"), commonName: "Demo" };

beforeAll(async () => {
  root = await forge(authority, NOW_MS);
  roots = await rootsOf(root);
});

async function judge(forgery: Forgery, chain: readonly ForgedCertificate[] = []) {
  const leaf = await forge({ issuer: root, ...forgery }, NOW_MS);
  return verifyPeer([leaf.der, ...chain.map(({ der }) => der)], roots, NOW_MS);
}

function expectRefused(outcome: unknown, reason: RegExp): void {
  expect(outcome).toBeInstanceOf(Failure);
  expect((outcome as Failure).code).toBe(ErrorCode.IDENTITY_REFUSED);
  expect((outcome as Failure).message).toMatch(reason);
}

describe("verifyPeer", () => {
  it("gives the identity of a member", async () => {
    const leaf = await forge({ ...good, issuer: root }, NOW_MS);
    const { keyFingerprint, fingerprint } = readCertificate(leaf.der);
    expect(keyFingerprint).toBe(fingerprintOfKey(createPublicKey(leaf.privateKey)));
    expect(verifyPeer([leaf.der], roots, NOW_MS)).toMatchObject({
      kind: "host",
      name: "a",
      spiffeId: { trustDomain: "demo", segments: ["host", "a"] },
      keyFingerprint,
      certificateFingerprint: fingerprint,
    });
  });

  it("takes other names beside the one identity", async () => {
    const names = [...host("a"), { type: "dns" as const, value: "a" }, { type: "ip" as const, value: "10.0.0.1" }];
    expect(await judge({ names })).toMatchObject({ name: "a" });
  });

  it("follows an intermediate, and only one that is shown", async () => {
    const between = await forge({ ...authority, commonName: "Between", issuer: root }, NOW_MS);
    expect(await judge({ ...good, issuer: between }, [between])).toMatchObject({ name: "a" });
    expectRefused(await judge({ ...good, issuer: between }), /does not lead to the authority/);
  });

  const byForgery: [string, Forgery, RegExp][] = [
    ["two identities", { names: [...host("a"), ...host("b")] }, /2 identities/],
    ["no identity", { names: [{ type: "dns", value: "a" }] }, /0 identities/],
    ["no names at all", {}, /0 identities/],
    [
      "an authority as a leaf",
      { ...good, isAuthority: true, usages: ["digitalSignature", "keyCertSign"] },
      /authority, which never/,
    ],
    [
      "an authority without the right to sign",
      { ...good, isAuthority: true, usages: ["digitalSignature"] },
      /authority, which never/,
    ],
    [
      "a leaf that may sign certificates",
      { ...good, usages: ["digitalSignature", "keyCertSign"] },
      /not for authentication/,
    ],
    ["a leaf that may sign lists", { ...good, usages: ["digitalSignature", "cRLSign"] }, /not for authentication/],
    ["a key that may not authenticate", { ...good, usages: ["keyAgreement"] }, /not for authentication/],
    ["no key usage", { ...good, usages: null }, /not for authentication/],
    ["a key usage that may be ignored", { ...good, usagesCritical: false }, /not for authentication/],
    ["servers only", { ...good, extendedUsages: ["1.3.6.1.5.5.7.3.1"] }, /not for clients and servers/],
    ["no extended usage", { ...good, extendedUsages: null }, /not for clients and servers/],
    ["a certificate that is over", { ...good, expiresAtMs: NOW_MS }, /ended at 2026-11-21T12:00:00Z/],
    ["one that is not valid yet", { ...good, startsAtMs: NOW_MS + 1_000 }, /starts only at/],
    ["another trust domain", { names: host("a", "other") }, /another trust domain/],
    ["a trust domain that begins with ours", { names: host("a", "demo.evil") }, /another trust domain/],
    [
      "a user in front of another domain",
      { names: [{ type: "url", value: "spiffe://demo@evil/host/a" }] },
      /no SPIFFE ID/,
    ],
    ["a port", { names: [{ type: "url", value: "spiffe://demo:1/host/a" }] }, /no SPIFFE ID/],
    ["the trust domain itself", { names: authorityNames("demo") }, /no SPIFFE ID/],
    ["a path that goes up", { names: [{ type: "url", value: "spiffe://demo/server/../host/a" }] }, /no SPIFFE ID/],
    [
      "a workload that nobody here gives",
      { names: [{ type: "url", value: "spiffe://demo/workload/a" }] },
      /neither that of a host/,
    ],
    [
      "more than one path element",
      { names: [{ type: "url", value: "spiffe://demo/host/a/b" }] },
      /neither that of a host/,
    ],
    ["a NUL", { names: [{ type: "url", value: "spiffe://demo/host/a\0.evil" }] }, /no SPIFFE ID/],
    [
      "a list within one name",
      { names: [{ type: "url", value: "spiffe://demo/host/a, URI:spiffe://demo/host/b" }] },
      /no SPIFFE ID/,
    ],
  ];

  it.each(byForgery)("refuses %s", async (_what, forgery, reason) => {
    expectRefused(await judge(forgery), reason);
  });

  it("does not read identities out of other kinds of names", async () => {
    // As one line of text, this looks like a name and an identity.
    const trap = [{ type: "dns" as const, value: "x, URI:spiffe://demo/host/admin" }];
    expectRefused(await judge({ names: trap }), /0 identities/);
    expect(await judge({ names: [...trap, ...host("a")] })).toMatchObject({ name: "a" });
  });

  it("refuses who signed itself, and an authority of the same name with another key", async () => {
    expectRefused(verifyPeer([(await forge(good, NOW_MS)).der], roots, NOW_MS), /does not lead/);
    const impostor = await forge(authority, NOW_MS);
    expectRefused(await judge({ ...good, issuer: impostor }, [impostor]), /does not lead/);
  });

  it("refuses a member that signs for another one", async () => {
    const member = await forge({ ...good, issuer: root }, NOW_MS);
    expectRefused(await judge({ names: host("b"), issuer: member }, [member]), /does not lead|no authority/);
  });

  it("refuses intermediates without the right, over, too deep, or of another domain", async () => {
    const cases: [Forgery, RegExp][] = [
      [{ ...authority, isAuthority: false, usages: ["keyCertSign"] }, /no authority/],
      [{ ...authority, usages: ["cRLSign"] }, /does not lead|no authority/],
      [{ ...authority, expiresAtMs: NOW_MS - 1_000 }, /who signed it ended/],
      [{ ...authority, names: authorityNames("other") }, /another trust domain/],
    ];
    for (const [forgery, reason] of cases) {
      const between = await forge({ ...forgery, commonName: "Between", issuer: root }, NOW_MS);
      expectRefused(await judge({ ...good, issuer: between }, [between]), reason);
    }
    const flat = await forge({ ...authority, pathLength: 0 }, NOW_MS);
    const between = await forge({ ...authority, commonName: "Between", issuer: flat }, NOW_MS);
    const leaf = await forge({ ...good, issuer: between }, NOW_MS);
    expectRefused(verifyPeer([leaf.der, between.der], await rootsOf(flat), NOW_MS), /too deep/);
  });

  it("refuses a chain below a root that is over", async () => {
    const old = await forge({ ...authority, expiresAtMs: NOW_MS - HOUR_MS, startsAtMs: NOW_MS - 9 * HOUR_MS }, NOW_MS);
    const leaf = await forge({ ...good, issuer: old }, NOW_MS);
    expectRefused(verifyPeer([leaf.der], await rootsOf(old), NOW_MS), /who signed it ended/);
  });

  it("refuses the root itself, even in our own bundle", () => {
    expectRefused(verifyPeer([root.der], roots, NOW_MS), /authority, which never/);
  });

  it("refuses critical extensions that it does not know", async () => {
    const { Extension } = await loadX509();
    const strange = new Extension("1.2.3.4.5", true, new Uint8Array([5, 0]));
    expectRefused(await judge({ ...good, extensions: [strange] }), /not understood/);
    const harmless = new Extension("1.2.3.4.5", false, new Uint8Array([5, 0]));
    expect(await judge({ ...good, extensions: [harmless] })).toMatchObject({ name: "a" });
  });

  it("refuses nothing, too many certificates, too many bytes", async () => {
    expectRefused(verifyPeer([], roots, NOW_MS), /there is none/);
    const leaf = await forge({ ...good, issuer: root }, NOW_MS);
    expectRefused(verifyPeer([leaf.der, root.der, root.der, root.der, root.der], roots, NOW_MS), /too long/);
    expectRefused(verifyPeer([leaf.der, new Uint8Array(33 * 1024)], roots, NOW_MS), /too long/);
  });

  it("trusts every root of the bundle, and none when there is none", async () => {
    const next = await forge({ ...authority, commonName: "Next" }, NOW_MS);
    const leaf = await forge({ ...good, issuer: next }, NOW_MS);
    expectRefused(verifyPeer([leaf.der], roots, NOW_MS), /does not lead/);
    expect(verifyPeer([leaf.der], await rootsOf(root, next), NOW_MS)).toMatchObject({ name: "a" });
    expectRefused(verifyPeer([leaf.der], { trustDomain: "demo", certificates: [] }, NOW_MS), /does not lead/);
  });

  it("never throws and never proves anybody from changed bytes", async () => {
    const leaf = await forge({ ...good, issuer: root }, NOW_MS);
    const changes = fc.record({ at: fc.nat(leaf.der.length - 1), to: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(changes, { minLength: 1, maxLength: 3 }), (edits) => {
        const bytes = Uint8Array.from(leaf.der);
        for (const { at, to } of edits) bytes[at] = to;
        const isChanged = !Buffer.from(bytes).equals(leaf.der);
        const outcome = verifyPeer([bytes], roots, NOW_MS);
        return outcome instanceof Failure ? outcome.code === ErrorCode.IDENTITY_REFUSED : !isChanged;
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => verifyPeer([bytes], roots, NOW_MS) instanceof Failure),
    );
  });
});
