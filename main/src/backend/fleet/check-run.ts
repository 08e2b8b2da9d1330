/** The steps of a check, each told as it begins and as it ends. */
import { create } from "@bufbuild/protobuf";
import {
  type CheckHostResponse,
  CheckHostResponseSchema,
  CheckStep,
  type Platform,
  StepState,
} from "@wardline/api/wardline/console/v1/fleet";
import { Failure } from "@wardline/domain/errors";
import { replaceInvisible } from "@wardline/domain/text";
import { failureToDetail } from "@wardline/domain/wire";
import { ChangeSignal } from "../async/signal.ts";
import { HostKeyFailure } from "../ssh/host-key-failure.ts";

const LONGEST_DETAIL = 400;
const ALL_STEPS: readonly CheckStep[] = [
  CheckStep.CONFIGURATION,
  CheckStep.NAME,
  CheckStep.ROUTE,
  CheckStep.PORT,
  CheckStep.HOST_KEY,
  CheckStep.AUTHENTICATION,
  CheckStep.PLATFORM,
  CheckStep.PRIVILEGE,
  CheckStep.AGENT,
  CheckStep.VERSION,
  CheckStep.PERMISSION,
];

export class CheckRun {
  readonly #changes = new ChangeSignal();
  readonly #messages: CheckHostResponse[] = [];
  readonly #startedAtMs = new Map<CheckStep, number>();
  readonly #ended = new Set<CheckStep>();
  #current: CheckStep = CheckStep.CONFIGURATION;
  #platform: Platform | null = null;

  begin(step: CheckStep): void {
    if (this.#startedAtMs.has(step)) return;
    this.#current = step;
    this.#startedAtMs.set(step, performance.now());
    this.#tell(step, StepState.RUNNING, "");
  }

  pass(step: CheckStep, detail: string): void {
    this.begin(step);
    if (this.#ended.has(step)) return;
    this.#ended.add(step);
    this.#tell(step, StepState.PASSED, detail);
  }

  skip(step: CheckStep, detail: string): void {
    if (this.#ended.has(step)) return;
    this.#ended.add(step);
    this.#tell(step, StepState.SKIPPED, detail);
  }

  found(platform: Platform): void {
    this.#platform = platform;
  }

  /** Runs one step. What it throws is how the check ends. */
  async step<Result>(
    step: CheckStep,
    body: () => Promise<Result>,
    detailOf: (result: Result) => string,
  ): Promise<Result> {
    this.begin(step);
    const result = await body();
    this.pass(step, detailOf(result));
    return result;
  }

  /**
   * The messages of `body` as they come. A `Failure` ends the step that runs, and those after it are not reached; the last
   * message has the platform.
   */
  async *follow(body: () => Promise<void>, signal: AbortSignal): AsyncGenerator<CheckHostResponse> {
    let defect: { readonly error: unknown } | null = null;
    let isOver = false;
    const running = body()
      .catch((error: unknown) => {
        if (error instanceof Failure) this.#fail(error);
        else defect = { error };
      })
      .then(() => {
        for (const step of ALL_STEPS) if (!this.#ended.has(step)) this.skip(step, "");
        isOver = true;
        this.#changes.notify();
      });
    for (;;) {
      const seen = this.#changes.version;
      // Before the messages are taken: while they are sent, others come and it ends.
      const isLast = isOver;
      const messages = this.#messages.splice(0);
      const last = messages.at(-1);
      if (isLast && last && this.#platform) last.platform = this.#platform;
      yield* messages;
      if (isLast || signal.aborted) break;
      await this.#changes.wait(seen, 60_000, signal);
    }
    if (signal.aborted) return;
    await running;
    if (defect) throw (defect as { readonly error: unknown }).error;
  }

  #fail(failure: Failure): void {
    const step = this.#current;
    this.#ended.add(step);
    const message = this.#tell(step, StepState.FAILED, "");
    message.error = failureToDetail(failure);
    if (failure instanceof HostKeyFailure) message.shownKey = failure.shown;
  }

  #tell(step: CheckStep, state: StepState, detail: string): CheckHostResponse {
    const startedAtMs = this.#startedAtMs.get(step);
    const isEnd = state === StepState.PASSED || state === StepState.FAILED;
    const tookMs = isEnd && startedAtMs !== undefined ? Math.round(performance.now() - startedAtMs) : 0;
    const message = create(CheckHostResponseSchema, { step, state, detail: shown(detail), tookMs });
    this.#messages.push(message);
    this.#changes.notify();
    return message;
  }
}

function shown(text: string): string {
  return replaceInvisible(text.slice(0, LONGEST_DETAIL), (codePoint) => `\\u{${codePoint.toString(16)}}`);
}
