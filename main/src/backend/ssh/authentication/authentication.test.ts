/** Who we are, proven to a real sshd: agents, keys with passphrases, passwords, prompts; and what a refusal says. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { NewQuestion } from "../../questions/questions.ts";
import { Answers } from "../testing/answers.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { generateKey, type RealSshd, sshdProblem, startSshd, TEST_PASSWORD } from "../testing/real-sshd.ts";
import { type SshAgent, startSshAgent } from "../testing/ssh-agent.ts";

const problem = sshdProblem();
const PASSPHRASE = "a passphrase nobody guesses";

describe.skipIf(problem !== null)(`authentication${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let sshd: RealSshd;
  const started: RealSshd[] = [];
  let agent: SshAgent | null = null;
  const secret = () => join(person.home, ".ssh", "secret");

  beforeAll(async () => {
    person = newPerson();
    // One round of the key derivation: ssh2 does it in JavaScript, 16 take half a second.
    generateKey(secret(), "ed25519", PASSPHRASE, "-a", "1");
    generateKey(join(person.home, ".ssh", "rsa"), "rsa");
    const keys = ["secret", "rsa"].map((name) => readFileSync(join(person.home, ".ssh", `${name}.pub`), "utf8").trim());
    sshd = await startSshd({
      authorizedKeys: keys,
      config: ["PasswordAuthentication yes", "MaxAuthTries 6"],
    });
    person.knows(sshd);
  });
  beforeEach(() => person.writeConfig("IdentityFile ~/.ssh/secret", "IdentitiesOnly yes"));
  afterEach(async () => {
    for (const each of started.splice(0)) await each.stop();
    agent?.stop();
    agent = null;
  });
  afterAll(async () => {
    await sshd?.stop();
    person?.remove();
  });

  async function startAgent(): Promise<SshAgent> {
    agent = await startSshAgent(join(person.home, `agent-${Math.trunc(performance.now())}`));
    return agent;
  }
  const answering = (answer: string | null) =>
    new Answers(({ prompts }) => (answer === null ? null : prompts.map(() => answer)));
  const kinds = ({ asked }: Answers) => asked.map(({ kind }: NewQuestion) => QuestionKind[kind]);
  const withAgent = (socket: string) => ({ environment: { environment: { SSH_AUTH_SOCK: socket } } });

  async function accepted(asker: Answers, more = {}): Promise<string> {
    let found = "";
    const session = await person.connector(asker, more).connect(
      accessTo(sshd),
      connectOptions({
        onStep: (step, what) => {
          if (step === "authentication") found = what ?? found;
        },
      }),
    );
    session.close();
    return found;
  }

  it("asks for a passphrase once, and only when the machine takes the key", async () => {
    const asker = answering(PASSPHRASE);
    const connector = person.connector(asker);
    for (let login = 0; login < 2; login++) (await connector.connect(accessTo(sshd), connectOptions())).close();
    expect(kinds(asker)).toEqual(["PASSPHRASE"]);
    expect(asker.asked[0]).toMatchObject({
      hostId: "host-1",
      subject: secret(),
      keepAs: expect.stringMatching(/^passphrase:SHA256:/),
    });
    const stranger = join(person.home, ".ssh", "stranger");
    generateKey(stranger, "ed25519", PASSPHRASE);
    person.writeConfig(`IdentityFile ${stranger}`, "IdentitiesOnly yes");
    const other = answering(null);
    await failureOf(person.connector(other).connect(accessTo(sshd), connectOptions()));
    expect(kinds(other)).not.toContain("PASSPHRASE");
  });

  it("asks again after a wrong passphrase, a few times", async () => {
    let left = 2;
    const asker = new Answers(({ kind }) =>
      kind === QuestionKind.PASSPHRASE ? [left-- > 0 ? "wrong" : PASSPHRASE] : null,
    );
    expect(await accepted(asker)).toContain(secret());
    expect(asker.asked.map(({ wasWrong }) => wasWrong)).toEqual([false, true, true]);
    const stubborn = new Answers(({ kind }) => (kind === QuestionKind.PASSPHRASE ? ["wrong"] : null));
    await failureOf(person.connector(stubborn).connect(accessTo(sshd), connectOptions()));
    expect(kinds(stubborn).filter((kind) => kind === "PASSPHRASE")).toHaveLength(3);
  });

  it("asks nobody when nobody waits at a screen", async () => {
    const asker = answering(PASSPHRASE);
    const failure = await failureOf(
      person.connector(asker).connect(accessTo(sshd), connectOptions({ isInteractive: false })),
    );
    expect(failure.code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    expect(failure.hint).toMatch(/nobody was asked.*ssh-add/);
    expect(asker.asked.every(({ onlyKept }) => onlyKept)).toBe(true);
    expect(kinds(asker)).toContain("PASSPHRASE");
  });

  it("lets an agent sign, and needs no passphrase then", async () => {
    const { socket, add } = await startAgent();
    add(join(person.home, ".ssh", "rsa"));
    person.writeConfig("IdentityFile none");
    const asker = answering(null);
    expect(await accepted(asker, withAgent(socket))).toMatch(/^key SHA256:\S+ \(agent, test\)$/);
    expect(asker.asked).toEqual([]);
    person.writeConfig("IdentityFile none", `IdentityAgent ${socket}`);
    expect(await accepted(asker)).toMatch(/agent/);
  });

  it("offers of an agent only the chosen keys where IdentitiesOnly says so, and those first where not", async () => {
    const { socket, add } = await startAgent();
    for (let index = 0; index < 7; index++) {
      const path = join(person.home, ".ssh", `other-${index}`);
      if (!existsSync(path)) generateKey(path, "ed25519");
      add(path);
    }
    add(join(person.home, ".ssh", "rsa"));
    // The public half is enough to choose one of an agent.
    person.writeConfig("IdentityFile ~/.ssh/rsa.pub", "IdentitiesOnly yes");
    expect(await accepted(answering(null), withAgent(socket))).toContain("rsa.pub");
    person.writeConfig("IdentityFile ~/.ssh/rsa");
    expect(await accepted(answering(null), withAgent(socket))).toContain("rsa");
    person.writeConfig("IdentityFile none");
    const failure = await refused(answering(null), withAgent(socket));
    expect(failure.message).toMatch(/3 more keys were not offered; name the right one with IdentityFile/);
    expect(failure.message.match(/key SHA256/g)).toHaveLength(5);
  });

  it("goes on without an agent that is away, and says so when nothing else helps", async () => {
    person.writeConfig("IdentityFile none", "IdentityAgent /nonexistent/agent");
    expect((await refused(answering(null))).message).toContain(
      "The agent at /nonexistent/agent does not answer (ENOENT).",
    );
  });

  it("takes a password, asks again once when it is wrong, and gives up then", async () => {
    person.writeConfig("IdentityFile none");
    let left = 1;
    const asker = new Answers(({ kind }) =>
      kind === QuestionKind.PASSWORD ? [left-- > 0 ? "wrong" : TEST_PASSWORD] : null,
    );
    expect(await accepted(asker)).toBe("password");
    const wrong = new Answers(({ kind }) => (kind === QuestionKind.PASSWORD ? ["wrong"] : null));
    const failure = await refused(wrong);
    expect(kinds(wrong).filter((kind) => kind === "PASSWORD")).toHaveLength(2);
    expect(failure.message).toMatch(/did not let ada in: tried: .*password, password; it takes publickey, password/);
  });

  it("shows the machine's own prompts, answers them, and asks no more when the person declines", async () => {
    const prompting = await startSshd({
      config: ["KbdInteractiveAuthentication yes", "PasswordAuthentication yes", "UsePAM yes"],
    });
    started.push(prompting);
    person.knows(prompting);
    person.writeConfig("IdentityFile none");
    const asker = answering(TEST_PASSWORD);
    (await person.connector(asker).connect(accessTo(prompting), connectOptions())).close();
    expect(asker.asked).toMatchObject([
      { kind: QuestionKind.KEYBOARD_INTERACTIVE, keepAs: null, prompts: [{ echo: false }] },
    ]);
    expect(asker.asked[0]?.prompts[0]?.text).toMatch(/^Password:/);
    const declining = answering(null);
    const failure = await failureOf(person.connector(declining).connect(accessTo(prompting), connectOptions()));
    expect(kinds(declining)).toEqual(["KEYBOARD_INTERACTIVE"]);
    expect(failure.hint).toContain("It was not answered");
  });

  it.each(["publickey,password", "password,publickey"])(
    "gives several proofs where a machine wants them (%s)",
    async (methods) => {
      const careful = await startSshd({
        authorizedKeys: [readFileSync(join(person.home, ".ssh", "rsa.pub"), "utf8").trim()],
        config: ["PasswordAuthentication yes", `AuthenticationMethods ${methods}`],
      });
      started.push(careful);
      person.knows(careful);
      person.writeConfig("IdentityFile ~/.ssh/rsa");
      const asker = new Answers(({ kind }) => (kind === QuestionKind.PASSWORD ? [TEST_PASSWORD] : null));
      (await person.connector(asker).connect(accessTo(careful), connectOptions())).close();
      expect(kinds(asker)).toEqual(["PASSWORD"]);
    },
  );

  it("leaves out keys that others may read, that are none, and that are missing, and says so", async () => {
    const open = join(person.home, ".ssh", "open");
    generateKey(open, "ed25519");
    chmodSync(open, 0o644);
    const none = join(person.home, ".ssh", "none");
    writeFileSync(none, "not a key", { mode: 0o600 });
    person.writeConfig(
      `IdentityFile ${open}`,
      `IdentityFile ${none}`,
      "IdentityFile ~/.ssh/missing",
      "IdentityFile /dev/zero",
    );
    const { message } = await refused(answering(null));
    expect(message).toContain(`${open} was left out: others may read it; repair it with: chmod 600 ${open}`);
    expect(message).toContain(`${none} was left out: it is not a private key`);
    expect(message).toContain(`There is no key ${join(person.home, ".ssh/missing")}`);
    expect(message).toContain("/dev/zero was left out: it is not a file");
  });

  it.each(["PEM", "PKCS8"])("opens encrypted keys of the older format %s", async (format) => {
    const path = join(person.home, ".ssh", `old-${format}`);
    generateKey(path, "rsa", PASSPHRASE, "-m", format);
    writeFileSync(join(sshd.dir, "authorized_keys"), readFileSync(`${path}.pub`, "utf8"), { flag: "a" });
    person.writeConfig(`IdentityFile ${path}`, "IdentitiesOnly yes");
    const asker = new Answers(({ kind }) => (kind === QuestionKind.PASSPHRASE ? [PASSPHRASE] : null));
    expect(await accepted(asker)).toContain(path);
    expect(kinds(asker)).toEqual(["PASSPHRASE"]);
  });

  it("puts no secret into a failure, a session or a log", async () => {
    const lines: string[] = [];
    const logger = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
    const asker = new Answers(({ kind }) => [
      kind === QuestionKind.PASSPHRASE ? `${PASSPHRASE}x` : `${TEST_PASSWORD}x`,
    ]);
    const failure = await refused(asker);
    const good = new Answers(({ kind }) => (kind === QuestionKind.PASSPHRASE ? [PASSPHRASE] : null));
    const connector = person.connector(good);
    const session = await connector.connect(accessTo(sshd), connectOptions());
    logger.error({ err: failure, session, connector, summary: session.summary }, failure.message);
    logger.error(failure);
    expect(failure.message).toContain(
      `${secret()} did not sign: the key was not opened`.replace(/^./, (first) => first.toUpperCase()),
    );
    const everything = lines.join("\n") + inspect(failure, { depth: 12 }) + JSON.stringify(failure);
    session.close();
    expect(lines.length).toBe(2);
    expect(everything).not.toContain(PASSPHRASE);
    expect(everything).not.toContain(TEST_PASSWORD);
    expect(everything).not.toContain("PRIVATE KEY");
  });

  it("says it when the account does not exist, as if it did", async () => {
    const failure = await failureOf(
      person.connector(answering("x")).connect(accessTo(sshd, { user: "nobody-here" }), connectOptions()),
    );
    expect(failure.code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    expect(failure.message).toContain("did not let nobody-here in");
  });

  async function refused(asker: Answers, more = {}): Promise<Failure> {
    const failure = await failureOf(person.connector(asker, more).connect(accessTo(sshd), connectOptions()));
    expect(failure.code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    return failure;
  }
});
