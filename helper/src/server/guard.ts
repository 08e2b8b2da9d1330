/** What stands before and around every call: role, deadline, and expected failures as error details. */
import { ConnectError, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { Role } from "@wardline/api/wardline/v1/host";
import type { AuditRole } from "@wardline/domain/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError } from "@wardline/domain/wire";
import type { Logger } from "pino";
import type { AuditTrail } from "../audit/audited.ts";
import type { Accept } from "../generations/controllerTypes.ts";
import { METHOD_RULES, methodName } from "./methods.ts";
import { PEER } from "./peers.ts";
import type { Identity, RoleResolver } from "./roles.ts";

const ROLE_NAMES: Record<Role, AuditRole> = {
  [Role.UNSPECIFIED]: "none",
  [Role.VIEWER]: "viewer",
  [Role.OPERATOR]: "operator",
  [Role.ADMIN]: "admin",
};

export function roleName(role: Role): AuditRole {
  return ROLE_NAMES[role];
}

/** Aborted when the caller was told that the call took too long. */
const EXPIRED = createContextKey(new AbortController().signal, { description: "the deadline of the call" });

/** Throws `Failure` when nobody waits for the call any more: what was said to have failed must not be done afterwards. */
export function refuseLate({ values, signal }: HandlerContext): void {
  if (!values.get(EXPIRED).aborted && !signal.aborted) return;
  throw new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: "The caller did not wait for the turn of this change: nothing was changed.",
    retryable: true,
  });
}

/** `accept` for a change that waits for its turn: see {@link refuseLate}. What is done whatever the disk says is done late as well. */
export function acceptInTime(context: HandlerContext, accept: Accept): Accept {
  return async (options) => {
    if (!options?.evenWhenUnrecorded) refuseLate(context);
    return accept(options);
  };
}

export interface GuardPorts {
  readonly roles: RoleResolver;
  readonly trail: AuditTrail;
  readonly log: Logger;
}

function permissionDenied(identity: Identity, needed: Role, method: string): Failure {
  const { actor, role } = identity;
  const hasNone = role === Role.UNSPECIFIED;
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: hasNone
      ? `${actor} has no role on this host.`
      : `${actor} is ${roleName(role)} on this host; ${method} needs ${roleName(needed)}.`,
    hint: `Ask an administrator of the host to add the user to the group ${needed === Role.VIEWER ? "wardline" : `wardline-${roleName(needed)}s`}.`,
  });
}

export class Guard {
  readonly #ports: GuardPorts;

  constructor(ports: GuardPorts) {
    this.#ports = ports;
  }

  identify(context: HandlerContext): Identity {
    return this.#ports.roles.resolve(context.values.get(PEER).credentials);
  }

  /** Runs before the request is read. Throws `ConnectError` when the caller may not call the method. */
  readonly gate = async (context: HandlerContext): Promise<void> => {
    const name = methodName(context.method);
    const rule = METHOD_RULES.get(name);
    const identity = this.identify(context);
    if (rule && identity.role >= rule.role) return;
    const failure = permissionDenied(identity, rule?.role ?? Role.ADMIN, context.method.name);
    if (rule?.audit) {
      const { actor, role } = identity;
      const subject = { actor, role: roleName(role), action: rule.audit, argumentDigest: "" };
      await this.#ports.trail.refused(subject, failure.message);
    }
    throw failureToConnectError(failure);
  };

  /** Deadline of unary calls, and errors as what they are: an expected failure with its detail, or a bug that is logged. */
  readonly interceptor: Interceptor = (next) => async (request) => {
    const name = methodName(request.method);
    const deadlineMs = METHOD_RULES.get(name)?.deadlineMs ?? null;
    try {
      if (deadlineMs === null) return await next(request);
      const expired = new AbortController();
      request.contextValues.set(EXPIRED, expired.signal);
      return await withDeadline(next(request), deadlineMs, name, expired);
    } catch (error) {
      throw this.toConnectError(error, name);
    }
  };

  /**
   * For streams, whose errors come after the interceptor has returned. What is thrown at a message comes from whoever writes
   * it: the reader has left, which is no failure of the call.
   */
  async *stream<T>(name: string, messages: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = messages[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#next(name, iterator);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  async #next<T>(name: string, iterator: AsyncIterator<T>): Promise<IteratorResult<T>> {
    try {
      return await iterator.next();
    } catch (error) {
      throw this.toConnectError(error, name);
    }
  }

  toConnectError(error: unknown, name: string): ConnectError {
    if (error instanceof ConnectError) return error;
    if (error instanceof Failure) return failureToConnectError(error);
    this.#ports.log.error({ err: error, method: name }, "a call failed unexpectedly");
    const failure = new Failure({
      code: ErrorCode.INTERNAL,
      message: `The agent failed while it handled ${name}.`,
      hint: "The agent's log on that host says more.",
    });
    return failureToConnectError(failure);
  }
}

async function withDeadline<T>(
  call: Promise<T>,
  deadlineMs: number,
  name: string,
  expired: AbortController,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      expired.abort();
      const message = `${name} took longer than ${deadlineMs / 1000} s.`;
      reject(failureToConnectError(new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message, retryable: true })));
    }, deadlineMs);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}
