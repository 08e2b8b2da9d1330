/** What etcd and the way to it say, sorted by what can be done about it. */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorCode } from "@wardline/domain/errors";
import { compacted, invalid, StoreFailure } from "../storeFailure.ts";
import { NotConnectedError } from "./connection.ts";

export type Verdict =
  /** Asking again, anybody, gives the same answer. */
  | { readonly kind: "final"; readonly failure: StoreFailure }
  /** This endpoint cannot be spoken with. */
  | { readonly kind: "unreachable"; readonly sent: boolean; readonly problem: string }
  /** It answers that it cannot do it now. */
  | { readonly kind: "busy"; readonly sent: boolean; readonly problem: string }
  /** The token is over. */
  | { readonly kind: "token" };

/** Texts by which etcd tells apart what shares a gRPC code. */
const SURELY_NOT_DONE = [
  "no leader",
  "too many requests",
  "not supported for learner",
  "not capable",
  "unhealthy cluster",
];

export function judge(error: unknown): Verdict {
  if (error instanceof NotConnectedError) return { kind: "unreachable", sent: false, problem: error.rawMessage };
  if (!(error instanceof ConnectError)) throw error;
  const text = error.rawMessage;
  if (text.startsWith("etcdserver:")) return judgeAnswer(error, text);
  switch (error.code) {
    case Code.Unauthenticated:
      return { kind: "token" };
    case Code.PermissionDenied:
      return denied(error);
    case Code.ResourceExhausted:
      return final(ErrorCode.TOO_LARGE, `The answer or the request is too large: ${text}.`, error);
    case Code.DeadlineExceeded:
      return { kind: "busy", sent: true, problem: "no answer in time" };
    case Code.Unimplemented:
      return final(ErrorCode.VERSION_MISMATCH, `This is no etcd, or an old one: ${text}.`, error);
    default:
      return { kind: "unreachable", sent: true, problem: text };
  }
}

function judgeAnswer(error: ConnectError, text: string): Verdict {
  const says = (...parts: string[]) => parts.some((part) => text.includes(part));
  if (says("invalid auth token", "revision of auth store is old", "user name is empty")) return { kind: "token" };
  if (says("database space exceeded")) return noSpace(error);
  if (says("corrupt")) return { kind: "busy", sent: false, problem: text };
  if (says("revision has been compacted"))
    return { kind: "final", failure: compacted("The history is gone.", { cause: error }) };
  if (says("request is too large", "too many operations")) return final(ErrorCode.TOO_LARGE, sentence(text), error);
  if (says("lease not found")) return final(ErrorCode.NOT_FOUND, "The lease is over.", error);
  if (says("lease already exists")) return final(ErrorCode.ALREADY_EXISTS, "The lease exists.", error);
  if (says("authentication failed", "authentication is not enabled", "user name not found")) return denied(error);
  if (error.code === Code.PermissionDenied || error.code === Code.Unauthenticated) return denied(error);
  if (error.code === Code.InvalidArgument || error.code === Code.OutOfRange || error.code === Code.FailedPrecondition) {
    return { kind: "final", failure: invalid(sentence(text)) };
  }
  return { kind: "busy", sent: !says(...SURELY_NOT_DONE), problem: text.replace("etcdserver: ", "") };
}

function final(code: ErrorCode, message: string, cause: unknown): Verdict {
  return { kind: "final", failure: new StoreFailure({ code, message }, { cause }) };
}

function denied(cause: ConnectError): Verdict {
  return final(ErrorCode.PERMISSION_DENIED, `etcd refuses it: ${cause.rawMessage.replace("etcdserver: ", "")}.`, cause);
}

function noSpace(cause: unknown): Verdict {
  const message = "etcd is full: its database has reached its quota, and it takes no writes.";
  const hint = "Compact and defragment it or raise its quota, then take the alarm back with `etcdctl alarm disarm`.";
  return {
    kind: "final",
    failure: new StoreFailure({ code: ErrorCode.STORE_UNAVAILABLE, message, hint, retryable: true }, { cause }),
  };
}

function sentence(text: string): string {
  return `etcd refuses it: ${text.replace("etcdserver: ", "").replace("mvcc: ", "")}.`;
}
