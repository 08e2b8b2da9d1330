/** A thread that does as it is told. Only for tests. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Checkpoint, serveCalls } from "../thread-calls.ts";

let calls = 0;

serveCalls({
  count: () => ++calls,
  refuse: () => {
    throw new Failure({ code: ErrorCode.NOT_FOUND, message: "There is no such thing.", hint: "Ask for another." });
  },
  fail: () => {
    throw new TypeError("a defect");
  },
  /** Looks between the parts of its work whether anybody waits. */
  polite: (_: unknown, checkpoint: Checkpoint) => {
    for (;;) checkpoint();
  },
  stubborn: () => {
    for (;;);
  },
  greedy: () => {
    const kept: string[][] = [];
    for (let size = 0; ; size++) kept.push(Array.from({ length: 100_000 }, () => `${size}`));
  },
  quit: () => process.exit(0),
  /** Answers, and ends after that. */
  leave: () => void setTimeout(() => process.exit(0)),
});
