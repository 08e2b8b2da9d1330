/** What an answer of an HTTP server means for a delivery. */

import type { PostAnswer } from "./http-post.ts";
import { accepted, failed, type Outcome, told } from "./outcome.ts";

/** Beyond that a server that says "later" is asked as usual. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;
const WORTH_ANOTHER = new Set([408, 425, 429]);

export function outcomeOf(answer: PostAnswer, nowMs: number): Outcome {
  const { status, tookMs, text, location } = answer;
  const what = `HTTP ${status} in ${tookMs} ms`;
  if (status >= 200 && status < 300) return accepted(what);
  if (status >= 300 && status < 400) {
    const where = location === "" ? "" : ` to ${told(location).slice(0, 200)}`;
    return failed(
      `${what}: it wants to send the message on${where}; redirects are not followed.`,
      true,
      "Give the address that it leads to.",
    );
  }
  const said = told(text).slice(0, 160);
  const detail = said === "" ? what : `${what}: ${said}`;
  return failed(detail, status < 500 && !WORTH_ANOTHER.has(status), "", retryAfterMs(answer.retryAfter, nowMs));
}

function retryAfterMs(header: string, nowMs: number): number {
  const seconds = /^\d{1,9}$/.test(header) ? Number(header) : (Date.parse(header) - nowMs) / 1000;
  if (!Number.isFinite(seconds) || seconds <= 0) return 0;
  return Math.min(LONGEST_RETRY_AFTER_MS, seconds * 1000);
}
