/** The PEM files of a member, as a real etcd on the same host uses them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { EtcdStore } from "../cluster/store/etcdStore.ts";
import { EtcdLab, etcdProblem } from "../testing/etcdLab.ts";
import { IdentityLab } from "../testing/identityLab.ts";
import { IdentityStore } from "./identityStore.ts";
import type { RenewingIdentity } from "./renewingIdentity.ts";
import { exportTlsFiles } from "./tlsFiles.ts";

const problem = etcdProblem();
const log = pino({ enabled: false });

describe.skipIf(problem !== null)(`an etcd with a member's certificate${problem ? ` (${problem})` : ""}`, () => {
  let identities: IdentityLab;
  let lab: EtcdLab;
  let identity: RenewingIdentity;
  let stateDir: string;

  beforeAll(async () => {
    identities = await IdentityLab.create({ clock: systemClock, peerAddress: "127.0.0.1:7443" });
    const { chainPem: cert, keyPem: key, bundlePem: ca } = identities.founding.identity;
    lab = await EtcdLab.start({ tls: [{ ca, cert, key }] });
    stateDir = identities.stateDirectory();
    identity = await identities.identity(identities.founding.identity, stateDir);
  });
  afterAll(async () => {
    await identity?.stop();
    await lab?.close();
    identities?.close();
  });

  const open = () => EtcdStore.open({ endpoints: lab.endpoints, tls: () => identity.credentials(), log });

  async function shownCertificate(): Promise<string> {
    const { hostname, port } = new URL(lab.endpoints[0] as string);
    const socket = connect({ host: hostname, port: Number(port), ...identity.credentials() });
    const shown = await new Promise<string>((resolve, reject) => {
      socket.once("secureConnect", () => resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? ""));
      socket.once("error", reject);
    });
    socket.destroy();
    return shown;
  }

  it("is trusted by members, and shows the renewed certificate without a restart", async () => {
    const store = open();
    expect((await store.get("/x")).item).toBeNull();
    const before = await shownCertificate();
    identity.start((request, self) => identities.admission.renew(request, self));
    await identity.renewNow();
    // What the agent writes beside its state is what the etcd of this test reads.
    const exported = new IdentityStore(stateDir).tlsDirectory;
    for (const [from, to] of [
      ["cert.pem", "m0.cert"],
      ["key.pem", "m0.key"],
    ] as const) {
      writeFileSync(join(lab.directory, "tls", to), readFileSync(join(exported, from)));
    }
    expect(await shownCertificate()).not.toBe(before);
    // The connection of before goes on, a new one is made with the new certificate on both ends.
    expect((await store.get("/x")).item).toBeNull();
    const fresh = open();
    expect((await fresh.get("/x")).item).toBeNull();
    await Promise.all([store.close(), fresh.close()]);
  });

  it("never reads a half-written file, however often it is replaced", async () => {
    const directory = join(identities.stateDirectory(), "tls");
    const write = (mark: string) => {
      const text = mark.repeat(4_000);
      return exportTlsFiles({ directory, groupId: null }, { "ca.pem": text, "cert.pem": text, "key.pem": text });
    };
    await write("a");
    let isWriting = true;
    const writing = (async () => {
      for (let count = 0; count < 40; count += 1) await write(count % 2 === 0 ? "b" : "a");
      isWriting = false;
    })();
    while (isWriting) {
      const text = readFileSync(join(directory, "key.pem"), "utf8");
      expect([text.length, new Set(text).size]).toEqual([4_000, 1]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writing;
  });
});
