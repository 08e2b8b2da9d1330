/**
 * Tests that build on each other, as the steps of a person do. The second try of one that failed begins from nothing and takes
 * the steps before it once more: what the first try left half done would be in its way.
 */
import { afterAll, it } from "vitest";

/** Of all steps together: a second try takes several of them. */
const LIMIT_MS = 400_000;

export interface Course {
  /** Makes everything that the steps need; when it rejects, `end` is called as well. */
  readonly begin: () => Promise<void>;
  readonly end: () => Promise<void>;
}

export type Step = (name: string, run: () => Promise<void>) => void;

/** To be called once, directly in the `describe`; what it returns is used in place of `it`. */
export function inOrder({ begin, end }: Course): Step {
  const steps: (() => Promise<void>)[] = [];
  /** Steps taken since the beginning; `null` = it has not begun. */
  let done: number | null = null;
  let hasFailed = false;

  async function finish(): Promise<void> {
    const hasBegun = done !== null;
    done = null;
    hasFailed = false;
    if (hasBegun) await end();
  }

  afterAll(finish, LIMIT_MS);

  return (name, run) => {
    const index = steps.length;
    steps.push(run);
    it(name, { timeout: LIMIT_MS, retry: 1 }, async ({ task }) => {
      const isAgain = (task.result?.retryCount ?? 0) > 0;
      if (isAgain) await finish();
      if (hasFailed) throw new Error("a step before this one has failed");
      if (done === null) {
        done = 0;
        await begin();
      }
      hasFailed = true;
      for (; done <= index; done += 1) await steps[done]?.();
      hasFailed = false;
    });
  };
}
