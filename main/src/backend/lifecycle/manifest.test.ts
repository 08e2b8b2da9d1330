import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentPackage, readTrustedKeys, type TrustedKey, verifyManifest } from "./manifest.ts";

const digest = "ab".repeat(32);
const CONTENT = {
  format: "wardline-agent-manifest/1",
  version: "1.2.3",
  build: "0123456789ab",
  agents: [
    { platform: "linux-x64", sizeBytes: 9, sha256: digest, packed: { name: "agent.gz", sizeBytes: 5, sha256: digest } },
  ],
  services: [{ name: "wardline-agent.service", sizeBytes: 3, sha256: digest }],
};

const keys = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("ed25519");

function idOf(key: KeyObject): string {
  const spki = key.export({ type: "spki", format: "der" });
  return `SHA256:${createHash("sha256").update(spki).digest("base64").replace("=", "")}`;
}

const trusted: readonly TrustedKey[] = [{ id: idOf(keys.publicKey), key: keys.publicKey, name: "the test key" }];

function bytesOf(content: unknown): Buffer {
  return Buffer.from(JSON.stringify(content));
}

function signatureOf(
  bytes: Uint8Array,
  { privateKey, publicKey } = keys,
  prefix = "wardline-agent-manifest/1\n",
): string {
  const signature = sign(null, Buffer.concat([Buffer.from(prefix), bytes]), privateKey).toString("base64");
  return `ed25519 ${idOf(publicKey)} ${signature}\n`;
}

async function failureOf(body: () => unknown): Promise<Failure> {
  try {
    await body();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("a manifest", () => {
  it("is what a trusted key has signed", () => {
    const bytes = bytesOf(CONTENT);
    expect(verifyManifest(bytes, signatureOf(bytes), trusted)).toMatchObject({
      version: "1.2.3",
      signedBy: "the test key",
      agents: [{ platform: "linux-x64" }],
    });
  });

  it.each([
    [
      "one byte changed",
      (bytes: Buffer) => [bytesOf({ ...CONTENT, version: "1.2.4" }), signatureOf(bytes)],
      "was changed",
    ],
    ["another key", (bytes: Buffer) => [bytes, signatureOf(bytes, stranger)], "not trusted here: SHA256:"],
    [
      "another key under the name of a trusted one",
      (bytes: Buffer) => [bytes, signatureOf(bytes, stranger).replace(/SHA256:\S+/, idOf(keys.publicKey))],
      "was changed",
    ],
    ["signed as something else", (bytes: Buffer) => [bytes, signatureOf(bytes, keys, "")], "was changed"],
    ["no signature", (bytes: Buffer) => [bytes, ""], "is not one"],
    ["two signatures", (bytes: Buffer) => [bytes, signatureOf(bytes).repeat(2)], "is not one"],
  ] as const)("is refused: %s", async (_, make, words) => {
    const [bytes, signature] = make(bytesOf(CONTENT)) as [Buffer, string];
    const failure = await failureOf(() => verifyManifest(bytes, signature, trusted));
    expect(failure.code).toBe(ErrorCode.MANIFEST_INVALID);
    expect(failure.message).toContain(words);
  });

  const [agent] = CONTENT.agents;
  it.each([
    ["another format", { ...CONTENT, format: "wardline-agent-manifest/2" }],
    ["a path for a name", { ...CONTENT, services: [{ ...CONTENT.services[0], name: "../../etc/passwd" }] }],
    ["a name with a dot first", { ...CONTENT, services: [{ ...CONTENT.services[0], name: ".bashrc" }] }],
    ["a digest that is none", { ...CONTENT, agents: [{ ...agent, sha256: "AB".repeat(32) }] }],
    ["a size of nothing", { ...CONTENT, agents: [{ ...agent, sizeBytes: 0 }] }],
    ["a size beyond all bounds", { ...CONTENT, agents: [{ ...agent, sizeBytes: 2 ** 40 }] }],
    ["a version with a line break", { ...CONTENT, version: "1.2.3\n" }],
    ["a list that is none", { ...CONTENT, services: {} }],
    ["text", "nothing"],
  ])("is refused although it is signed: %s", async (_, content) => {
    const bytes = bytesOf(content);
    const failure = await failureOf(() => verifyManifest(bytes, signatureOf(bytes), trusted));
    expect(failure.message).toContain("another format");
  });
});

describe("a package", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "wardline-package-"));
    mkdirSync(join(directory, "keys"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function write(content: Buffer): AgentPackage {
    const packed = {
      name: "agent.gz",
      sizeBytes: content.length,
      sha256: createHash("sha256").update(content).digest("hex"),
    };
    const bytes = bytesOf({ ...CONTENT, agents: [{ ...CONTENT.agents[0], packed }] });
    writeFileSync(join(directory, "manifest.json"), bytes);
    writeFileSync(join(directory, "manifest.sig"), signatureOf(bytes));
    writeFileSync(join(directory, "agent.gz"), content);
    const pem = keys.publicKey.export({ type: "spki", format: "pem" });
    writeFileSync(join(directory, "keys", "2026.pem"), pem);
    return new AgentPackage({ directory, releaseKeysDir: join(directory, "keys") });
  }

  it("gives files that are those of the manifest, and says when they are others", async () => {
    const made = write(Buffer.from("12345"));
    const { agents, signedBy } = await made.manifest();
    const packed = agents[0]!.packed;
    expect(signedBy).toBe('the release key "2026"');
    expect(Buffer.from(await made.content(packed)).toString()).toBe("12345");
    writeFileSync(join(directory, "agent.gz"), "12346");
    expect((await failureOf(() => made.content(packed))).code).toBe(ErrorCode.MANIFEST_INVALID);
  });

  it("says how to get one that is not there", async () => {
    const made = new AgentPackage({ directory, releaseKeysDir: directory });
    const failure = await failureOf(() => made.manifest());
    expect(failure).toMatchObject({ code: ErrorCode.NOT_FOUND });
    expect(failure.hint).toContain("npm run build:agent");
  });

  it("trusts release keys and the checkout's own, each by its name, and no key of another kind", async () => {
    write(Buffer.from("12345"));
    const checkoutKeyPath = join(directory, "developer.pub.pem");
    writeFileSync(checkoutKeyPath, stranger.publicKey.export({ type: "spki", format: "pem" }));
    const location = { directory, releaseKeysDir: join(directory, "keys"), checkoutKeyPath };
    expect(readTrustedKeys(location).map(({ name, id }) => [name, id])).toEqual([
      ['the release key "2026"', idOf(keys.publicKey)],
      ["this checkout's own key", idOf(stranger.publicKey)],
    ]);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
    writeFileSync(join(directory, "keys", "rsa.pem"), rsa.export({ type: "spki", format: "pem" }));
    expect((await failureOf(() => readTrustedKeys(location))).message).toContain("is not an Ed25519 public key");
  });
});
