import { create } from "@bufbuild/protobuf";
import { AnswerQuestionRequestSchema, QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode } from "@wardline/domain/errors";
import { beforeEach, describe, expect, it } from "vitest";
import { type SecretsPort, silentLogger, systemClock } from "../ports.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { QuestionDesk } from "./question-desk.ts";
import type { NewQuestion } from "./questions.ts";

const never = new AbortController().signal;
let sealed: Map<string, string>;

function desk(secrets?: SecretsPort): QuestionDesk {
  const store = {
    text: (name: string) => sealed.get(name) ?? null,
    set: (name: string, value: string) => void sealed.set(name, value),
  };
  return new QuestionDesk({
    clock: systemClock,
    kept: new KeptAnswers({ sealed: store, secrets, logger: silentLogger }),
  });
}

function keyring(protection: "keyring" | "plain"): SecretsPort {
  return {
    protection: async () => protection,
    encrypt: async (text) => Buffer.from(text, "utf8").map((byte) => byte ^ 0x55),
    decrypt: async (bytes) => Buffer.from(Uint8Array.from(bytes, (byte) => byte ^ 0x55)).toString("utf8"),
  };
}

function passphrase(more: Partial<NewQuestion> = {}): NewQuestion {
  return {
    hostId: "host-1",
    kind: QuestionKind.PASSPHRASE,
    subject: "~/.ssh/id_ed25519",
    instruction: "Passphrase of the key",
    prompts: [{ text: "Passphrase", echo: false }],
    keepAs: "passphrase:SHA256:abc",
    ...more,
  };
}

function answer(id: string | undefined, answers: string[], remember = false) {
  return create(AnswerQuestionRequestSchema, { id: id ?? "", answers, remember });
}

async function opened(questions: QuestionDesk) {
  const seen = questions.changes.version;
  if (questions.list().length === 0) await questions.changes.wait(seen, 2000, never);
  return questions.list();
}

beforeEach(() => {
  sealed = new Map();
});

describe("questions", () => {
  it("ask once for all that wait for the same thing, and not again while the process runs", async () => {
    const questions = desk();
    const both = [questions.ask(passphrase(), never), questions.ask(passphrase({ hostId: "host-2" }), never)];
    const [open, ...others] = await opened(questions);
    expect(others).toEqual([]);
    await questions.answer(answer(open?.id, ["secret"]));
    expect(await Promise.all(both)).toEqual([["secret"], ["secret"]]);
    expect(await questions.ask(passphrase({ hostId: "host-3", onlyKept: true }), never)).toEqual(["secret"]);
    expect(questions.list()).toEqual([]);
  });

  it("forget an answer that was wrong, but not one that another connection was given meanwhile", async () => {
    const questions = desk();
    const first = questions.ask(passphrase(), never);
    const second = questions.ask(passphrase({ hostId: "host-2" }), never);
    await questions.answer(answer((await opened(questions))[0]?.id, ["wrong"]));
    await Promise.all([first, second]);
    const again = questions.ask(passphrase({ wasWrong: true }), never);
    const [open] = await opened(questions);
    expect(open?.instruction).toMatch(/^That was wrong\./);
    await questions.answer(answer(open?.id, ["right"]));
    expect(await again).toEqual(["right"]);
    expect(await questions.ask(passphrase({ hostId: "host-2", wasWrong: true }), never)).toEqual(["right"]);
    expect(questions.list()).toEqual([]);
  });

  it("never keep what has no name to keep it under", async () => {
    const questions = desk();
    const code = passphrase({ kind: QuestionKind.KEYBOARD_INTERACTIVE, keepAs: null });
    const first = questions.ask(code, never);
    await questions.answer(answer((await opened(questions))[0]?.id, ["123456"]));
    expect(await first).toEqual(["123456"]);
    expect(await questions.ask({ ...code, onlyKept: true }, never)).toBeNull();
  });

  it("end when the person declines, when the connection ends, and when nobody may be asked", async () => {
    const questions = desk();
    const declined = questions.ask(passphrase(), never);
    await questions.answer(answer((await opened(questions))[0]?.id, []));
    expect(await declined).toBeNull();
    const ending = new AbortController();
    const left = questions.ask(passphrase(), ending.signal);
    await opened(questions);
    ending.abort();
    expect(await left).toBeNull();
    expect(questions.list()).toEqual([]);
    expect(await questions.ask(passphrase({ onlyKept: true }), never)).toBeNull();
  });

  it("refuse answers that do not fit, and stay open", async () => {
    const questions = desk();
    const asked = questions.ask(passphrase(), never);
    const [open] = await opened(questions);
    for (const answers of [["a", "b"], ["x".repeat(5000)]]) {
      await expect(questions.answer(answer(open?.id, answers))).rejects.toMatchObject({
        code: ErrorCode.INVALID_ARGUMENT,
      });
    }
    await expect(questions.answer(answer("unknown", ["a"]))).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
    await questions.answer(answer(open?.id, ["fits"]));
    expect(await asked).toEqual(["fits"]);
  });

  it("keep an answer in the keyring alone, sealed, for the next start", async () => {
    const questions = desk(keyring("keyring"));
    const asked = questions.ask(passphrase(), never);
    await questions.answer(answer((await opened(questions))[0]?.id, ["opensesame"], true));
    await asked;
    expect([...sealed.entries()].flat().join()).not.toMatch(/opensesame|SHA256:abc/);
    const next = desk(keyring("keyring"));
    expect(await next.ask(passphrase({ onlyKept: true }), never)).toEqual(["opensesame"]);
    expect(await next.ask(passphrase({ onlyKept: true, wasWrong: true }), never)).toBeNull();
    expect(await desk(keyring("keyring")).ask(passphrase({ onlyKept: true }), never)).toBeNull();
  });

  it.each([undefined, "plain"] as const)("refuse to keep an answer without a keyring (%s)", async (protection) => {
    const questions = desk(protection && keyring(protection));
    const asked = questions.ask(passphrase(), never);
    const [open] = await opened(questions);
    await expect(questions.answer(answer(open?.id, ["x"], true))).rejects.toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
    });
    expect(sealed.size).toBe(0);
    await questions.answer(answer(open?.id, ["x"]));
    expect(await asked).toEqual(["x"]);
  });

  it("show text of strangers in one bounded line that moves no cursor", async () => {
    const questions = desk();
    const prompts = Array.from({ length: 50 }, () => ({ text: `code\u001b[2J\n${"x".repeat(9000)}`, echo: true }));
    const asked = questions.ask(passphrase({ instruction: "a\u202eb\u0007", prompts, keepAs: null }), never);
    const [open] = await opened(questions);
    expect(open?.instruction).toBe("a\\u{202e}b\\u{7}");
    expect(open?.prompts).toHaveLength(8);
    expect(open?.prompts[0]?.text).toMatch(/^code\\u\{1b\}\[2J\\u\{a\}x{1,500}$/);
    await questions.answer(answer(open?.id, []));
    await asked;
  });

  it("stream the whole list after each change", async () => {
    const questions = desk();
    const ending = new AbortController();
    const stream = questions.watch(ending.signal);
    expect((await stream.next()).value).toMatchObject({ sequence: 1n, questions: [] });
    const asked = questions.ask(passphrase(), never);
    const { value } = await stream.next();
    expect(value).toMatchObject({ sequence: 2n, questions: [{ subject: "~/.ssh/id_ed25519" }] });
    await questions.answer(answer(value?.questions[0]?.id, ["a"]));
    await asked;
    expect((await stream.next()).value).toMatchObject({ sequence: 3n, questions: [] });
    ending.abort();
    expect((await stream.next()).done).toBe(true);
  });
});
