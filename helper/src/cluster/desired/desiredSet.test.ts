import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ConfirmSetRequestSchema,
  DocumentWriteSchema,
  GetDocumentRequestSchema,
  ListDocumentHistoryRequestSchema,
  ListDocumentsRequestSchema,
  ListSetsRequestSchema,
  RollbackDocumentsRequestSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { DesiredHeadSchema, SetState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  deletionOf,
  LAB_KEYS,
  LabNode,
  type LabNodeOptions,
  LeadOffice,
  policyKey,
  policyText,
  type RequestOptions,
  requestOf,
  writeOf,
} from "../../testing/desiredLab.ts";
import { FakeClock } from "../../testing/fakeClock.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { encode } from "./records.ts";

/** `vi.waitFor` alone gives up after a second, which a busy machine may take for anything. */
const PATIENTLY = { timeout: 60_000 } as const;

const ALICE = { actor: "alice" };
const BOB = { actor: "bob" };

let clock: FakeClock;
let state: MemoryStoreState;
let office: LeadOffice;
let nodes: LabNode[];

beforeEach(() => {
  clock = new FakeClock();
  state = new MemoryStoreState(clock);
  office = new LeadOffice();
  nodes = [];
});
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.close()));
});

function node(name: string, options: LabNodeOptions = {}): LabNode {
  const made = new LabNode(office, name, new MemoryClusterStore(state), { clock, ...options });
  nodes.push(made);
  return made;
}

async function leader(options: LabNodeOptions = {}): Promise<LabNode> {
  const made = node("a", options);
  await made.lead.take();
  return made;
}

const write = (one: LabNode, writes: Parameters<typeof requestOf>[0], options?: RequestOptions, author = ALICE) =>
  one.set.write(requestOf(writes, options), author);

async function list(one: LabNode, over = {}) {
  const answer = await one.set.list(create(ListDocumentsRequestSchema, over));
  return answer.documents.map(({ key, version, deleted }) => `${key}@${version}${deleted ? " deleted" : ""}`);
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Failure)) throw new Error(`no failure: ${error}`);
  return error;
}

const codeOf = async (promise: Promise<unknown>) => ErrorCode[(await failureOf(promise)).code];

describe("a write", () => {
  it("makes versions of documents and a set of all of them, in one transaction", async () => {
    const a = await leader();
    const before = state.revision;
    const { head, written } = await write(a, [writeOf("web", 80, 0n), writeOf("db", 81, 0n)], { reason: "first" });
    expect(state.revision).toBe(before + 1n);
    expect(head).toMatchObject({
      setNumber: 1n,
      state: SetState.CONFIRMED,
      documentCount: 2,
      changedCount: 2,
      term: 1n,
    });
    expect(head).toMatchObject({
      author: "alice",
      reason: "first",
      mode: EnforcementMode.ENFORCE,
      confirmedSetNumber: 0n,
    });
    expect(head?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(written.map(({ key, version, text }) => [key, version, text])).toEqual([
      [policyKey("web"), 1n, ""],
      [policyKey("db"), 1n, ""],
    ]);
    const second = await write(a, [writeOf("web", 8080, 1n)], {}, BOB);
    expect(second.head).toMatchObject({
      setNumber: 2n,
      documentCount: 2,
      changedKeys: [policyKey("web")],
      author: "bob",
    });
    expect(await list(a)).toEqual([`${policyKey("db")}@1`, `${policyKey("web")}@2`]);
    const { document } = await a.set.get(create(GetDocumentRequestSchema, { key: policyKey("web") }));
    expect(document).toMatchObject({ text: policyText("web", 8080), setNumber: 2n, author: "bob", term: 1n });
  });

  it("is refused when somebody changed the document since, and says who and when", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    await write(a, [writeOf("web", 81, 1n)], {}, BOB);
    const revision = state.revision;
    const failure = await failureOf(write(a, [writeOf("db", 1, 0n), writeOf("web", 82, 1n)]));
    expect(ErrorCode[failure.code]).toBe("VERSION_CONFLICT");
    const at = new Date(clock.wallMs()).toISOString();
    expect(failure.message).toBe(
      `${policyKey("web")} was changed by bob at ${at}: version 2 is the newest, and the change was made from version 1.`,
    );
    expect(await codeOf(write(a, [writeOf("web", 82, 0n)]))).toBe("VERSION_CONFLICT");
    expect(await codeOf(write(a, [writeOf("new", 82, 3n)]))).toBe("VERSION_CONFLICT");
    expect(await codeOf(write(a, [deletionOf("web", 1n)]))).toBe("VERSION_CONFLICT");
    expect(state.revision).toBe(revision);
  });

  it("writes nothing for what is there already, from whatever version it was made", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n), writeOf("db", 80, 0n)]);
    const revision = state.revision;
    const same = await write(a, [writeOf("web", 80, 0n)]);
    expect(same).toMatchObject({ unchangedKeys: [policyKey("web")], written: [], head: { setNumber: 1n } });
    expect(state.revision).toBe(revision);
    const some = await write(a, [writeOf("web", 80, 1n), writeOf("db", 81, 1n)]);
    expect(some.unchangedKeys).toEqual([policyKey("web")]);
    expect(some.written.map(({ key }) => key)).toEqual([policyKey("db")]);
    const mode = await write(a, [writeOf("web", 80, 1n)], { mode: EnforcementMode.OBSERVE });
    expect(mode.head).toMatchObject({ setNumber: 3n, mode: EnforcementMode.OBSERVE, changedCount: 0 });
  });

  it("is checked as a whole set before anything is written", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const revision = state.revision;
    const bad = create(DocumentWriteSchema, {
      text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: h}\nspec: {addresses: [10.0.0.1], adresses: []}\n",
    });
    const failure = await failureOf(write(a, [bad, writeOf("db", 1, 0n)]));
    expect(ErrorCode[failure.code]).toBe("POLICY_INVALID");
    expect(failure.diagnostics.map(({ code }) => code)).toContain("WL201");
    const text = (value: string) => create(DocumentWriteSchema, { text: value });
    const service = `apiVersion: wardline.io/v1\nkind: Service\nmetadata: {name: dns}\nspec: {addresses: [10.0.0.53/32]}\n`;
    const user = `apiVersion: wardline.io/v1\nkind: Policy\nmetadata: {name: one}\nspec:\n  subject: {selector: {}}\n  egress: [{to: [{service: {name: dns}}]}]\n`;
    await write(a, [text(service), text(user)]);
    // Each document is right alone; without the one the other means nobody.
    const dangling = await failureOf(
      write(a, [create(DocumentWriteSchema, { deleteKey: "service/default/dns", baseVersion: 1n })]),
    );
    expect(ErrorCode[dangling.code]).toBe("POLICY_INVALID");
    expect(dangling.diagnostics.some(({ source }) => source.file === "cluster/policy/default/one.yaml")).toBe(true);
    expect(state.revision).toBe(revision + 1n);
    expect(await list(a)).toEqual([`${policyKey("web")}@1`, "policy/default/one@1", "service/default/dns@1"]);
  });

  it("tells in a dry run what it would do, warnings included, and does nothing", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const revision = state.revision;
    const dry = await write(a, [writeOf("web", 81, 1n), writeOf("db", 1, 0n)], { dryRun: true });
    expect(dry.written.map(({ key, version }) => `${key}@${version}`)).toEqual([
      `${policyKey("web")}@2`,
      `${policyKey("db")}@1`,
    ]);
    expect(dry.head?.setNumber).toBe(1n);
    expect(dry.diagnostics.length).toBeGreaterThan(0);
    expect(await codeOf(write(a, [writeOf("web", 81, 0n)], { dryRun: true }))).toBe("VERSION_CONFLICT");
    expect(state.revision).toBe(revision);
  });

  it("refuses what is no document, no key, or twice the same", async () => {
    const a = await leader();
    const text = (value: string) => create(DocumentWriteSchema, { text: value });
    expect(await codeOf(write(a, [text("# nothing\n")]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(write(a, [text(`${policyText("a", 1)}---\n${policyText("b", 1)}`)]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(write(a, [text("apiVersion: v1\nkind: List\nitems: []\n")]))).toBe("POLICY_INVALID");
    expect(await codeOf(write(a, [text("a: [\n")]))).toBe("POLICY_INVALID");
    expect(await codeOf(write(a, [text("a: \uD800\n")]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(write(a, [create(DocumentWriteSchema, { deleteKey: "../x" })]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(write(a, [deletionOf("web", 0n)]))).toBe("NOT_FOUND");
    expect(await codeOf(write(a, [writeOf("web", 1, 0n), writeOf("web", 2, 0n)]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(write(a, [text(`# ${"x".repeat(600_000)}\n${policyText("a", 1)}`)]))).toBe("TOO_LARGE");
    expect(await codeOf(write(a, [writeOf("web", 1, 0n)], { mode: EnforcementMode.UNSPECIFIED }))).toBe(
      "INVALID_ARGUMENT",
    );
    expect(state.under(LAB_KEYS.desired)).toEqual([]);
  });

  it("goes on counting versions after a deletion", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    await write(a, [deletionOf("web", 1n)]);
    expect(await list(a)).toEqual([]);
    expect(await list(a, { withDeleted: true })).toEqual([`${policyKey("web")}@2 deleted`]);
    await write(a, [deletionOf("web", 2n)]);
    const again = await write(a, [writeOf("web", 81, 0n)]);
    expect(again.written[0]?.version).toBe(3n);
    expect(again.head).toMatchObject({ setNumber: 3n, documentCount: 1 });
  });

  it("replaces the whole set when asked to", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n), writeOf("db", 80, 0n)]);
    const { head } = await write(a, [writeOf("web", 81, 1n), writeOf("new", 1, 0n)], { replaceAll: true });
    expect(head?.documentCount).toBe(2);
    expect(await list(a)).toEqual([`${policyKey("new")}@1`, `${policyKey("web")}@2`]);
    const none = await write(a, [], { replaceAll: true });
    expect(none.head?.documentCount).toBe(0);
  });

  it("gives the first answer to a repeated request", async () => {
    const a = await leader();
    const first = await write(a, [writeOf("web", 80, 0n)], { requestId: "r1" });
    await write(a, [writeOf("web", 81, 1n)]);
    const b = node("b");
    await b.lead.take();
    const again = await write(b, [writeOf("web", 80, 0n)], { requestId: "r1" });
    expect(again.head).toEqual(first.head);
    expect(again.written.map(({ key, version }) => [key, version])).toEqual([[policyKey("web"), 1n]]);
    expect(await codeOf(write(b, [writeOf("web", 83, 2n)], { requestId: "r1" }))).toBe("ALREADY_EXISTS");
    expect(await list(b)).toEqual([`${policyKey("web")}@2`]);
  });
});

describe("a leader that is none any more", () => {
  it("is sent away, or fenced off in the store when it does not know yet", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const b = node("b");
    await b.lead.take(true);
    expect(await codeOf(write(a, [writeOf("web", 81, 1n)]))).toBe("NOT_LEADER");
    await write(b, [writeOf("web", 82, 1n)]);
    expect(await codeOf(write(a, [writeOf("web", 83, 2n)]))).toBe("NOT_LEADER");
    a.lead.end();
    expect(await codeOf(write(a, [writeOf("web", 84, 2n)]))).toBe("NOT_LEADER");
    const { document } = await b.set.get(create(GetDocumentRequestSchema, { key: policyKey("web") }));
    expect(document).toMatchObject({ version: 2n, term: 2n });
  });
});

describe("the past", () => {
  const history = (one: LabNode, over: object) => one.set.history(create(ListDocumentHistoryRequestSchema, over));

  it("has every version with its author and reason, newest first, in pages", async () => {
    const a = await leader();
    for (let version = 0; version < 12; version++) {
      await write(a, [writeOf("web", 80 + version, BigInt(version))], { reason: `to ${version}` });
    }
    const { versions, more } = await history(a, { key: policyKey("web") });
    expect([versions.map(({ version }) => Number(version)), more]).toEqual([[12, 11, 10, 9, 8, 7, 6, 5, 4, 3], true]);
    expect(versions[2]).toMatchObject({ reason: "to 9", text: policyText("web", 89), setNumber: 10n });
    const rest = await history(a, { key: policyKey("web"), beforeVersion: 3n });
    expect([rest.versions.map(({ version }) => Number(version)), rest.more]).toEqual([[2, 1], false]);
    const sets = await a.set.sets(create(ListSetsRequestSchema, { limit: 3, beforeSetNumber: 10n }));
    expect([sets.sets.map(({ setNumber }) => Number(setNumber)), sets.more]).toEqual([[9, 8, 7], true]);
    expect(await codeOf(history(a, { key: policyKey("nobody") }))).toBe("NOT_FOUND");
    // Answers are bounded by their texts, too.
    for (let version = 0; version < 20; version++) {
      await write(a, [writeOf("long", 1 + version, BigInt(version), `# ${"x".repeat(500_000)}\n`)]);
    }
    const long = await history(a, { key: policyKey("long"), limit: 100 });
    expect([long.versions.length, long.more]).toEqual([16, true]);
    const older = await history(a, { key: policyKey("long"), limit: 100, beforeVersion: 5n });
    expect([older.versions.length, older.more]).toEqual([4, false]);
    const missing = create(GetDocumentRequestSchema, { key: policyKey("web"), version: 13n });
    expect(await codeOf(a.set.get(missing))).toBe("NOT_FOUND");
  });

  it("comes back as new versions: of one document, or of everything", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n), writeOf("db", 1, 0n)]);
    await write(a, [writeOf("web", 81, 1n), deletionOf("db", 1n), writeOf("new", 1, 0n)]);
    const one = create(RollbackDocumentsRequestSchema, { key: policyKey("web"), toVersion: 1n, reason: "oops" });
    const back = await a.set.rollback(one, BOB);
    expect(back.head).toMatchObject({ setNumber: 3n, author: "bob", reason: "oops" });
    expect(back.written).toMatchObject([{ key: policyKey("web"), version: 3n, rolledBackTo: 1n }]);
    const first = await a.set.sets(create(ListSetsRequestSchema, {}));
    const all = await a.set.rollback(create(RollbackDocumentsRequestSchema, { toSetNumber: 1n }), BOB);
    expect(await list(a)).toEqual([`${policyKey("db")}@3`, `${policyKey("web")}@3`]);
    expect(all.head?.digest).toBe(first.sets.at(-1)?.digest);
    expect(await codeOf(a.set.rollback(create(RollbackDocumentsRequestSchema, { toSetNumber: 9n }), BOB))).toBe(
      "NOT_FOUND",
    );
    const future = create(RollbackDocumentsRequestSchema, { key: policyKey("web"), toVersion: 9n });
    expect(await codeOf(a.set.rollback(future, BOB))).toBe("NOT_FOUND");
  });
});

describe("a set that waits for confirmation", () => {
  const confirm = (one: LabNode, setNumber: bigint, digest: string, rollBack = false) =>
    one.set.confirm(create(ConfirmSetRequestSchema, { setNumber, digest, rollBack }), BOB);

  it("is kept when somebody confirms it in time, and once more when the answer was lost", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const { head } = await write(a, [writeOf("web", 81, 1n)], { confirmWithinMs: 10_000 });
    expect(head).toMatchObject({ state: SetState.PENDING, setNumber: 2n, confirmedSetNumber: 1n });
    expect(await codeOf(write(a, [writeOf("db", 81, 0n)]))).toBe("CONFIRMATION_PENDING");
    expect(await codeOf(confirm(a, 2n, "0".repeat(64)))).toBe("VERSION_CONFLICT");
    expect(await codeOf(confirm(a, 3n, head?.digest ?? ""))).toBe("NOTHING_PENDING");
    for (let time = 0; time < 2; time++) {
      expect((await confirm(a, 2n, head?.digest ?? "")).head).toMatchObject({
        state: SetState.CONFIRMED,
        endedBy: "bob",
      });
    }
    await write(a, [writeOf("db", 81, 0n)]);
    expect((await confirm(a, 2n, head?.digest ?? "")).head?.setNumber).toBe(2n);
  });

  it("is taken back as a set of its own, with new versions of the old documents", async () => {
    const a = await leader();
    const first = await write(a, [writeOf("web", 80, 0n)]);
    const { head } = await write(a, [writeOf("web", 81, 1n), writeOf("db", 1, 0n)], { confirmWithinMs: 10_000 });
    const after = await confirm(a, 2n, head?.digest ?? "", true);
    expect(after.head).toMatchObject({ setNumber: 3n, state: SetState.CONFIRMED, digest: first.head?.digest });
    expect(await list(a, { withDeleted: true })).toEqual([`${policyKey("db")}@2 deleted`, `${policyKey("web")}@3`]);
    const { sets } = await a.set.sets(create(ListSetsRequestSchema, {}));
    expect(sets.map(({ state: one, endedBy }) => [one, endedBy])).toEqual([
      [SetState.CONFIRMED, ""],
      [SetState.ROLLED_BACK, "bob"],
      [SetState.CONFIRMED, ""],
    ]);
    expect(await codeOf(confirm(a, 2n, head?.digest ?? ""))).toBe("NOTHING_PENDING");
    expect((await confirm(a, 2n, head?.digest ?? "", true)).head?.setNumber).toBe(3n);
  });

  it("leaves nothing to enforce when it was the first", async () => {
    const a = await leader();
    const { head } = await write(a, [writeOf("web", 80, 0n)], { confirmWithinMs: 10_000 });
    const after = await confirm(a, 1n, head?.digest ?? "", true);
    expect(after.head).toMatchObject({
      setNumber: 2n,
      state: SetState.ROLLED_BACK,
      documentCount: 0,
      confirmedSetNumber: 0n,
    });
    const next = await write(a, [writeOf("web", 80, 0n)]);
    expect(next.head).toMatchObject({ setNumber: 3n, state: SetState.CONFIRMED });
    expect(next.written[0]?.version).toBe(3n);
  });

  it("is taken back by the leader when its time is over, also by the next one", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const duties = a.runDuties();
    await write(a, [writeOf("web", 81, 1n)], { confirmWithinMs: 60_000 });
    await clock.advance(50_000);
    const b = node("b");
    await b.lead.take();
    await duties;
    void b.runDuties();
    await clock.advance(9_000);
    expect((await b.set.list(create(ListDocumentsRequestSchema))).head?.state).toBe(SetState.PENDING);
    await vi.waitFor(async () => {
      await clock.advance(1_000);
      const { head } = await b.set.list(create(ListDocumentsRequestSchema));
      expect(head).toMatchObject({ setNumber: 3n, state: SetState.CONFIRMED, author: "wardline", term: 2n });
    }, PATIENTLY);
    const { document } = await b.set.get(create(GetDocumentRequestSchema, { key: policyKey("web") }));
    expect(document).toMatchObject({ version: 3n, text: policyText("web", 80) });
  });

  it("cannot be confirmed after its time, before the leader has noticed", async () => {
    const a = await leader();
    const { head } = await write(a, [writeOf("web", 80, 0n)], { confirmWithinMs: 10_000 });
    await clock.advance(10_000);
    expect(await codeOf(confirm(a, 1n, head?.digest ?? ""))).toBe("NOTHING_PENDING");
  });
});

describe("pruning", () => {
  it("keeps 100 versions of a document and the numbering of those whose tombstones are gone", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 1, 0n), writeOf("db", 1, 0n)]);
    for (let version = 1; version < 105; version++) await write(a, [writeOf("web", version + 1, BigInt(version))]);
    await write(a, [deletionOf("db", 1n)], { requestId: "gone" });
    const duties = a.runDuties();
    await vi.waitFor(() => expect(state.under(LAB_KEYS.historyOf(policyKey("web")))).toHaveLength(100), PATIENTLY);
    expect(state.get(LAB_KEYS.historyVersion(policyKey("web"), 5n))).toBeNull();
    expect(state.get(LAB_KEYS.request("gone"))).not.toBeNull();
    clock.wallOffsetMs += 31 * 86_400_000;
    await clock.advance(601_000);
    await vi.waitFor(() => expect(state.get(LAB_KEYS.document(policyKey("db")))).toBeNull(), PATIENTLY);
    await vi.waitFor(() => expect(state.get(LAB_KEYS.request("gone"))).toBeNull(), PATIENTLY);
    expect(state.under(LAB_KEYS.historyOf(policyKey("db")))).toEqual([]);
    const again = await write(a, [writeOf("db", 1, 0n)]);
    expect(again.written[0]?.version).toBe(3n);
    const old = create(RollbackDocumentsRequestSchema, { key: policyKey("web"), toVersion: 2n });
    expect(await codeOf(a.set.rollback(old, ALICE))).toBe("NOT_FOUND");
    a.lead.end();
    await duties;
  });

  it("keeps 1,000 sets", async () => {
    const a = await leader();
    const { head } = await write(a, [writeOf("web", 1, 0n)]);
    if (!head) throw new Error("no head");
    // The sets between are made up; only their keys count.
    const puts = Array.from({ length: 1_010 }, (_, index) => index + 2);
    for (const number of puts) {
      const key = LAB_KEYS.set(BigInt(number));
      state.transact({ compare: [], then: [{ kind: "put", key, value: new Uint8Array() }] });
    }
    const value = encode(DesiredHeadSchema, { ...head, setNumber: 1_011n, confirmedSetNumber: 3n });
    state.transact({ compare: [], then: [{ kind: "put", key: LAB_KEYS.head, value }] });
    await vi.waitFor(() => expect(a.replica.state?.head?.setNumber).toBe(1_011n), PATIENTLY);
    void a.runDuties();
    await vi.waitFor(() => expect(state.under(LAB_KEYS.sets)).toHaveLength(1_001), PATIENTLY);
    expect(state.get(LAB_KEYS.set(3n))).not.toBeNull();
    expect(state.get(LAB_KEYS.set(12n))).not.toBeNull();
    expect(state.get(LAB_KEYS.set(11n))).toBeNull();
  });
});

describe("a node that cannot reach the store", () => {
  it("says what it knew and when, and only to those who take it", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const cut = { isCut: false };
    const down = new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "down" });
    const link = {
      call: async <T>(run: () => T) => {
        if (cut.isCut) throw down;
        return run();
      },
      pass: async () => {
        if (cut.isCut) throw down;
      },
    };
    const b = new LabNode(office, "b", new MemoryClusterStore(state, link), { clock });
    nodes.push(b);
    expect(await list(b)).toEqual([`${policyKey("web")}@1`]);
    const knownAtMs = b.replica.readAtMs;
    cut.isCut = true;
    await write(a, [writeOf("web", 81, 1n)]);
    await vi.waitFor(() => expect(b.replica.inTouch).toBe(false), PATIENTLY);
    expect(await codeOf(b.set.list(create(ListDocumentsRequestSchema)))).toBe("STORE_UNAVAILABLE");
    const old = await b.set.list(create(ListDocumentsRequestSchema, { mayBeStale: true }));
    expect(old).toMatchObject({ stale: true, documents: [{ version: 1n }], readAt: timestampFromMs(knownAtMs) });
    cut.isCut = false;
    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(b.replica.inTouch).toBe(true);
    }, PATIENTLY);
    expect(await list(b, { mayBeStale: true })).toEqual([`${policyKey("web")}@2`]);
  });

  it("refuses to work with a damaged record instead of guessing", async () => {
    const a = await leader();
    await write(a, [writeOf("web", 80, 0n)]);
    const value = Buffer.from("not json");
    state.transact({ compare: [], then: [{ kind: "put", key: LAB_KEYS.document(policyKey("db")), value }] });
    await vi.waitFor(() => expect(a.replica.inTouch).toBe(false), PATIENTLY);
    expect(await list(a, { mayBeStale: true })).toEqual([`${policyKey("web")}@1`]);
  });
});
