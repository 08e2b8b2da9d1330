import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { SignerState } from "@wardline/api/wardline/console/v1/configuration";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";
import { open } from "./archive/sealed-archive.ts";
import { KEY_FILE } from "./archive/signing-key.ts";
import { readTar, writeTar } from "./archive/tar.ts";

const POLICY = `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: web}\nspec:\n  subject: {selector: {matchLabels: {app: web}}}\n  ingress:\n    - {from: [{selector: {}}], ports: [{port: 80}]}\n`;
const HOST = `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web-1, labels: {app: web}}\nspec: {addresses: [192.0.2.1]}\n`;

const opened: TestConsole[] = [];
const newConsole = () => {
  const tester = startTestConsole(undefined, { introducesLocalHost: false });
  opened.push(tester);
  return tester;
};
let tester: TestConsole;
beforeEach(() => {
  tester = newConsole();
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function failureOf(call: Promise<unknown>) {
  return call.then(
    () => null,
    (error: unknown) => failureFromConnectError(error),
  );
}

async function put(console: TestConsole, path: string, text: string) {
  await console.policies.saveFile({ path, text, baseRevision: 0n });
}

async function fill(console: TestConsole) {
  await put(console, "policies/web.yaml", POLICY);
  await put(console, "hosts.yaml", HOST);
  await console.fleet.addHosts({
    hosts: [
      {
        alias: "db-1",
        access: { address: "db.example.com", user: "ops" },
        groups: ["db", "eu"],
        labels: { app: "db" },
      },
    ],
  });
  await console.history.putSavedQuery({
    query: { name: "denied", text: "verdict:deny", description: "what was stopped" },
  });
}

const exported = async (console: TestConsole) => (await console.configuration.exportConfiguration({})).archive;
async function imported(console: TestConsole, archive: Uint8Array, removesMissing = true) {
  const preview = await console.configuration.previewConfiguration({ archive, removesMissing });
  const acceptFingerprint = preview.signer?.fingerprint ?? "";
  return console.configuration.importConfiguration({
    archive,
    removesMissing,
    previewId: preview.previewId,
    acceptFingerprint,
  });
}

/** Everything that an import could change. */
async function everything(console: TestConsole): Promise<string> {
  const { versions } = await console.versions.searchVersions({});
  return `${createHash("sha256")
    .update(await exported(console))
    .digest("hex")} ${versions.length}`;
}

describe("an exported configuration", () => {
  it("is the same to the byte each time, holds plain text, and no key of anybody", async () => {
    await fill(tester);
    const archive = await exported(tester);
    expect(Buffer.compare(archive, await exported(tester))).toBe(0);
    const { files } = open(archive);
    expect([...files.keys()]).toEqual([
      ...["alert-receivers.json", "alert-rules.json", "hosts.json", "saved-views.json", "settings.json"],
      ...[...files.keys()].filter((name) => name.startsWith("workspace/")),
    ]);
    expect(Buffer.from(files.get("workspace/policies/web.yaml") ?? []).toString()).toBe(POLICY);
    expect(Buffer.from(files.get("hosts.json") ?? []).toString()).toContain('"alias": "db-1"');
    expect(statSync(join(tester.stateDir, KEY_FILE)).mode & 0o777).toBe(0o600);
    chmodSync(join(tester.stateDir, KEY_FILE), 0o644);
    expect((await failureOf(exported(tester)))?.code).toBe(ErrorCode.PERMISSION_DENIED);
  });

  it("says who signed it and what it would change, by meaning too; and changes that in one step", async () => {
    await fill(tester);
    const archive = await exported(tester);
    const other = newConsole();
    await put(other, "old.yaml", HOST);
    const preview = await other.configuration.previewConfiguration({ archive, removesMissing: true });
    expect(preview.signer?.state).toBe(SignerState.UNKNOWN);
    expect(preview.meaning?.unknownBecause).toBe("");
    const named = preview.changes.map(({ part, name, kind }) => `${part}: ${name} ${kind}`);
    expect(named).toEqual(
      expect.arrayContaining([
        "policies and inventory: old.yaml 2",
        "policies and inventory: policies/web.yaml 1",
        "hosts and groups: db-1 1",
        "saved views: denied 1",
      ]),
    );
    const { previewId } = preview;
    const refused = await failureOf(
      other.configuration.importConfiguration({ archive, removesMissing: true, previewId }),
    );
    expect(refused?.code).toBe(ErrorCode.UNAUTHENTICATED);
    const key = (await tester.configuration.getConfigurationKeys({})).own;
    expect(key?.fingerprint).toBe(preview.signer?.fingerprint);
    await other.configuration.trustConfigurationKey({ publicKey: key?.publicKey ?? "", name: "office" });
    const known = await other.configuration.previewConfiguration({ archive, removesMissing: true });
    expect(known.signer).toMatchObject({ state: SignerState.KNOWN, name: "office" });
    const { version } = await other.configuration.importConfiguration({
      ...{ archive, removesMissing: true, previewId, reason: "move", ticket: "NET-7" },
    });
    expect(version).toMatchObject({ number: 2n, reason: "move", ticket: "NET-7" });
    expect(await failureOf(other.policies.getFile({ path: "old.yaml" }))).not.toBeNull();
    expect(other.backend.registry.hosts.map(({ record }) => record.alias)).toContain("db-1");
    expect((await other.versions.readVersion({ side: { side: { case: "number", value: 1n } } })).paths).toContain(
      "old.yaml",
    );
    const stale = await failureOf(
      other.configuration.importConfiguration({ archive, removesMissing: true, previewId }),
    );
    expect(stale?.code).toBe(ErrorCode.REVISION_CONFLICT);
  });

  it("comes out of another console with the same files, and out of the same one with the same bytes", async () => {
    const name = fc.stringMatching(/^[a-zé日]{1,12}(\/[a-z0-9]{1,150}[a-z])?$/).map((stem) => `${stem}.yaml`);
    const file = fc.record({ path: name, text: fc.string({ unit: "grapheme", maxLength: 40 }) });
    const other = newConsole();
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(file, { selector: ({ path }) => path.normalize("NFC"), maxLength: 6 }),
        async (files) => {
          const texts = files.filter(({ text }) => !text.includes("\0"));
          await fc.pre(texts.every(({ path }) => path === path.normalize("NFC")));
          const wanted = new Map(
            texts.map(({ path, text }) => [path, text.replace(/[^\x20-\x7e\n\u00e0-\u9fff]/gu, "?")]),
          );
          const gone = tester.backend.workspace.snapshot().files.map(({ path }) => [path, null] as const);
          tester.backend.workspace.change(new Map([...gone, ...wanted]), { author: "a", reason: "r", kind: "kept" });
          const archive = await exported(tester);
          await imported(other, archive);
          const there = open(await exported(other)).files;
          const here = open(archive).files;
          const same = (one: ReadonlyMap<string, Uint8Array>) =>
            JSON.stringify([...one].map(([path, bytes]) => [path, String(bytes)]));
          if (same(there) !== same(here)) expect([...there.keys()]).toEqual([...here.keys()]);
          await imported(tester, archive);
          if (Buffer.compare(archive, await exported(tester)) !== 0) expect("other bytes").toBe("the same");
        },
      ),
      { numRuns: 15 },
    );
  });

  it("adds and replaces without taking away, unless told to", async () => {
    await fill(tester);
    const archive = await exported(tester);
    const other = newConsole();
    await put(other, "old.yaml", "# kept\n");
    await imported(other, archive, false);
    const paths = other.backend.workspace.snapshot().files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(["old.yaml", "policies/web.yaml"]));
  });
});

describe("a hostile archive", () => {
  const entries = async () => readTar(await exported(tester)).map(({ name, content }) => ({ name, content }));
  async function refusal(archive: Uint8Array) {
    const before = await everything(tester);
    const failure = await failureOf(tester.configuration.previewConfiguration({ archive }));
    const other = await failureOf(tester.configuration.importConfiguration({ archive, acceptFingerprint: "any" }));
    expect(await everything(tester)).toBe(before);
    expect(other?.code).toBe(failure?.code);
    return `${ErrorCode[failure?.code ?? 0]} ${failure?.message}`;
  }
  const patched = (archive: Uint8Array, at: number, bytes: Uint8Array) => {
    const copy = archive.slice();
    copy.set(bytes, at);
    return copy;
  };
  /** The header at a place, changed and with the right sum again. */
  const withHeader = (archive: Uint8Array, change: (block: Buffer) => void) => {
    const copy = Buffer.from(archive);
    const block = copy.subarray(0, 512);
    change(block);
    block.fill(" ", 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    return copy;
  };

  beforeEach(() => fill(tester));

  it("is refused with code and place: paths out of it, links, devices, names twice", async () => {
    const good = await exported(tester);
    const rest = await entries();
    const traversal = writeTar([
      { name: "wardline-configuration/../../etc/passwd", content: new Uint8Array(1) },
      ...rest,
    ]);
    expect(await refusal(traversal)).toMatch(/INVALID_ARGUMENT .*at byte 0 leads out of the archive/);
    expect(await refusal(writeTar([{ name: "/etc/passwd", content: new Uint8Array() }]))).toMatch(/INVALID_ARGUMENT/);
    expect(await refusal(withHeader(good, (block) => block.write("2", 156)))).toMatch(/at byte 0 is a symbolic link/);
    expect(await refusal(withHeader(good, (block) => block.write("1", 156)))).toMatch(/is a link/);
    expect(await refusal(withHeader(good, (block) => block.write("S", 156)))).toMatch(/sparse/);
    expect(await refusal(writeTar([...rest, rest.at(-1) as (typeof rest)[0]]))).toMatch(/in the archive twice/);
    expect(await refusal(withHeader(good, (block) => block.write("0000777\0", 100)))).toMatch(/from byte 10\d on/);
  });

  it("is refused: bombs, sizes that lie, what is cut off, compressed or no archive at all", async () => {
    const good = await exported(tester);
    expect(await refusal(withHeader(good, (block) => block.write("77777777777\0", 124)))).toMatch(/cut off/);
    expect(await refusal(good.subarray(0, good.length - 700))).toMatch(/INVALID_ARGUMENT/);
    expect(await refusal(Buffer.from([0x1f, 0x8b, 8, 0]))).toMatch(/compressed/);
    expect(await refusal(Buffer.from("hello"))).toMatch(/INVALID_ARGUMENT/);
    expect(await refusal(new Uint8Array(0))).toMatch(/INVALID_ARGUMENT/);
    const many = Array.from({ length: 5_001 }, (_, index) => ({ name: `a/${index}`, content: new Uint8Array() }));
    expect(await refusal(writeTar(many))).toMatch(/TOO_LARGE .*more than 5,000 files/);
  });

  it("is refused: another digest, another manifest, no signature, files that nobody listed or that are missing", async () => {
    const good = await exported(tester);
    const at = Buffer.from(good).indexOf("port: 80");
    expect(await refusal(patched(good, at, Buffer.from("port: 22")))).toMatch(
      /MANIFEST_INVALID .*web.yaml.* is not the file that was signed/,
    );
    const manifestAt = Buffer.from(good).indexOf('"version": 1');
    expect(await refusal(patched(good, manifestAt, Buffer.from('"version": 2')))).toMatch(
      /MANIFEST_INVALID The signature does not fit/,
    );
    const rest = await entries();
    expect(await refusal(writeTar(rest.slice(0, -1)))).toMatch(/MANIFEST_INVALID .*not in the archive/);
    expect(await refusal(writeTar([...rest, { name: "wardline-configuration/x", content: new Uint8Array() }]))).toMatch(
      /MANIFEST_INVALID/,
    );
    expect(await refusal(writeTar(rest.slice(1)))).toMatch(/MANIFEST_INVALID .*does not begin with a manifest/);
    const { privateKey } = generateKeyPairSync("ed25519");
    const [manifest, signature, ...others] = rest;
    const stolen = JSON.parse(Buffer.from(signature?.content ?? []).toString()) as { signature: string };
    stolen.signature = sign(null, Buffer.from(manifest?.content ?? []), privateKey).toString("base64");
    const forged = { name: signature?.name ?? "", content: Buffer.from(JSON.stringify(stolen)) };
    expect(await refusal(writeTar([manifest as (typeof rest)[0], forged, ...others]))).toMatch(/MANIFEST_INVALID/);
  });

  it("with the signature of a known key changes nothing either where its content is not sound", async () => {
    const { ownSigningKey } = await import("./archive/signing-key.ts");
    const { seal } = await import("./archive/sealed-archive.ts");
    const key = ownSigningKey(tester.stateDir);
    const base = open(await exported(tester)).files;
    const withFile = (name: string, text: string) => seal(new Map([...base, [name, Buffer.from(text)]]), key);
    expect(await refusal(withFile("hosts.json", '[{"id":"../x"}]'))).toMatch(/hosts.json.*entry 1/);
    expect(
      await refusal(withFile("hosts.json", `[{"id":"a","alias":"-oProxyCommand=x","access":{"address":"-o"}}]`)),
    ).toMatch(/hosts.json.*entry 1/);
    expect(await refusal(withFile("alert-rules.json", "[".repeat(100_000)))).toMatch(/INVALID_ARGUMENT/);
    expect(await refusal(withFile("workspace/run.sh", "rm"))).toMatch(/run.sh/);
    expect(await refusal(withFile("workspace/a\u202e.yaml", "x"))).toMatch(/INVALID_ARGUMENT/);
    expect(await refusal(withFile("plugins.js", "x"))).toMatch(/does not know/);
    expect(await refusal(withFile("settings.json", '[{"setting":"__proto__"}]'))).toMatch(/settings.json/);
    const twice = '[{"name":"web-hook","webhook":{"url":"https://h.example/x"}},{"name":"web-hook","desktop":{}}]';
    expect(await refusal(withFile("alert-receivers.json", twice))).toMatch(/in it twice/);
  });

  it("does not take a secret to another place than the one that it was given for", async () => {
    const { createRouterTransport, createClient } = await import("@connectrpc/connect");
    const { AlertService } = await import("@wardline/api/wardline/console/v1/alerts");
    const alerts = createClient(
      AlertService,
      createRouterTransport((router) => tester.backend.routes(router)),
    );
    const receiver = (url: string, secret: string) => ({
      receiver: { name: "hook", kind: { case: "webhook" as const, value: { url, secret } } },
    });
    await alerts.putReceiver(receiver("https://hooks.example.com/a", "old"));
    const archive = await exported(tester);
    expect(Buffer.from(archive).includes('old"')).toBe(false);
    await alerts.putReceiver(receiver("https://hooks.example.com/b", "top-secret"));
    expect(Buffer.from(await exported(tester)).includes("top-secret")).toBe(false);
    const { leftToDo } = await imported(tester, archive);
    expect(leftToDo.join()).toContain('receiver "hook"');
    const { receiver: kept } = await alerts.putReceiver(receiver("https://hooks.example.com/a", ""));
    expect(kept?.secretKeptIn).toBe("");
  });
});
