import { EventEmitter } from "node:events";
import { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../backend/ports.ts";
import { QuestionDesk } from "../../backend/questions/question-desk.ts";
import { askLine } from "./ask-hidden.ts";
import { answerOnTerminal } from "./questions.ts";

const never = new AbortController().signal;

class FakeTerminal extends EventEmitter {
  readonly isTTY = true;
  isRaw = false;
  written = "";
  setRawMode(isRaw: boolean): void {
    this.isRaw = isRaw;
  }
  resume(): void {}
  pause(): void {}
  type(text: string): void {
    this.emit("data", Buffer.from(text));
  }
  ask(prompt: string, isShown: boolean, signal: AbortSignal = never): Promise<string | null> {
    return askLine(prompt, isShown, signal, this, (text) => {
      this.written += text;
    });
  }
}

describe("a line at the terminal", () => {
  it("is not shown when it is secret, and the terminal is as before afterwards", async () => {
    const terminal = new FakeTerminal();
    const answer = terminal.ask("Passphrase: ", false);
    expect(terminal.isRaw).toBe(true);
    terminal.type("sec");
    terminal.type("rex\u007fts\u007f\u007fet\r");
    expect(await answer).toBe("secreet");
    expect(terminal.written).toBe("Passphrase: \n");
    expect(terminal.isRaw).toBe(false);
    expect(terminal.listenerCount("data")).toBe(0);
  });

  it("is shown harmlessly otherwise, and can be taken back", async () => {
    const terminal = new FakeTerminal();
    const answer = terminal.ask("Code: ", true);
    terminal.type("12\u00153\u001b4\n");
    expect(await answer).toBe("3\u001b4");
    expect(terminal.written).toBe("Code: 12\b \b\b \b3\\u{1b}4\n");
  });

  it.each(["\u0003", "\u0004"])("is declined by %j, and when the question is over", async (key) => {
    const terminal = new FakeTerminal();
    const declined = terminal.ask("? ", true);
    terminal.type(key);
    expect(await declined).toBeNull();
    const over = new AbortController();
    const left = terminal.ask("? ", true, over.signal);
    over.abort();
    expect(await left).toBeNull();
    expect(terminal.isRaw).toBe(false);
  });
});

describe("questions of connections", () => {
  let stop = () => {};
  afterEach(() => stop());

  const question = (hostId: string, text: string, keepAs: string | null = null) => ({
    hostId,
    kind: QuestionKind.PASSPHRASE,
    subject: `\u001b[2J${hostId}`,
    instruction: "",
    prompts: [{ text, echo: false }],
    keepAs,
  });

  function desk(): QuestionDesk {
    const memory = new Map<string, readonly string[]>();
    const kept = {
      find: async (key: string) => memory.get(key) ?? null,
      keepInMemory: (key: string, answers: readonly string[]) => void memory.set(key, answers),
      keepInKeyring: async () => {},
      forget: (key: string) => void memory.delete(key),
    };
    return new QuestionDesk({ clock: systemClock, kept: kept as never });
  }

  it("come one after the other, and one answer serves all who ask the same", async () => {
    const asked: string[] = [];
    const notes: string[] = [];
    let isAsking = false;
    const questions = desk();
    stop = answerOnTerminal(
      questions,
      async (prompt) => {
        expect(isAsking).toBe(false);
        isAsking = true;
        asked.push(prompt);
        await new Promise((resolve) => setTimeout(resolve, 10));
        isAsking = false;
        return "answer";
      },
      (text) => notes.push(text),
    );
    const answers = await Promise.all([
      questions.ask(question("a", "one\u001b[31m", "key"), never),
      questions.ask(question("b", "one", "key"), never),
      questions.ask(question("c", "two"), never),
    ]);
    expect(answers).toEqual([["answer"], ["answer"], ["answer"]]);
    expect(asked).toHaveLength(2);
    expect(`${asked.join()}${notes.join()}`).not.toContain("\u001b");
  });

  it("are declined with the key that says so, and left when the connection has gone", async () => {
    const questions = desk();
    let wait: (answer: string | null) => void = () => {};
    stop = answerOnTerminal(
      questions,
      (_prompt, _isShown, signal) =>
        new Promise((resolve) => {
          wait = resolve;
          signal.addEventListener("abort", () => resolve(null));
        }),
      () => {},
    );
    const declined = questions.ask(question("a", "one"), never);
    await expect.poll(() => questions.list()).toHaveLength(1);
    wait(null);
    expect(await declined).toBeNull();
    const gone = new AbortController();
    const left = questions.ask(question("b", "two"), gone.signal);
    await expect.poll(() => questions.list()).toHaveLength(1);
    gone.abort();
    expect(await left).toBeNull();
    await expect.poll(() => questions.list()).toHaveLength(0);
  });
});
