/**
 * One question to the admin socket of a daemon: one JSON object there, one back, and the connection is over. What is at the other
 * end is not trusted: bytes, depth and time are bounded, and every way in which it can go wrong has a name.
 */
import { connect, type Socket } from "node:net";
import { isErrno } from "../../../files/atomicFile.ts";

export type AdminEndpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export type AdminProblem =
  /** No such file. */
  | "missing"
  /** A file, or a port, and nobody behind it. */
  | "refused"
  | "denied"
  /** It takes the connection and does not answer in time. */
  | "silent"
  /** It ended the connection before the answer was whole. */
  | "cut"
  | "too-large"
  /** No JSON, or nested deeper than any answer is. */
  | "garbage"
  /** JSON of a shape that no known release has. */
  | "shape"
  /** It understood, and says no; `message` is what it says. */
  | "refusal";

export class AdminError extends Error {
  readonly problem: AdminProblem;

  constructor(problem: AdminProblem, message: string) {
    super(message);
    this.name = "AdminError";
    this.problem = problem;
  }
}

export interface AdminLimits {
  readonly bytes: number;
  readonly depth: number;
}

const USUAL_LIMITS: AdminLimits = { bytes: 4 * 1024 * 1024, depth: 16 };

export function endpointText(endpoint: AdminEndpoint): string {
  return endpoint.kind === "unix" ? endpoint.path : `tcp://${endpoint.host}:${endpoint.port}`;
}

/** The parsed answer, of whatever shape. Throws {@link AdminError}; an aborted signal counts as silence. */
export async function askAdmin(
  endpoint: AdminEndpoint,
  request: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  limits: AdminLimits = USUAL_LIMITS,
): Promise<unknown> {
  const text = await exchange(endpoint, JSON.stringify(request), signal, limits.bytes);
  if (depthOf(text) > limits.depth) throw new AdminError("garbage", "its answer is nested too deeply");
  try {
    return JSON.parse(text);
  } catch {
    const isWhole = text.trimEnd().endsWith("}");
    throw new AdminError(
      isWhole ? "garbage" : "cut",
      isWhole ? "its answer is no JSON" : "its answer ends in the middle",
    );
  }
}

function exchange(endpoint: AdminEndpoint, text: string, signal: AbortSignal, mostBytes: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  let size = 0;
  const socket: Socket = endpoint.kind === "unix" ? connect(endpoint.path) : connect(endpoint.port, endpoint.host);
  const fail = (error: AdminError) => {
    socket.destroy();
    reject(error);
  };
  // What has arrived while this process was held up counts as in time: it is read before the second turn of the loop.
  const onAbort = () => {
    setImmediate(() => setImmediate(() => fail(new AdminError("silent", "it did not answer in time"))));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  socket.on("connect", () => socket.write(text));
  socket.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > mostBytes) fail(new AdminError("too-large", `its answer has more than ${mostBytes} bytes`));
    else chunks.push(chunk);
  });
  socket.once("end", () => {
    if (size === 0) fail(new AdminError("cut", "it hung up without an answer"));
    else resolve(Buffer.concat(chunks, size).toString("utf8"));
  });
  socket.once("error", (error) => fail(problemOf(error, size)));
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  });
}

function problemOf(error: Error, receivedBytes: number): AdminError {
  if (isErrno(error, "ENOENT", "ENOTDIR")) return new AdminError("missing", "the socket is not there");
  if (isErrno(error, "ECONNREFUSED", "ENOTSOCK")) return new AdminError("refused", "nobody listens there");
  if (isErrno(error, "EACCES", "EPERM")) return new AdminError("denied", "this user may not open it");
  // The queue of connections that nobody takes is full.
  if (isErrno(error, "EAGAIN", "ETIMEDOUT")) return new AdminError("silent", "it takes no connections");
  if (isErrno(error, "ECONNRESET", "EPIPE") || receivedBytes > 0) {
    return new AdminError("cut", "it hung up in the middle of its answer");
  }
  return new AdminError("refused", `it cannot be reached: ${error.message.slice(0, 200)}`);
}

/** Of brackets outside of strings. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (isText) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) isText = false;
    } else if (code === 0x22) isText = true;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return deepest;
}
