/** The commands of the cluster, and shared notes, with a real agent: one host, the embedded store, nothing enforced. */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { inOrder } from "@wardline/domain/testing";
import { freePort } from "@wardline/domain/testing/machine";
import { describe, expect } from "vitest";
import { UnixSocketDialer } from "../backend/agent/unix-dialer.ts";
import { startTestConsole } from "../backend/testing/console.ts";
import { CliSandbox } from "./testing/run-cli.ts";
import { InProcessCli } from "./testing/run-in-process.ts";
import { GOOD_POLICY, INVENTORY } from "./testing/samples.ts";

const WEB = "networkpolicy/default/web";

let sandbox: CliSandbox;
let cli: InProcessCli;

const sync = (...more: string[]) =>
  cli.run("policy", "sync", cli.path("good.yaml"), "--yes", "--mode", "observe", ...more);

describe("a cluster of one real host", () => {
  const step = inOrder({
    begin: async () => {
      sandbox = new CliSandbox();
      cli = new InProcessCli(sandbox.socketPath);
      writeFileSync(cli.path("good.yaml"), `${GOOD_POLICY}---\n${INVENTORY}`);
      await sandbox.startAgent();
    },
    end: async () => {
      await sandbox.dispose();
      cli.dispose();
    },
  });

  step("is made, leads itself, and takes documents", async () => {
    expect((await cli.run("cluster", "status")).stderr).toContain("here is in no cluster");
    const address = `127.0.0.1:${await freePort()}`;
    expect(await cli.run("cluster", "init", "prod", "--peer-address", address)).toMatchObject({ exitCode: 0 });
    expect((await cli.run("cluster", "init", "prod", "--peer-address", address)).exitCode).toBe(1);
    const first = await sync("--reason", "first");
    expect(first).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("set 1 (2 documents) confirmed") });
    await expect
      .poll(async () => (await cli.run("cluster", "status")).stdout, { timeout: 60_000, interval: 300 })
      .toMatch(/^here +healthy +leader .* 1 active +0 /m);
    expect((await sync()).stdout).toContain("Nothing to write.");
    expect((await cli.run("policy", "show", "web")).stdout).toBe(GOOD_POLICY);
  });

  step("keeps versions with author and reason, and goes back to one", async () => {
    writeFileSync(cli.path("good.yaml"), `${GOOD_POLICY.replace("443", "8443")}---\n${INVENTORY}`);
    const pending = await sync("--reason", "second", "--confirm-within", "1m");
    expect(pending.stdout).toContain("wardline policy confirm --set 2");
    expect((await cli.run("policy", "confirm", "--set", "2")).stdout).toContain("confirmed");
    expect((await cli.run("policy", "rollback", "web", "--to", "1", "--reason", "worse")).exitCode).toBe(0);
    const { value } = await cli.json("policy", "history", "web");
    expect(value).toMatchObject({
      versions: [
        { version: "3", rolledBackTo: "1", reason: "worse" },
        { version: "2", reason: "second" },
        { version: "1", reason: "first", author: expect.stringContaining("uid") },
      ],
    });
    const behind = await cli.json("policy", "sync", cli.path("good.yaml"), "--dry-run");
    expect(behind.value).toMatchObject({
      documents: expect.arrayContaining([expect.objectContaining({ key: WEB, change: "DOCUMENT_CHANGE_BEHIND" })]),
    });
    expect((await cli.run("policy", "delete", "web", "--yes", "--reason", "old")).exitCode).toBe(0);
    const gone = await cli.run("policy", "show", "web");
    expect([gone.exitCode, gone.stderr.includes("deleted since version 4")]).toEqual([1, true]);
  });

  step("issues a certificate for a key that stays here", async () => {
    const out = cli.path("certificates");
    const made = await cli.run(
      "cluster",
      "certificate",
      "etcd-1",
      "--out",
      out,
      "--dns",
      "etcd.local",
      "--ip",
      "10.0.0.9",
    );
    expect(made.exitCode).toBe(0);
    const certificate = new X509Certificate(readFileSync(`${out}/etcd-1.crt`));
    const authority = new X509Certificate(readFileSync(`${out}/ca.crt`));
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.subjectAltName).toContain("DNS:etcd.local");
    expect(certificate.subjectAltName).toContain("spiffe://prod.wardline/server/etcd-1");
    for (const name of ["etcd-1.key", "etcd-1.crt", "ca.crt"]) {
      expect(statSync(`${out}/${name}`).mode & 0o777).toBe(0o600);
    }
    // Several servers share a folder, but never with another cluster's authority.
    expect((await cli.run("cluster", "certificate", "etcd-2", "--out", out, "--ip", "10.0.0.10")).exitCode).toBe(0);
    writeFileSync(`${out}/ca.crt`, "another");
    expect((await cli.run("cluster", "certificate", "etcd-3", "--out", out)).exitCode).toBe(1);
    expect(existsSync(`${out}/etcd-3.key`)).toBe(false);
  });

  step("registers and resolves services", async () => {
    const register = ["discovery", "register", "db", "--address", "10.9.0.7", "--port", "5432", "--label", "tier=db"];
    expect((await cli.run(...register)).exitCode).toBe(0);
    // Written is not yet read: the agent hears of it from the store.
    await expect
      .poll(async () => (await cli.json("discovery", "resolve", "--label", "tier=db")).value, { timeout: 60_000 })
      .toMatchObject({ endpoints: [{ key: expect.stringContaining("db"), addresses: ["10.9.0.7"] }] });
    expect((await cli.run("discovery", "deregister", "db")).exitCode).toBe(0);
  });

  step("carries notes from one console to another", async () => {
    const dialer = () => new UnixSocketDialer(sandbox.socketPath);
    const ann = startTestConsole(undefined, { dialer: dialer(), userName: "ann", introducesLocalHost: false });
    const ben = startTestConsole(undefined, { dialer: dialer(), userName: "ben", introducesLocalHost: false });
    const leaving = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { notes } of ben.clusters.watchNotes({ clusterName: "prod" }, { signal: leaving.signal })) {
        seen.push(notes.map(({ subject, text, author }) => `${subject} ${text} ${author}`).join());
      }
    })().catch(() => {});
    const note = (text: string, baseText: string) =>
      ann.clusters.setNote({ clusterName: "prod", subject: "host/here", text, baseText });
    await note("old disk", "");
    await expect.poll(() => seen.at(-1), { timeout: 60_000 }).toBe("host/here old disk ann");
    const bens = { clusterName: "prod", subject: "host/here", text: "old disk. ask Ben", baseText: "old disk" };
    await ben.clusters.setNote(bens);
    await note("OLD disk", "old disk");
    await expect.poll(() => seen.at(-1), { timeout: 60_000 }).toBe("host/here OLD disk. ask Ben ann");
    leaving.abort();
    await watching;
    await Promise.all([ann.close(), ben.close()]);
    expect((await cli.json("note", "list")).value).toMatchObject({ notes: [{ text: "OLD disk. ask Ben" }] });
  });

  step("steps down and leads again, and is left", async () => {
    expect((await cli.run("cluster", "resign")).exitCode).toBe(0);
    await expect
      .poll(async () => (await cli.run("cluster", "status")).stdout, { timeout: 60_000, interval: 300 })
      .toContain("here leads in term 2");
    expect((await cli.run("cluster", "leave", "--yes")).exitCode).toBe(0);
    expect((await cli.run("cluster", "status")).exitCode).toBe(1);
  });
});
