/** Asks the kernel about packets through `wardline-agent test-run`, a child process that attaches nothing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  decodeTestRunAnswers,
  encodeTestRunRequest,
  type ProgramQuestions,
  TEST_RUN_LIMITS,
  type TestRunAnswer,
} from "@wardline/domain/policy/vectors";

const PROGRAM = fileURLToPath(new URL("../../../../bin/wardline", import.meta.url));
const EXIT_UNAVAILABLE = 3;
const KEPT_ERROR_LENGTH = 4_000;
/** For one program with its packets; a grace period of the kernel takes 20 ms. */
const ANSWER_LIMIT_MS = 60_000;

/**
 * The kernel's answers to the packets of each program, in order.
 *
 * Throws `Failure` AGENT_UNREACHABLE when the kernel cannot be asked here, INTERNAL when the child fails otherwise.
 */
export async function askKernel(programs: readonly ProgramQuestions[]): Promise<readonly (readonly TestRunAnswer[])[]> {
  const child = spawn(PROGRAM, ["agent", "test-run"], { stdio: ["pipe", "pipe", "pipe"] });
  const errors = new LastWords(child.stderr);
  // A child that ends before it has read everything: its exit code and words say why.
  child.stdin.on("error", () => undefined);
  const ended = once(child, "close").then(
    ([code]: unknown[]) => failureOf(code, errors.text),
    (error: unknown) => failureOf(null, String(error)),
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  try {
    const ask = async (questions: ProgramQuestions): Promise<readonly TestRunAnswer[]> => {
      child.stdin.write(`${encodeTestRunRequest(questions)}\n`);
      const line = await withLimit(lines.next());
      if (line.done) throw await ended;
      return decodeTestRunAnswers("the agent's answer", line.value, questions.packets.length);
    };
    const answers: (readonly TestRunAnswer[])[] = [];
    for (const questions of programs) {
      const parts: (readonly TestRunAnswer[])[] = [];
      for (const part of inParts(questions)) parts.push(await ask(part));
      answers.push(parts.flat());
    }
    return answers;
  } finally {
    child.stdin.destroy();
    child.kill("SIGTERM");
    await ended;
  }
}

/** As many packets at a time as the agent takes. */
function* inParts({ program, packets }: ProgramQuestions): Generator<ProgramQuestions> {
  for (let start = 0; start < packets.length; start += TEST_RUN_LIMITS.packets) {
    yield { program, packets: packets.slice(start, start + TEST_RUN_LIMITS.packets) };
  }
}

/** The end of what a child has to say. */
class LastWords {
  text = "";

  constructor(stream: Readable) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      this.text = `${this.text}${text}`.slice(-KEPT_ERROR_LENGTH);
    });
  }
}

async function withLimit<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failureOf(null, "it did not answer in time")), ANSWER_LIMIT_MS);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function failureOf(code: unknown, errorText: string): Failure {
  const words = errorText.trim().replace(/^wardline-agent: /, "");
  if (code === EXIT_UNAVAILABLE) {
    return new Failure({
      code: ErrorCode.AGENT_UNREACHABLE,
      message: `The kernel engine is not available here. ${words}`,
      hint: "Run it as root on Linux, or choose --engine compiled.",
    });
  }
  return new Failure({
    code: ErrorCode.INTERNAL,
    message: `The kernel engine failed: ${words || `exit code ${code}`}`,
  });
}
