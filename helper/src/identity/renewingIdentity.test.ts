import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { IdentityLab } from "../testing/identityLab.ts";
import { encodeIdentity } from "./identityRecord.ts";
import { IdentityStore } from "./identityStore.ts";
import type { IdentityRenewal, RenewingIdentity } from "./renewingIdentity.ts";
import { encodeBundle } from "./trustBundle.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let clock: FakeClock;
let lab: IdentityLab;
const started: RenewingIdentity[] = [];

beforeEach(async () => {
  clock = new FakeClock();
  lab = await IdentityLab.create({ clock });
});
afterEach(async () => {
  for (const identity of started.splice(0)) await identity.stop();
  lab.close();
});

function start(identity: RenewingIdentity, renewal: IdentityRenewal): RenewingIdentity {
  started.push(identity);
  identity.start(renewal);
  return identity;
}

const direct: IdentityRenewal = (request, self) => lab.admission.renew(request, self);
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

async function until(holds: () => boolean): Promise<void> {
  for (let count = 0; count < 2_000 && !holds(); count += 1) await settled();
  expect(holds()).toBe(true);
}

describe("IdentityStore", () => {
  it("keeps everything to root, and writes what an etcd reads", async () => {
    const stateDir = lab.stateDirectory();
    const store = new IdentityStore(stateDir);
    const stored = await lab.join("web");
    await store.writeIdentity(stored);
    await store.writeSealKey(lab.founding.sealKey);
    await store.writeAuthority(lab.founding.authority.toRecord(lab.founding.sealKey));
    expect(await store.readIdentity()).toEqual(stored);
    expect(await store.readSealKey()).toEqual(Buffer.from(lab.founding.sealKey));
    const directory = join(stateDir, "cluster");
    const mode = (path: string) => statSync(path).mode & 0o777;
    expect([mode(directory), mode(store.tlsDirectory)]).toEqual([0o700, 0o700]);
    for (const name of ["identity.json", "seal.key", "authority.json"]) expect(mode(join(directory, name))).toBe(0o600);
    expect(readdirSync(store.tlsDirectory).sort()).toEqual(["ca.pem", "cert.pem", "key.pem"]);
    for (const name of readdirSync(store.tlsDirectory)) expect(mode(join(store.tlsDirectory, name))).toBe(0o600);
    expect(new X509Certificate(readFileSync(join(store.tlsDirectory, "cert.pem"))).subject).toBe("CN=web");
    await store.remove();
    expect(await store.readIdentity()).toBeNull();
    expect(await store.readSealKey()).toBeNull();
    expect(readdirSync(store.tlsDirectory)).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)("lets a group read the files of an etcd elsewhere (needs root)", async () => {
    const directory = join(lab.stateDirectory(), "etcd-tls");
    const store = new IdentityStore(lab.stateDirectory(), { directory, groupId: 12_345 });
    await store.writeIdentity(await lab.join("web"));
    const { mode, gid } = statSync(directory);
    expect([mode & 0o777, gid]).toEqual([0o750, 12_345]);
    const key = statSync(join(directory, "key.pem"));
    expect([key.mode & 0o777, key.gid]).toEqual([0o640, 12_345]);
  });

  it("says what is wrong with a damaged file, and nothing of what is in it", async () => {
    const stateDir = lab.stateDirectory();
    const store = new IdentityStore(stateDir);
    const stored = await lab.join("web");
    const other = await lab.join("db");
    await store.writeIdentity(stored);
    const path = join(stateDir, "cluster/identity.json");
    const text = readFileSync(path, "utf8");
    const wrong = [
      text.slice(0, 300),
      text.replace("web", "wob"),
      "null",
      "",
      encodeIdentity({ ...stored, keyPem: other.keyPem }),
      encodeIdentity({ ...stored, name: "db" }),
      encodeIdentity({ ...stored, trustDomain: "other" }),
      encodeIdentity({ ...stored, chainPem: "x" }),
      encodeIdentity({ ...stored, bundlePem: stored.chainPem }),
    ];
    for (const one of wrong) {
      writeFileSync(path, one);
      const failure = await lab.openIdentity(stateDir).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: ErrorCode.IDENTITY_REFUSED });
      expect((failure as Failure).message).not.toMatch(/PRIVATE|MII/);
    }
    await expect(lab.openIdentity(lab.stateDirectory())).rejects.toMatchObject({ code: ErrorCode.NOT_A_MEMBER });
    writeFileSync(join(stateDir, "cluster/seal.key"), "abc");
    await expect(store.readSealKey()).rejects.toMatchObject({ code: ErrorCode.IDENTITY_REFUSED });
  });
});

describe("RenewingIdentity", () => {
  it("renews before two thirds of its life are over, and tells", async () => {
    const stateDir = lab.stateDirectory();
    const identity = start(await lab.identity(await lab.join("web"), stateDir), direct);
    const { keyFingerprint, expiresAtMs } = identity;
    let changes = 0;
    identity.onChange(() => {
      changes += 1;
    });
    clock.wallOffsetMs += 14 * HOUR_MS;
    await clock.advance(60_000);
    await settled();
    expect(changes).toBe(0);
    clock.wallOffsetMs += 2 * HOUR_MS;
    await clock.advance(60_000);
    await until(() => changes > 0);
    expect(identity.expiresAtMs).toBeGreaterThan(expiresAtMs);
    expect(identity.keyFingerprint).not.toBe(keyFingerprint);
    expect((await lab.record("web"))?.keyFingerprint).toBe(identity.keyFingerprint);
    expect(identity.problems()).toEqual([]);
    expect((await lab.openIdentity(stateDir)).keyFingerprint).toBe(identity.keyFingerprint);
  });

  it("says early that it cannot be renewed, tries again, and shows nothing once it is over", async () => {
    let calls = 0;
    const identity = start(await lab.identity(await lab.join("web")), () => {
      calls += 1;
      return Promise.reject(new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "Nobody is there." }));
    });
    clock.wallOffsetMs += 17 * HOUR_MS;
    await clock.advance(60_000);
    await until(() => calls === 1);
    await clock.advance(30_000);
    await until(() => calls > 1 && identity.problems().length > 0);
    expect(identity.problems().join()).toMatch(/not renewed yet.*Nobody is there/);
    expect(identity.credentials().cert).toContain("BEGIN CERTIFICATE");
    clock.wallOffsetMs += 8 * HOUR_MS;
    expect(() => identity.credentials()).toThrow(
      expect.objectContaining({ code: ErrorCode.IDENTITY_REFUSED, retryable: true }),
    );
    expect(identity.problems().join()).toMatch(/takes no part/);
    expect(identity.renewalCredentials().cert).toContain("BEGIN CERTIFICATE");
  });

  it("asks with one key again when the answer got lost, also after a restart", async () => {
    const stateDir = lab.stateDirectory();
    const identity = await lab.identity(await lab.join("web"), stateDir);
    let lost = "";
    start(identity, async (request, self) => {
      await lab.admission.renew(request, self);
      lost = Buffer.from(request.publicKey).toString("hex");
      throw new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message: "lost" });
    });
    await expect(identity.renewNow()).rejects.toMatchObject({ code: ErrorCode.DEADLINE_EXCEEDED });
    await identity.stop();
    const again = await lab.openIdentity(stateDir);
    expect(again.keyFingerprint).toBe(identity.keyFingerprint);
    let asked = "";
    start(again, (request, self) => {
      asked = Buffer.from(request.publicKey).toString("hex");
      return direct(request, self);
    });
    await again.renewNow();
    expect(asked).toBe(lost);
    expect((await lab.record("web"))?.keyFingerprint).toBe(again.keyFingerprint);
  });

  it("keeps what it has when the answer is not for it", async () => {
    const identity = await lab.identity(await lab.join("web"));
    const { keyFingerprint } = identity;
    const answers: IdentityRenewal[] = [
      async (request, self) => ({
        ...(await direct(request, self)),
        certificateChainPem: identity.credentials().cert as string,
      }),
      async (request, self) => ({ ...(await direct(request, self)), bundlePem: "" }),
      async (request, self) => ({
        ...(await direct(request, self)),
        bundlePem: (await IdentityLab.create({ clock })).founding.authority.bundlePem,
      }),
    ];
    for (const answer of answers) {
      identity.start(answer);
      await expect(identity.renewNow()).rejects.toMatchObject({ code: ErrorCode.IDENTITY_REFUSED });
      await identity.stop();
      expect(identity.keyFingerprint).toBe(keyFingerprint);
    }
  });

  it("two renewals at once are one", async () => {
    let calls = 0;
    const identity = start(await lab.identity(await lab.join("web")), (request, self) => {
      calls += 1;
      return direct(request, self);
    });
    await Promise.all([identity.renewNow(), identity.renewNow()]);
    expect(calls).toBe(1);
  });

  it("gives a candidate that was off too long a new certificate for its old key, and a plain member none", async () => {
    const { identity: stored, authority, sealKey } = lab.founding;
    const stateDir = lab.stateDirectory();
    const store = new IdentityStore(stateDir);
    await store.writeIdentity(stored);
    await store.writeSealKey(sealKey);
    await store.writeAuthority(authority.toRecord(sealKey));
    const plainDir = lab.stateDirectory();
    await new IdentityStore(plainDir).writeIdentity(await lab.join("web"));
    clock.wallOffsetMs += 5 * DAY_MS;
    const candidate = await lab.openIdentity(stateDir);
    expect(candidate.expiresAtMs).toBeGreaterThan(clock.wallMs());
    expect((await lab.record("a"))?.keyFingerprint).toBe(candidate.keyFingerprint);
    expect(candidate.credentials().cert).toContain("BEGIN");
    const plain = await lab.openIdentity(plainDir);
    expect(() => plain.credentials()).toThrow(Failure);
    // But it may ask for one.
    start(plain, direct);
    await plain.renewNow();
    expect(plain.credentials().cert).toContain("BEGIN");
  });

  it("adopts the roots that its own vouch for, keeps them over a restart, and refuses others", async () => {
    const stateDir = lab.stateDirectory();
    const identity = await lab.identity(await lab.join("web"), stateDir);
    const changed = await lab.authorityStore.update(
      (authority) => authority.withNextRoot(clock.wallMs()),
      () => [],
    );
    const { item } = await lab.store.get(lab.keys.bundle);
    await identity.adoptBundle(item?.value ?? new Uint8Array());
    expect(identity.roots.certificates).toHaveLength(2);
    expect((await lab.openIdentity(stateDir)).roots.certificates).toHaveLength(2);
    // An older one changes nothing, a stranger's is refused.
    await identity.adoptBundle(encodeBundle(lab.founding.authority.bundle));
    expect(identity.roots.certificates).toHaveLength(2);
    const stranger = await (await IdentityLab.create({ clock })).founding.authority.withNextRoot(clock.wallMs());
    const forged = encodeBundle({ ...stranger.bundle, sequence: 99n });
    await expect(identity.adoptBundle(forged)).rejects.toMatchObject({ code: ErrorCode.IDENTITY_REFUSED });
    await lab.authorityStore.update(
      (authority) => authority.withNextRootSigning(clock.wallMs()),
      () => [],
    );
    start(identity, direct);
    await identity.renewNow();
    expect(identity.credentials().cert).toContain(changed.bundlePem.slice(-120, -60));
  });
});
