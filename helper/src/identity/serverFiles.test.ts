import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { IdentityLab } from "../testing/identityLab.ts";
import { decodePem } from "./pem.ts";
import { ServerFiles } from "./serverFiles.ts";
import { verifyPeer } from "./verifyPeer.ts";

const DAY_MS = 86_400_000;

let clock: FakeClock;
let lab: IdentityLab;
let directory: string;
let files: ServerFiles;

const make = (ipAddress: string, memberName = "web-1.example") =>
  new ServerFiles({
    target: { directory, groupId: null },
    memberName,
    ipAddress,
    authority: () => lab.authorityStore.current(),
    clock,
    log: pino({ enabled: false }),
  });
const read = (name: string) => readFileSync(join(directory, name), "utf8");

beforeEach(async () => {
  clock = new FakeClock();
  lab = await IdentityLab.create({ clock });
  directory = join(lab.stateDirectory(), "etcd");
  files = make("10.0.0.1");
});
afterEach(() => {
  files.stop();
  lab.close();
});

describe("ServerFiles", () => {
  it("writes a server's certificate for this host's addresses, for root alone", async () => {
    expect(await files.refresh()).toBe(true);
    const leaf = new X509Certificate(read("cert.pem"));
    expect(["10.0.0.1", "127.0.0.1"].map((address) => leaf.checkIP(address))).toEqual(["10.0.0.1", "127.0.0.1"]);
    expect(leaf.checkHost("web-1.example")).toBe("web-1.example");
    const { trusted } = await lab.authorityStore.current();
    expect(verifyPeer(decodePem(read("cert.pem")), trusted, clock.wallMs())).toMatchObject({
      kind: "server",
      name: "web-1-example",
    });
    expect(statSync(join(directory, "key.pem")).mode & 0o777).toBe(0o600);
    expect(read("ca.pem")).toBe((await lab.authorityStore.current()).bundlePem);
  });

  it("leaves what is fresh, and renews at two thirds, for another address, another bundle or root, or when it is damaged", async () => {
    await files.refresh();
    expect(await files.refresh()).toBe(false);
    clock.wallOffsetMs += 4 * DAY_MS;
    expect(await files.refresh()).toBe(false);
    clock.wallOffsetMs += DAY_MS;
    expect(await files.refresh()).toBe(true);
    expect(await make("10.0.0.2").refresh()).toBe(true);
    expect(await files.refresh()).toBe(true);
    await lab.authorityStore.update(
      (authority) => authority.withNextRoot(clock.wallMs()),
      () => [],
    );
    expect(await files.refresh()).toBe(true);
    await lab.authorityStore.update(
      (authority) => authority.withNextRootSigning(clock.wallMs()),
      () => [],
    );
    expect(await files.refresh()).toBe(true);
    writeFileSync(join(directory, "cert.pem"), "x");
    expect(await files.refresh()).toBe(true);
    rmSync(join(directory, "key.pem"));
    expect(await files.refresh()).toBe(true);
    expect(await files.refresh()).toBe(false);
  });

  it("looks again by itself, also after a failure, until it is stopped", async () => {
    const { store } = lab;
    const get = store.get.bind(store);
    store.get = () => Promise.reject(new Error("no store"));
    await files.start();
    expect(() => read("cert.pem")).toThrow();
    store.get = get;
    await clock.advance(60_000);
    await expect.poll(() => read("cert.pem")).toContain("BEGIN CERTIFICATE");
    files.stop();
    rmSync(directory, { recursive: true });
    await clock.advance(2 * 3_600_000);
    expect(() => read("cert.pem")).toThrow();
  });
});
