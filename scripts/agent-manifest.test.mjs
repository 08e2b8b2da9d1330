import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeFile, keyId, SIGNED_PREFIX, SigningError, signingKey, writeManifest } from "./agent-manifest.mjs";

let directory;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-manifest-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const modeOf = (path) => statSync(path).mode & 0o777;

describe("the signing key", () => {
  it("of a checkout is made once, and only its owner can read it", () => {
    const first = signingKey(directory, {});
    const place = join(directory, ".cache/signing");
    expect([modeOf(place), modeOf(join(place, "developer.key.pem"))]).toEqual([0o700, 0o600]);
    const published = createPublicKey(readFileSync(join(place, "developer.pub.pem")));
    expect(keyId(published)).toBe(keyId(createPublicKey(first.key)));
    expect(keyId(createPublicKey(signingKey(directory, {}).key))).toBe(keyId(published));
  });

  it("of a release comes from a file that others cannot read, and is Ed25519", () => {
    const path = join(directory, "release.pem");
    const write = (key) => writeFileSync(path, key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    write(privateKey);
    const given = signingKey(directory, { WARDLINE_SIGNING_KEY: path });
    expect(keyId(createPublicKey(given.key))).toBe(keyId(publicKey));
    chmodSync(path, 0o640);
    expect(() => signingKey(directory, { WARDLINE_SIGNING_KEY: path })).toThrow("can be read by others");
    chmodSync(path, 0o600);
    write(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
    expect(() => signingKey(directory, { WARDLINE_SIGNING_KEY: path })).toThrow("it has to be Ed25519");
    expect(() => signingKey(directory, { WARDLINE_SIGNING_KEY: join(directory, "none") })).toThrow(SigningError);
  });
});

describe("the manifest", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const read = () => JSON.parse(readFileSync(join(directory, "manifest.json"), "utf8"));

  function write(platform, build = "b1") {
    const name = `agent-${platform}.gz`;
    writeFileSync(join(directory, name), `${platform} ${build}`);
    const agent = { platform, sizeBytes: 1, sha256: "0".repeat(64), packed: describeFile(directory, name) };
    return writeManifest(directory, { version: "1.0.0", build, agent, services: [] }, privateKey);
  }

  it("is signed under its own name", () => {
    const id = write("linux-x64");
    const [algorithm, named, signature] = readFileSync(join(directory, "manifest.sig"), "utf8").trim().split(" ");
    expect([algorithm, named]).toEqual(["ed25519", id]);
    const signed = Buffer.concat([Buffer.from(SIGNED_PREFIX), readFileSync(join(directory, "manifest.json"))]);
    expect(verify(null, signed, publicKey, Buffer.from(signature, "base64"))).toBe(true);
  });

  it("keeps agents of other platforms from the same build, while their files are what it says", () => {
    write("linux-x64");
    write("linux-arm64");
    expect(read().agents.map(({ platform }) => platform)).toEqual(["linux-arm64", "linux-x64"]);
    writeFileSync(join(directory, "agent-linux-x64.gz"), "something else");
    write("linux-arm64");
    expect(read().agents.map(({ platform }) => platform)).toEqual(["linux-arm64"]);
    write("darwin-x64", "b2");
    expect(read().agents.map(({ platform }) => platform)).toEqual(["darwin-x64"]);
  });
});
