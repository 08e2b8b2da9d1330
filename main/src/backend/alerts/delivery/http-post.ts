/**
 * One POST to a judged destination: no proxy, no redirect, each phase and the whole bounded in time, the answer bounded in
 * size. The certificate is verified for the name of the URL.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import type { Destination } from "./destination.ts";

const MOST_ANSWER_BYTES = 64 * 1024;

export interface PostLimits {
  readonly connectMs: number;
  readonly answerMs: number;
  readonly totalMs: number;
}

export const USUAL_LIMITS: PostLimits = { connectMs: 10_000, answerMs: 15_000, totalMs: 20_000 };

export interface PostOptions {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: PostLimits;
  readonly signal: AbortSignal;
  /** PEM of further authorities (tests). */
  readonly authorities?: string | undefined;
}

export interface PostAnswer {
  readonly status: number;
  /** The beginning of it. */
  readonly text: string;
  readonly isCutShort: boolean;
  readonly tookMs: number;
  readonly retryAfter: string;
  readonly location: string;
  /** Where it went. */
  readonly address: string;
}

/** @throws Error with a sentence; none of them holds anything of the body or the headers */
export function post(destination: Destination, options: PostOptions): Promise<PostAnswer> {
  const { url } = destination;
  const isTls = url.protocol === "https:";
  const startedAtMs = performance.now();
  return new Promise((resolve, reject) => {
    const body = Buffer.from(options.body);
    const agent = isTls ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false });
    const call = (isTls ? httpsRequest : httpRequest)(url, {
      agent,
      method: "POST",
      lookup: lookupIn(destination),
      headers: { ...options.headers, "Content-Length": String(body.length), Connection: "close" },
      ...(options.authorities ? { ca: options.authorities } : {}),
    });
    const timers = new Set<NodeJS.Timeout>();
    const settle = (finish: () => void) => {
      for (const timer of timers) clearTimeout(timer);
      options.signal.removeEventListener("abort", stop);
      finish();
      call.destroy();
      agent.destroy();
    };
    const fail = (message: string) => settle(() => reject(new Error(message)));
    const stop = () => fail("It was stopped.");
    const limit = (ms: number, message: string) => {
      const timer = setTimeout(() => fail(message), ms);
      timers.add(timer);
      return () => clearTimeout(timer);
    };
    const { connectMs, answerMs, totalMs } = options.limits;
    limit(totalMs, `It took longer than ${totalMs / 1000} s altogether.`);
    const connected = limit(connectMs, `No connection within ${connectMs / 1000} s.`);
    options.signal.addEventListener("abort", stop, { once: true });
    call.on("socket", (socket) => socket.once(isTls ? "secureConnect" : "connect", connected));
    call.on("finish", () => limit(answerMs, `Connected, but no answer within ${answerMs / 1000} s.`));
    call.on("error", (error: NodeJS.ErrnoException) => fail(sentenceOf(error)));
    call.on("response", (answer) => {
      const address = answer.socket.remoteAddress ?? "";
      readBounded(answer)
        .then(({ text, isCutShort }) => {
          const { statusCode: status = 0, headers } = answer;
          const tookMs = Math.round(performance.now() - startedAtMs);
          const { "retry-after": retryAfter = "", location = "" } = headers;
          settle(() => resolve({ status, text, isCutShort, tookMs, retryAfter, location, address }));
        })
        .catch((error: Error) => fail(`The answer broke off: ${error.message}.`));
    });
    if (options.signal.aborted) stop();
    else call.end(body);
  });
}

/** The connection goes to what was judged, whatever the name means by now. */
function lookupIn({ addresses }: Destination): LookupFunction {
  return (_name, options, callback) => {
    const [first] = addresses;
    if (options.all)
      callback(
        null,
        addresses.map(({ address, family }) => ({ address, family })),
      );
    else if (first) callback(null, first.address, first.family);
    else callback(Object.assign(new Error("no address"), { code: "ENOTFOUND" }), "");
  };
}

/** Reads on until there is enough; the rest of a long answer is never taken. */
async function readBounded(answer: IncomingMessage): Promise<{ text: string; isCutShort: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    const bytes = part as Buffer;
    parts.push(bytes.subarray(0, MOST_ANSWER_BYTES - size));
    size += bytes.length;
    if (size >= MOST_ANSWER_BYTES) return { text: Buffer.concat(parts).toString("utf8"), isCutShort: true };
  }
  return { text: Buffer.concat(parts).toString("utf8"), isCutShort: false };
}

function sentenceOf(error: NodeJS.ErrnoException): string {
  const { code = "" } = error;
  if (code === "ECONNREFUSED") return "Nobody listens there (connection refused).";
  if (code === "ECONNRESET" || code === "EPIPE") return "The other side ended the connection.";
  if (code.startsWith("ERR_TLS") || code.includes("CERT") || code.includes("SIGNED") || code.includes("ISSUER")) {
    return `Its certificate is not accepted: ${error.message} (${code}).`;
  }
  return `${error.message}${code === "" || error.message.includes(code) ? "" : ` (${code})`}.`;
}
