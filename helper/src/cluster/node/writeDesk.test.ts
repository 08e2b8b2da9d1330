/** Where a write goes, and what the leader believes of one that another host hands on. */
import { create } from "@bufbuild/protobuf";
import { PushNotesRequestSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { type ForwardRequest, ForwardRequestSchema, ForwardResponseSchema } from "@wardline/api/wardline/peer/v1/peer";
import { Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { beforeEach, describe, expect, it } from "vitest";
import type { AuditSubject, AuditTrail } from "../../audit/audited.ts";
import type { HeldTerm } from "../ports.ts";
import type { LeaderActions } from "../service/writes.ts";
import type { Links } from "./links.ts";
import { WriteDesk } from "./writeDesk.ts";

const TERM: HeldTerm = { number: 7n, fence: [], signal: new AbortController().signal };
const ALICE = { actor: "alice (uid 1000) on b", role: Role.OPERATOR };
const NOTE = { document: "hosts", update: new Uint8Array(3), replacesUpTo: 0n };

let held: HeldTerm | null;
let leader: string | null;
let listeners: Set<() => void>;
let done: unknown[];
let forwarded: [string, ForwardRequest][];
let audited: string[];
let storeProblem: string | null;

beforeEach(() => {
  held = null;
  leader = "a";
  listeners = new Set();
  done = [];
  forwarded = [];
  audited = [];
  storeProblem = null;
});

const actions = new Proxy({} as LeaderActions, {
  get:
    (_target, name: string) =>
    async (_request: unknown, { actor }: { actor: string }, term: HeldTerm) => {
      done.push([name, actor, term.number]);
      return name === "pushNotes" ? { number: 1n, kept: 1 } : {};
    },
});

const trail = {
  async around<T>(subject: AuditSubject, detail: string, run: (accept: () => Promise<void>) => Promise<T>): Promise<T> {
    const line = `${subject.actor} ${subject.role} ${subject.action} ${subject.argumentDigest.length}: ${detail}`;
    try {
      return await run(async () => void audited.push(`started ${line}`));
    } catch (error) {
      audited.push(`refused ${line}`);
      throw error;
    }
  },
} as unknown as AuditTrail;

const links = {
  forward: async (name: string, request: ForwardRequest) => {
    forwarded.push([name, request]);
    return create(ForwardResponseSchema, { answer: { case: "pushNotes", value: { number: 9n, kept: 2 } } });
  },
} as unknown as Links;

function desk(candidate = true, hasLinks = true): WriteDesk {
  return new WriteDesk({
    leadership: {
      held: () => held,
      leader: () => (leader === null ? null : { name: leader, term: 7n }),
      terms: () => [],
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    actions,
    trail,
    hostName: "b",
    candidate,
    links: hasLinks ? links : null,
    storeProblem: () => storeProblem,
    waitForLeaderMs: 100,
  });
}

const accepted: string[] = [];
const accept = async () => void accepted.push("accepted");
const push = (at: WriteDesk) => at.perform("pushNotes", create(PushNotesRequestSchema, NOTE), ALICE, accept);
const code = (failing: Promise<unknown>) =>
  failing.then(
    () => "ok",
    (error: unknown) => (error instanceof Failure ? ErrorCode[error.code] : String(error)),
  );

describe("a write at a host", () => {
  it("is done here while this host leads, under its term", async () => {
    held = TERM;
    leader = "b";
    expect(await push(desk())).toEqual({ number: 1n, kept: 1 });
    expect(done).toEqual([["pushNotes", "alice (uid 1000) on b", 7n]]);
  });

  it("goes to the leader from another candidate, without a host in the actor's name", async () => {
    expect(await push(desk())).toMatchObject({ number: 9n, kept: 2 });
    expect(forwarded).toMatchObject([["a", { actor: "alice (uid 1000)", role: Role.OPERATOR }]]);
    expect(done).toEqual([]);
  });

  it("is refused by a plain member before anything was accepted, with the leader's name", async () => {
    accepted.length = 0;
    const failure = await push(desk(false)).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: ErrorCode.NOT_LEADER,
      message: "The cluster is led by a.",
      retryable: false,
    });
    expect(accepted).toEqual([]);
  });

  it("waits for an election, and says after a while that nobody leads, or that the store is away", async () => {
    leader = null;
    const waiting = push(desk());
    await new Promise((resolve) => setImmediate(resolve));
    held = TERM;
    for (const listener of listeners) listener();
    expect(await waiting).toEqual({ number: 1n, kept: 1 });
    expect(listeners.size).toBe(0);
    held = null;
    const nobody = code(push(desk()));
    expect(await nobody).toBe("NOT_LEADER");
    storeProblem = "no answer";
    expect(await code(push(desk()))).toBe("STORE_UNAVAILABLE");
  });
});

describe("a write that another host hands on", () => {
  const from = (init: object, peer = { name: "b", candidate: true }) =>
    desk().answer(
      create(ForwardRequestSchema, { actor: "alice (uid 1000)", role: Role.OPERATOR, ...init } as never),
      peer,
    );
  const note = { write: { case: "pushNotes", value: NOTE } };
  beforeEach(() => {
    held = TERM;
  });

  it("is done in the name of the person on that host, and audited with its digest", async () => {
    const { answer } = await from(note);
    expect(answer).toMatchObject({ case: "pushNotes", value: { number: 1n } });
    expect(done).toEqual([["pushNotes", "alice (uid 1000) on b", 7n]]);
    expect(audited).toEqual(["started alice (uid 1000) on b operator notes.push 64: hosts, 3 bytes"]);
  });

  it("counts as from the host of the certificate, whatever its actor says", async () => {
    await from({ ...note, actor: "root (uid 0) on a" });
    expect(done).toEqual([["pushNotes", "root (uid 0) on a on b", 7n]]);
  });

  it.each([
    ["a viewer's write", { ...note, role: Role.VIEWER }, "PERMISSION_DENIED"],
    ["nobody's write", { ...note, role: Role.UNSPECIFIED }, "PERMISSION_DENIED"],
    ["a role that there is not", { ...note, role: 99 as Role }, "INVALID_ARGUMENT"],
    ["an operator's removal", { write: { case: "removeMember", value: { memberName: "c" } } }, "PERMISSION_DENIED"],
    ["nothing", {}, "INVALID_ARGUMENT"],
    ["no actor", { ...note, actor: "" }, "INVALID_ARGUMENT"],
    ["an actor of two lines", { ...note, actor: "a\nb" }, "INVALID_ARGUMENT"],
    ["an endless actor", { ...note, actor: "a".repeat(201) }, "INVALID_ARGUMENT"],
    [
      "fields out of bounds",
      { write: { case: "pushNotes", value: { ...NOTE, document: "../x" } } },
      "INVALID_ARGUMENT",
    ],
    [
      "too many bytes",
      { write: { case: "pushNotes", value: { ...NOTE, update: new Uint8Array(65_537) } } },
      "TOO_LARGE",
    ],
  ])("is refused: %s", async (_what, init, expected) => {
    expect(await code(from(init))).toBe(expected);
    expect(done).toEqual([]);
  });

  it("is refused from a plain member, and where nobody leads any more; it is never handed on again", async () => {
    expect(await code(from(note, { name: "c", candidate: false }))).toBe("PERMISSION_DENIED");
    held = null;
    expect(await code(from(note))).toBe("NOT_LEADER");
    expect(forwarded).toEqual([]);
    expect(audited.at(-1)).toMatch(/^refused alice \(uid 1000\) on b/);
  });
});
