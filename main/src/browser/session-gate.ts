/** Who may use the console: whoever got in with a token that was given out once. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../backend/ports.ts";

const TOKEN_LIFETIME_MS = 10 * 60_000;
const MAX_TOKENS = 20;
const MAX_SESSIONS = 50;

export type TokenResult = { readonly session: string } | { readonly refused: "used" | "expired" | "unknown" };

interface Token {
  readonly digest: Buffer;
  readonly expiresAtMs: number;
  used: boolean;
}

function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

export class SessionGate {
  readonly #clock: Pick<Clock, "nowMs">;
  #tokens: Token[] = [];
  #sessions: Buffer[] = [];

  constructor(clock: Pick<Clock, "nowMs">) {
    this.#clock = clock;
  }

  /** A token that opens one session, within ten minutes. */
  createToken(): string {
    const secret = randomBytes(32).toString("base64url");
    const expiresAtMs = this.#clock.nowMs() + TOKEN_LIFETIME_MS;
    this.#tokens = [...this.#tokens, { digest: digestOf(secret), expiresAtMs, used: false }].slice(-MAX_TOKENS);
    return secret;
  }

  redeem(secret: string): TokenResult {
    const digest = digestOf(secret);
    const token = this.#tokens.find((candidate) => timingSafeEqual(candidate.digest, digest));
    if (!token) return { refused: "unknown" };
    if (token.used) return { refused: "used" };
    if (this.#clock.nowMs() > token.expiresAtMs) return { refused: "expired" };
    token.used = true;
    const session = randomBytes(32).toString("base64url");
    this.#sessions = [...this.#sessions, digestOf(session)].slice(-MAX_SESSIONS);
    return { session };
  }

  isSession(secret: string): boolean {
    const digest = digestOf(secret);
    return this.#sessions.some((session) => timingSafeEqual(session, digest));
  }
}
