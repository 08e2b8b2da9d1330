/** Hard questions over a large policy, and everybody else meanwhile. */
import { AnswerVerdict } from "@wardline/api/wardline/console/v1/ask";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../testing/console.ts";
import { largeFleet } from "../testing/large-fleet.ts";
import { watchTurns } from "../testing/longest-turn.ts";
import { AskServiceImpl } from "./ask-service.ts";

/** Takes seconds: everybody to everybody, by 5,000 rules. */
const HARD = "who can reach anyone?";
/** A moment: of the processor time that all threads take meanwhile, most that this one may take at a time. */
const SHARE_OF_A_TURN = 0.01;
const EASY = "which policies select host-1?";

let tester: TestConsole;
beforeAll(async () => {
  tester = startTestConsole(undefined, { introducesLocalHost: false });
  tester.backend.workspace.putAll(largeFleet({ hosts: 1_000, workloads: 1_000, rules: 5_000 }));
  await tester.ask.complete({ text: "who can reach", cursor: 13 });
});
afterAll(() => tester.close());

/** Over the same policies, with a patience of its own. */
function serviceOf(deadlineMs: number): AskServiceImpl {
  const { workspace, registry } = tester.backend;
  const ports = { workspace, registry, clock: { nowMs: Date.now }, deadlineMs };
  return new AskServiceImpl(ports as unknown as ConstructorParameters<typeof AskServiceImpl>[0]);
}

function requestOf(limit: number): Parameters<AskServiceImpl["ask"]>[0] {
  return { text: HARD, limit, hostId: "" } as Parameters<AskServiceImpl["ask"]>[0];
}

it("are answered while other calls are, and keep this thread busy for no longer than a moment", async () => {
  let isAnswered = false;
  let calls = 0;
  const before = process.cpuUsage();
  // Patient, so that a busy machine changes no answer.
  const patient = serviceOf(50_000);
  const { result, longestMs } = await watchTurns(async () => {
    const hard = patient.ask(requestOf(1_000), new AbortController().signal).finally(() => {
      isAnswered = true;
    });
    while (!isAnswered) {
      await tester.ask.complete({ text: "who can reach app-7", cursor: 19 });
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return hard;
  });
  const { outcome } = result;
  expect(outcome).toMatchObject({ case: "answer", value: { verdict: AnswerVerdict.LIST } });
  expect(outcome.case === "answer" && outcome.value.rows.length).toBe(1_000);
  expect(calls).toBeGreaterThan(50);
  // All of it is processor time of the same moments: what slows the machine down slows both.
  const { user, system } = process.cpuUsage(before);
  expect(longestMs).toBeLessThan(((user + system) / 1_000) * SHARE_OF_A_TURN);
  await patient.close();
}, 60_000);

it("end when they are cancelled or take too long, with why, and the next one is answered", async () => {
  const cancelled = new AbortController();
  const hard = [1, 2].map(() => tester.ask.ask({ text: HARD }, { signal: cancelled.signal }));
  const next = tester.ask.ask({ text: EASY });
  setTimeout(() => cancelled.abort(), 100);
  for (const one of hard) await expect(one).rejects.toThrow();
  expect((await next).outcome.case).toBe("answer");

  const impatient = serviceOf(100);
  await expect(impatient.ask(requestOf(0), new AbortController().signal)).rejects.toMatchObject({
    code: ErrorCode.DEADLINE_EXCEEDED,
    hint: expect.stringContaining("fewer"),
  });
  await impatient.close();
}, 60_000);
