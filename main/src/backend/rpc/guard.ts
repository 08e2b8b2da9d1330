/** The border of every console call: failures travel whole, anything else is logged here once and told apart as a defect. */
import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";
import { failureToConnectError } from "@wardline/domain/wire";
import type { Logger } from "../ports.ts";
import { isReading, requireReading } from "./read-only.ts";

/** Handlers get a signal that aborts when the caller has gone or the backend closes. */
export interface Guard {
  unary<Request, Response>(
    handler: (request: Request, signal: AbortSignal) => Response | Promise<Response>,
  ): (request: Request, context: HandlerContext) => Promise<Response>;
  stream<Request, Response>(
    handler: (request: Request, signal: AbortSignal) => AsyncGenerator<Response>,
  ): (request: Request, context: HandlerContext) => AsyncGenerator<Response>;
}

/** Keeps who changed what with this console, and how it ended. */
export interface CallRecorder {
  record<Schema extends DescMessage>(
    method: { readonly service: string; readonly name: string; readonly input: Schema },
    request: MessageShape<Schema>,
    error: unknown,
  ): void;
}

/** @param isReadOnly refuses every call that changes something; see `requireReading` */
export function createGuard(
  logger: Logger,
  closing: AbortSignal,
  isReadOnly = false,
  recorder: CallRecorder | null = null,
): Guard {
  const record = ({ service, method }: HandlerContext, request: unknown, error: unknown) => {
    if (!recorder || isReadOnly || isReading(service.typeName, method.name)) return;
    const name = service.typeName.slice(service.typeName.lastIndexOf(".") + 1);
    recorder.record({ service: name, name: method.name, input: method.input }, request as Message, error);
  };
  const admit = ({ service, method }: HandlerContext) => {
    if (isReadOnly) requireReading(service.typeName, method.name);
  };
  const toWire = (error: unknown, context: HandlerContext): ConnectError => {
    if (error instanceof Failure) return failureToConnectError(error);
    if (closing.aborted) return new ConnectError("the console is closing", Code.Unavailable);
    if (context.signal.aborted) return new ConnectError("the caller has gone", Code.Canceled);
    if (error instanceof ConnectError) return error;
    logger.error({ method: context.method.name, err: error }, "console call failed");
    return failureToConnectError(
      new Failure({
        code: ErrorCode.INTERNAL,
        message: `The console could not answer ${context.method.name}: ${error instanceof Error ? error.message : String(error)}`,
        hint: "This is a defect; the console's log has the details.",
      }),
    );
  };
  return {
    unary: (handler) => async (request, context) => {
      try {
        admit(context);
        const response = await handler(request, AbortSignal.any([context.signal, closing]));
        record(context, request, null);
        return response;
      } catch (error) {
        record(context, request, error);
        throw toWire(error, context);
      }
    },
    stream: (handler) =>
      async function* (request, context) {
        try {
          admit(context);
          yield* handler(request, AbortSignal.any([context.signal, closing]));
          record(context, request, null);
        } catch (error) {
          record(context, request, error);
          throw toWire(error, context);
        }
      },
  };
}

/** A revision or number from the wire, safe to use as a JavaScript number. @throws Failure INVALID_ARGUMENT */
export function safeNumber(value: bigint, name: string): number {
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `${name} is out of range.` });
}

/** A page size: 0 means the usual one. @throws Failure INVALID_ARGUMENT */
export function pageSize(given: number, usual: number, most: number): number {
  if (given > most) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `A limit of ${given.toLocaleString("en")} was asked for; at most ${most.toLocaleString("en")} can be given at once.`,
      hint: "Ask for less, page by page.",
    });
  }
  return given === 0 ? usual : given;
}

/** A reason for the history. @throws Failure INVALID_ARGUMENT */
export function boundedReason(reason: string): string {
  const text = reason.trim();
  if (text.length <= 500) return text;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The reason has ${text.length} characters; up to 500 are kept.`,
    hint: "Shorten it.",
  });
}

/** The ticket behind a change: one line. @throws Failure INVALID_ARGUMENT */
export function boundedTicket(ticket: string): string {
  const text = ticket.trim();
  if (text.length <= 200 && !hasInvisible(text)) return text;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "A ticket is one line of up to 200 characters, without control characters.",
    hint: "Give its number or its address: NET-1042.",
  });
}
