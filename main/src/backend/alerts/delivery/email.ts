/** E-mail. What a server accepts is on its way; whether somebody reads it, it cannot know. */
import { connect, type Socket } from "node:net";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createTransport } from "nodemailer";
import type { ReceiverOf } from "../receivers.ts";
import { isLoopback, lookUp, type Resolver } from "./destination.ts";
import { htmlText, plainText, titleOf } from "./message-text.ts";
import { type Attempt, accepted, failed, type Outcome, refused, told, withoutSecret } from "./outcome.ts";

export interface EmailLimits {
  readonly connectMs: number;
  readonly greetingMs: number;
  readonly socketMs: number;
  readonly totalMs: number;
}

export const USUAL_EMAIL_LIMITS: EmailLimits = {
  connectMs: 10_000,
  greetingMs: 10_000,
  socketMs: 20_000,
  totalMs: 60_000,
};

export interface EmailDelivery {
  readonly resolve: Resolver;
  readonly limits: EmailLimits;
  /** PEM of further authorities (tests). */
  readonly authorities?: string | undefined;
}

/** An address and nothing else: no name, no list, no comment, no line break. */
const ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

export function isMailAddress(text: string): boolean {
  return text.length <= 254 && ADDRESS.test(text);
}

/** Never throws but for defects. */
export async function sendEmail(
  receiver: ReceiverOf<"email">,
  attempt: Attempt,
  delivery: EmailDelivery,
): Promise<Outcome> {
  const { signal, secret, say } = attempt;
  try {
    const host = await serverAddress(receiver, delivery, signal);
    say(`${receiver.server} is at ${host}; ${SECURITY_WORDS[receiver.security]}.`);
    const socket = await connectTo(host, receiver.port, delivery.limits.connectMs, signal);
    try {
      return await withinLimit(send(receiver, host, socket, attempt, delivery), delivery.limits.totalMs);
    } finally {
      socket.destroy();
    }
  } catch (error) {
    if (error instanceof Failure) return refused(error);
    if (error instanceof Error) return outcomeOfError(error as SmtpError, secret);
    throw error;
  }
}

const SECURITY_WORDS = {
  tls: "the connection is encrypted from the start",
  starttls: "nothing is sent before the connection is encrypted",
  none: "the connection is not encrypted, and stays on this machine",
} as const;

/** @throws Failure DESTINATION_REFUSED (plain text would leave the machine), DELIVERY_FAILED */
async function serverAddress(
  { server, security }: ReceiverOf<"email">,
  { resolve }: EmailDelivery,
  signal: AbortSignal,
): Promise<string> {
  const addresses = await lookUp(server, resolve, signal);
  if (security === "none" && !addresses.every(isLoopback)) {
    throw new Failure({
      code: ErrorCode.DESTINATION_REFUSED,
      message: `${server} is not this machine: mail and password would go there unencrypted. Nothing was sent.`,
      hint: "Use tls or starttls.",
    });
  }
  return addresses[0] ?? server;
}

/** A socket of our own: it can be ended whatever the server drags out. */
function connectTo(host: string, port: number, limitMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    const fail = (message: string) => {
      limit.removeEventListener("abort", late);
      socket.destroy();
      reject(new Error(message));
    };
    const late = () => fail(`No connection to port ${port} within ${limitMs / 1000} s.`);
    limit.addEventListener("abort", late, { once: true });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const isRefused = error.code === "ECONNREFUSED";
      fail(isRefused ? `Nobody listens on port ${port} (connection refused).` : `${error.message}.`);
    });
    socket.once("connect", () => {
      limit.removeEventListener("abort", late);
      socket.removeAllListeners("error");
      // Whoever uses it hears of errors; one that comes when nobody does must not end the process.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

async function send(
  receiver: ReceiverOf<"email">,
  host: string,
  socket: Socket,
  { message, secret, say, signal }: Attempt,
  { limits, authorities }: EmailDelivery,
): Promise<Outcome> {
  const { server, port, security, user, from, to } = receiver;
  const transport = createTransport({
    ...{ host, port, secure: security === "tls", requireTLS: security === "starttls", ignoreTLS: security === "none" },
    ...(user === "" ? {} : { auth: { user, pass: secret ?? "" } }),
    // The certificate has to be that of the name, not of the address it was found at.
    tls: {
      servername: server,
      rejectUnauthorized: true,
      minVersion: "TLSv1.2",
      ...(authorities ? { ca: authorities } : {}),
    },
    connection: socket,
    connectionTimeout: limits.connectMs,
    greetingTimeout: limits.greetingMs,
    socketTimeout: limits.socketMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    name: "wardline.invalid",
  });
  const stop = () => socket.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const sent = await transport.sendMail({
      envelope: { from, to: [...to] },
      from,
      to: [...to],
      subject: told(titleOf(message)),
      text: plainText(message),
      html: htmlText(message),
      // The same at each attempt: a mail that arrives twice can be told.
      messageId: `<${message.id}@wardline.invalid>`,
      date: new Date(message.madeAtMs),
      headers: { "Auto-Submitted": "auto-generated", "X-Wardline-Message": message.id },
    });
    const said = withoutSecret(`smtp ${sent.response}`, secret);
    if (user !== "") say(`The server took the password of ${user}.`);
    say(`It said: ${told(said)}`);
    const rejected = sent.rejected.map(String);
    if (rejected.length === 0) return accepted(said);
    return failed(`${said}; but not for ${rejected.join(", ")}.`, true, "Check the addresses that it refused.");
  } finally {
    signal.removeEventListener("abort", stop);
    transport.close();
  }
}

type SmtpError = Error & { readonly code?: string; readonly responseCode?: number; readonly response?: string };

function outcomeOfError(error: SmtpError, secret: string | null): Outcome {
  const { code = "", responseCode = 0, response = "" } = error;
  const said = withoutSecret(response === "" ? error.message : `smtp ${response}`, secret);
  if (code === "ETLS")
    return failed(
      `No encrypted connection: ${said} Nothing was sent.`,
      true,
      "Use tls, or a server that offers STARTTLS.",
    );
  if (code === "EAUTH" && responseCode !== 454 && responseCode !== 421) {
    return failed(
      `The server refused the login: ${said}`,
      true,
      "Check user and password, and set the password again.",
    );
  }
  if (responseCode >= 500) return failed(said, true);
  if (responseCode >= 400) return failed(said, false);
  const isCertificate = /certificate|self.signed|altname/i.test(error.message);
  if (isCertificate) return failed(`The server's certificate is not accepted: ${said}`, true);
  return failed(code === "" ? said : `${said} (${code})`, false);
}

async function withinLimit<Result>(work: Promise<Result>, limitMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${limitMs / 1000} s altogether.`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
