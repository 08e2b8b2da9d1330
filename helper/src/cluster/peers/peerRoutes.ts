/** What the peer service answers, each call bounded in size and time. */
import { create } from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { PeerService, PingResponseSchema } from "@wardline/api/wardline/peer/v1/peer";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError } from "@wardline/domain/wire";
import type { Logger } from "pino";
import { toTimestamp } from "../../agent/clock.ts";
import { ADMITTED, SESSION } from "./context.ts";
import type { PeerCaller, PeerHandlers } from "./ports.ts";

const SMALL_BYTES = 64 * 1024;
/** A set of documents has 8 MiB at most; what is around it is small. */
const FORWARD_BYTES = 12 * 1024 * 1024;

const DEADLINES_MS: ReadonlyMap<string, number> = new Map([
  ["Join", 20_000],
  ["Renew", 20_000],
  ["Ping", 5_000],
  ["Leave", 20_000],
  ["Forward", 60_000],
]);

export interface RouteParts {
  readonly handlers: PeerHandlers;
  readonly wallMs: () => number;
  readonly selfName: string;
}

export function peerRoutes(router: ConnectRouter, { handlers, wallMs, selfName }: RouteParts): void {
  const small = { readMaxBytes: SMALL_BYTES };
  const { join, renew, ping, leave, forward } = PeerService.method;
  router.rpc(join, (request, context) => handlers.join(request, joinCaller(context)), small);
  router.rpc(renew, (request, context) => handlers.renew(request, callerOf(context)), small);
  router.rpc(
    ping,
    (_request, context) => {
      const receivedAt = toTimestamp(wallMs());
      callerOf(context);
      return create(PingResponseSchema, { receivedAt, name: selfName });
    },
    small,
  );
  router.rpc(leave, (request, context) => handlers.leave(request, callerOf(context)), small);
  router.rpc(forward, (request, context) => handlers.forward(request, callerOf(context)), {
    readMaxBytes: FORWARD_BYTES,
  });
}

function joinCaller(context: HandlerContext) {
  return { remoteAddress: context.values.get(SESSION)?.remoteAddress ?? "", signal: context.signal };
}

function callerOf(context: HandlerContext): PeerCaller {
  const admitted = context.values.get(ADMITTED);
  // The gate has set it for every call but Join; this is the second lock.
  if (!admitted) throw new Failure({ code: ErrorCode.IDENTITY_REFUSED, message: "Nobody has proven to be a member." });
  return { ...admitted, signal: context.signal };
}

/** Deadlines, and errors as what they are. What the caller is told of a bug is that there is one. */
export function boundedCalls(log: Logger): Interceptor {
  return (next) => async (request) => {
    const name = request.method.name;
    try {
      return await within(next(request), DEADLINES_MS.get(name) ?? 5_000, name);
    } catch (error) {
      if (error instanceof ConnectError) throw error;
      if (error instanceof Failure) throw failureToConnectError(error);
      log.error({ err: error, method: name }, "a call of another member failed unexpectedly");
      const message = `The agent failed while it handled ${name}.`;
      throw failureToConnectError(new Failure({ code: ErrorCode.INTERNAL, message }));
    }
  };
}

async function within<T>(call: Promise<T>, deadlineMs: number, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    const message = `${name} took longer than ${deadlineMs / 1000} s.`;
    const failure = new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message, retryable: true });
    timer = setTimeout(() => reject(failure), deadlineMs);
  });
  try {
    return await Promise.race([call, expired]);
  } finally {
    clearTimeout(timer);
  }
}
