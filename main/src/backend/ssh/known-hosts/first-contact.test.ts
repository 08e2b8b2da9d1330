/** Keys of machines, against a real sshd: first contact, trust, change, revocation. Nothing is sent before. */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HostKeyFailure } from "../host-key-failure.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { keygen, type RealSshd, sshdProblem, startSshd } from "../testing/real-sshd.ts";

const problem = sshdProblem();

describe.skipIf(problem !== null)(`the key of a machine${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let sshd: RealSshd;
  let known: string;

  beforeAll(async () => {
    person = newPerson();
    sshd = await startSshd({ authorizedKeys: [person.publicKey], hostKeyTypes: ["ed25519", "rsa", "ecdsa"] });
    known = join(person.home, ".ssh", "known_hosts");
  });
  beforeEach(() => {
    rmSync(known, { force: true });
    person.writeConfig();
  });
  afterAll(async () => {
    await sshd?.stop();
    person?.remove();
  });

  const connect = () => person.connector().connect(accessTo(sshd), connectOptions());
  const trust = (fingerprint: string) => person.connector().trust(accessTo(sshd), fingerprint, connectOptions());
  const name = () => `[127.0.0.1]:${sshd.port}`;

  async function refusal(): Promise<HostKeyFailure> {
    const failure = await failureOf(connect());
    if (!(failure instanceof HostKeyFailure)) throw failure;
    return failure;
  }

  it("is shown as ssh-keygen shows it at first contact, and nothing was sent before", async () => {
    const before = sshd.log().length;
    const failure = await refusal();
    expect(failure.code).toBe(ErrorCode.HOST_KEY_UNKNOWN);
    const [summary, ...art] = keygen("-lv", "-f", join(sshd.dir, "host_ed25519_key.pub")).trimEnd().split("\n");
    expect(summary).toContain(failure.shown.fingerprint);
    expect(failure.shown).toMatchObject({ address: "127.0.0.1", port: sshd.port, keyType: "ssh-ed25519", known: [] });
    expect(failure.shown.randomArt.split("\n")).toEqual(art);
    expect(existsSync(known)).toBe(false);
    expect(sshd.log().slice(before)).not.toMatch(/for (?:invalid user )?ada/);
  });

  it("is trusted once the person said so, hashed where the configuration says so", async () => {
    const { shown } = await refusal();
    person.writeConfig("HashKnownHosts yes");
    expect(await trust(shown.fingerprint)).toBe(known);
    expect(readFileSync(known, "utf8")).toMatch(/^\|1\|/);
    expect(keygen("-F", name(), "-f", known)).toContain("found: line 1");
    (await connect()).close();
    expect(await trust(shown.fingerprint)).toBe(known);
    expect(readFileSync(known, "utf8").trimEnd().split("\n")).toHaveLength(1);
  });

  it("is not trusted when it is another one than the person looked at", async () => {
    const failure = await failureOf(trust(`SHA256:${"A".repeat(43)}`));
    expect(failure.code).toBe(ErrorCode.HOST_KEY_CHANGED);
    expect(existsSync(known)).toBe(false);
  });

  it("is asked for in the type that is known, so that a machine with several is the same machine", async () => {
    for (const type of ["rsa", "ecdsa"]) {
      writeFileSync(known, `${name()} ${sshd.hostKey(type)}\n`);
      const session = await connect();
      expect(session.summary.hostKeyType).toBe(sshd.hostKey(type).split(" ")[0]);
      session.close();
    }
  });

  it("blocks when it changed, shows both prints with file and line, and cannot be trusted beside the old one", async () => {
    const other = await startSshd({ hostKeyTypes: ["ed25519"] });
    writeFileSync(known, `# old\n${name()} ${other.hostKey()}\n`);
    await other.stop();
    const failure = await refusal();
    expect(failure.code).toBe(ErrorCode.HOST_KEY_CHANGED);
    expect(failure.shown.known).toEqual([expect.stringMatching(/^SHA256:\S{43} \(ssh-ed25519, .*known_hosts:2\)$/)]);
    expect(failure.message).toContain(failure.shown.fingerprint);
    expect((await failureOf(trust(failure.shown.fingerprint))).code).toBe(ErrorCode.HOST_KEY_CHANGED);
    expect(readFileSync(known, "utf8").split("\n")).toHaveLength(3);
  });

  it("blocks when it is revoked, also where another line knows it", async () => {
    writeFileSync(known, `${name()} ${sshd.hostKey()}\n@revoked * ${sshd.hostKey()}\n`);
    const failure = await refusal();
    expect(failure.code).toBe(ErrorCode.HOST_KEY_CHANGED);
    expect(failure.message).toMatch(/is revoked \(.*known_hosts:2\)/);
    writeFileSync(known, `@revoked * ${sshd.hostKey()}\n`);
    expect((await failureOf(trust(failure.shown.fingerprint))).message).toMatch(/is revoked/);
  });

  it("is found under HostKeyAlias, and in the second of several files", async () => {
    person.writeConfig("HostKeyAlias web", `UserKnownHostsFile ${person.home}/first ${person.home}/second`);
    appendFileSync(join(person.home, "second"), `web ${sshd.hostKey()}\n`);
    (await connect()).close();
  });
});
