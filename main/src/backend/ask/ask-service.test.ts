import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import {
  AnswerRowKind,
  AnswerVerdict,
  AskBasis,
  AskKind,
  AskReading,
  AskRequestSchema,
} from "@wardline/api/wardline/console/v1/ask";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { readPolicyFiles } from "@wardline/domain/policy";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";
import { AskServiceImpl } from "./ask-service.ts";

const INVENTORY = ["web-1 web 10.0.0.11", "web-2 web 10.0.0.12", "db-1 db 10.0.1.1"]
  .map((line) => line.split(" "))
  .map(
    ([name, app, address]) => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: ${name}, labels: {app: ${app}}}
spec: {addresses: [${address}]}
`,
  )
  .join("---\n");

const policy = (port: number) => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: default}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{protocol: TCP, port: ${port}}]
`;

let tester: TestConsole;
beforeEach(async () => {
  tester = startTestConsole();
  await expect
    .poll(async () => {
      for await (const { files } of tester.policies.watchWorkspace({})) return files.length;
      return 0;
    })
    .toBe(1);
  await tester.policies.saveFile({ path: "hosts/others.yaml", text: INVENTORY });
  await tester.policies.saveFile({ path: "db.yaml", text: policy(5432) });
});
afterEach(() => tester.close());

async function answer(text: string, request: { basis?: AskBasis; hostId?: string; limit?: number } = {}) {
  const { outcome } = await tester.ask.ask({ text, ...request });
  if (outcome.case !== "answer") throw new Error(`${text}: ${outcome.value?.message}`);
  return outcome.value;
}

async function applyAndConfirm() {
  const { planId } = await tester.ship.plan({});
  const steps = await collect(
    tester.ship.apply({ planId, mode: EnforcementMode.ENFORCE, confirmWithin: { seconds: 60n, nanos: 0 } }),
  );
  const generation = steps.at(-1)?.pending?.generation?.number ?? 0n;
  await tester.ship.confirm({ hostId: "local", generation });
}

async function failureOf(call: Promise<unknown>) {
  return failureFromConnectError(ConnectError.from(await call.catch((reason: unknown) => reason)));
}

describe("questions", () => {
  it("are answered about the draft, with rule and line, a walkthrough, a test, its flows and the command", async () => {
    const yes = await answer("Can web reach db on 5432?");
    expect(yes).toMatchObject({
      question: "can app=web reach app=db on 5432/tcp?",
      kind: AskKind.CAN_REACH,
      verdict: AnswerVerdict.YES,
      flowQuery: "src:10.0.0.11,10.0.0.12 dst:10.0.1.1 port:5432 protocol:6",
      command: "wardline ask 'can app=web reach app=db on 5432/tcp?'",
      rows: [{ kind: AnswerRowKind.ALLOWED, from: "app=web", ports: "5432/tcp", file: "db.yaml", line: 8 }],
    });
    expect(yes.basis).toMatchObject({ kind: AskBasis.DRAFT, policyCount: 1 });
    expect(yes.answeredAt).toBeDefined();
    expect(yes.examples[0]?.evaluation?.directions[1]?.decision?.policyKeys).toEqual(["NetworkPolicy/default/db"]);
    expect(readPolicyFiles([{ path: "test.yaml", text: yes.testDocument }]).ok).toBe(true);
    const no = await answer("can web reach db on ssh");
    expect([no.verdict, no.rows[0]?.line]).toEqual([AnswerVerdict.NO, 1]);
    const who = await answer("who can reach db on 5432?", { limit: 1 });
    expect([who.verdict, who.rows.length]).toEqual([AnswerVerdict.LIST, 1]);
  });

  it("are asked back, or answered with what is understood", async () => {
    const { outcome } = await tester.ask.ask({ text: "can wep reach db on 5432" });
    expect(outcome).toMatchObject({
      case: "notUnderstood",
      value: { start: 4, end: 7, didYouMean: [{ text: "can web reach db on 5432" }] },
    });
    const complete = (text: string) => tester.ask.complete({ text, cursor: text.length });
    expect(await complete("can web reach d")).toMatchObject({ reading: AskReading.BEGINNING });
    expect((await complete("can web reach d")).completions.map(({ text }) => text)).toContain("host/db-1");
    expect(await complete("who can reach db")).toMatchObject({
      reading: AskReading.QUESTION,
      question: "who can reach app=db?",
    });
    expect(await complete("dark theme")).toMatchObject({ reading: AskReading.OTHER });
    expect(await failureOf(tester.ask.ask({ text: "x".repeat(501) }))).toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
    });
    expect(await failureOf(tester.ask.ask({ text: "what has no policy?", limit: 1001 }))).toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
    });
  });

  it("are about what a host enforces, what the draft would change, and what changed last", async () => {
    expect(await failureOf(answer("what did the last change open?"))).toMatchObject({ code: ErrorCode.NOT_FOUND });
    await applyAndConfirm();
    const enforced = await answer("can web reach db on 5432?", { basis: AskBasis.ENFORCED });
    expect(enforced.verdict).toBe(AnswerVerdict.YES);
    expect(enforced.basis).toMatchObject({ kind: AskBasis.ENFORCED, hostName: "alpha", generation: 1n });
    expect(enforced.basis?.since).toBeDefined();
    expect((await answer("what would the draft open?")).sentence).toBe(
      "The draft changes no access at all: the same packets pass.",
    );

    const { revision } = await tester.policies.getFile({ path: "db.yaml" });
    await tester.policies.saveFile({ path: "db.yaml", text: policy(5433), baseRevision: revision });
    const opens = await answer("what would the draft open?");
    expect(opens.rows).toMatchObject([{ kind: AnswerRowKind.GAINED, from: "app=web", to: "db-1", ports: "5433/tcp" }]);
    expect([opens.before?.kind, opens.basis?.kind]).toEqual([AskBasis.ENFORCED, AskBasis.DRAFT]);
    // What is enforced has not changed.
    expect((await answer("can web reach db on 5433?", { basis: AskBasis.ENFORCED })).verdict).toBe(AnswerVerdict.NO);
    expect((await answer("can web reach db on 5433?")).verdict).toBe(AnswerVerdict.YES);

    await applyAndConfirm();
    const closed = await answer("what did the last change close for web?");
    expect(closed.rows).toMatchObject([{ kind: AnswerRowKind.LOST, from: "app=web", to: "db-1", ports: "5432/tcp" }]);
    expect([closed.before, closed.basis]).toMatchObject([
      { kind: AskBasis.VERSION, generation: 1n },
      { kind: AskBasis.VERSION, generation: 2n },
    ]);
    expect((await answer("what did version 2 open?")).rows).toHaveLength(1);
    expect(await failureOf(answer("what did version 9 open?"))).toMatchObject({ code: ErrorCode.NOT_FOUND });
    const never = await answer("which rules were never hit?");
    expect(never).toMatchObject({
      kind: AskKind.NEVER_HIT,
      basis: { kind: AskBasis.ENFORCED },
      rows: [{ key: "NetworkPolicy/default/db", rule: "ingress[0]" }],
    });
  });

  it("are refused with why: a broken draft, an unknown host, an unknown flow", async () => {
    await tester.policies.saveFile({ path: "broken.yaml", text: policy(99_999) });
    expect(await failureOf(answer("who can reach db?"))).toMatchObject({ code: ErrorCode.POLICY_INVALID });
    expect((await tester.ask.complete({ text: "who can reach d", cursor: 15 })).completions.length).toBeGreaterThan(0);
    await tester.policies.deleteFile({ path: "broken.yaml" });
    const elsewhere = { basis: AskBasis.ENFORCED, hostId: "nowhere" };
    expect(await failureOf(answer("who can reach db?", elsewhere))).toMatchObject({ code: ErrorCode.NOT_FOUND });
    expect(await failureOf(answer("why was flow 7 denied?"))).toMatchObject({ code: ErrorCode.NOT_FOUND });
  });

  it("wait for a host no longer than for an answer, nor longer than who asks", async () => {
    const { workspace, registry } = tester.backend;
    const silent = Object.create(registry.local, {
      enforced: { value: { fetch: () => new Promise(() => undefined) } },
    });
    const ports = {
      ...{ workspace, registry: Object.create(registry, { local: { value: silent } }) },
      ...{ clock: { nowMs: Date.now }, deadlineMs: 50 },
    };
    const service = new AskServiceImpl(ports as unknown as ConstructorParameters<typeof AskServiceImpl>[0]);
    const request = create(AskRequestSchema, { text: "who can reach db?", basis: AskBasis.ENFORCED });
    const { signal } = new AbortController();
    await expect(service.ask(request, signal)).rejects.toMatchObject({ code: ErrorCode.DEADLINE_EXCEEDED });
    const gone = new Error("gone");
    await expect(service.ask(request, AbortSignal.abort(gone))).rejects.toBe(gone);
    await service.close();
  });
});
