/** Shared notes: what two consoles write comes together, and bytes that mean harm change nothing. */
import { rmSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError, failureToConnectError } from "@wardline/domain/wire";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { startTestConsole, type TestConsole } from "../../testing/console.ts";
import { FakeAgent } from "../../testing/fake-agent.ts";
import { FakeCluster, FakeClusterNode } from "../../testing/fake-cluster.ts";
import { NotesDocument } from "./notes-document.ts";
import { editBetween, rebasedEdit } from "./text-edit.ts";

const NOW_MS = 1_700_000_000_000;
const at = (subject: string, text: string, baseText?: string) => ({
  ...{ subject, text, baseText, author: "ann", nowMs: NOW_MS },
});

describe("an edit of a text", () => {
  const apply = (text: string, edit: ReturnType<typeof editBetween>) =>
    edit ? text.slice(0, edit.from) + edit.inserted + text.slice(edit.from + edit.removed) : text;

  it("makes one text of the other, and never cuts a character in two", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 12 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const edit = editBetween(before, after);
        expect(apply(before, edit)).toBe(after);
        for (const part of [before.slice(0, edit?.from ?? 0), edit?.inserted ?? ""]) {
          expect(part.isWellFormed()).toBe(before.isWellFormed() && after.isWellFormed());
        }
      }),
    );
    expect(editBetween("😀", "😁")).toEqual({ from: 0, removed: 2, inserted: "😁" });
  });

  it.each([
    ["before the other's", "one two three", "ONE two three", "one two THREE!", "ONE two THREE!"],
    ["after the other's", "one two three", "one two THREE", "first two three", "first two THREE"],
    ["after what the other took out", "one two three", "one two THREE", "two three", "two THREE"],
    ["where the other's is", "one two three", "one 2 three", "one deux three", "one 2 three"],
    ["that is none", "one", "one", "two", "two"],
    ["of a text that nobody else changed", "one", "two", "one", "two"],
  ])("%s keeps both where it can", (_what, base, wanted, now, result) => {
    expect(apply(now, rebasedEdit(base, wanted, now))).toBe(result);
  });
});

const shownBy = (document: NotesDocument) =>
  JSON.stringify(document.list().map(({ subject, text, author }) => [subject, text, author]));

describe("a document of notes", () => {
  it("comes to the same in every console, whatever the order and however often updates arrive", () => {
    const edits = fc.array(
      fc.record({
        who: fc.nat(2),
        subject: fc.constantFrom("host/a", "host/b", "view/x"),
        text: fc.string({ unit: "grapheme", maxLength: 12 }),
        seesFirst: fc.boolean(),
      }),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(edits, fc.infiniteStream(fc.nat()), (steps, numbers) => {
        const consoles = [new NotesDocument(), new NotesDocument(), new NotesDocument()];
        const sent: Uint8Array[] = [];
        for (const { who, subject, text, seesFirst } of steps) {
          const own = consoles[who] as NotesDocument;
          if (seesFirst) own.apply(sent);
          const update = own.edit(at(subject, text));
          if (update) sent.push(update);
          expect(own.textOf(subject)).toBe(text);
        }
        for (const each of consoles) {
          const shuffled = [...sent, ...sent].map((update) => [numbers.next().value ?? 0, update] as const);
          shuffled.sort(([one], [other]) => one - other);
          expect(each.apply(shuffled.map(([, update]) => update))).toBe(0);
        }
        const [first, ...others] = consoles.map(shownBy);
        for (const other of others) expect(other).toBe(first);
        const restored = new NotesDocument((consoles[0] as NotesDocument).encode());
        expect(shownBy(restored)).toBe(first);
      }),
      { numRuns: 60 },
    );
  });

  it("keeps what two wrote into one new note, and both authors' edits of an old one", () => {
    const [ann, ben] = [new NotesDocument(), new NotesDocument()];
    const updates = [ann.edit(at("host/a", "from ann.")), ben.edit(at("host/a", "from ben."))] as Uint8Array[];
    ann.apply(updates);
    ben.apply(updates);
    expect(ann.textOf("host/a")).toBe(ben.textOf("host/a"));
    expect(ann.textOf("host/a")).toContain("from ann.");
    expect(ann.textOf("host/a")).toContain("from ben.");
  });

  it("lets no bytes in that are no notes, and never throws at any", () => {
    const document = new NotesDocument();
    document.edit(at("host/a", "stays"));
    const foreign = (change: (document: Y.Doc) => void) => {
      const other = new Y.Doc();
      change(other);
      return Y.encodeStateAsUpdate(other);
    };
    const hostile = [
      new Uint8Array(0),
      new Uint8Array([255, 255, 255, 255, 255]),
      new Uint8Array(600_000),
      foreign((other) => other.getMap("meta").set("x", new Y.Map())),
      foreign((other) => other.getMap("meta").set("x", new Uint8Array(10))),
      foreign((other) => other.getMap("else").set("x", 1)),
      foreign((other) => other.getText("t:no subject").insert(0, "x")),
      foreign((other) => other.getText("t:host/a\u0007").insert(0, "x")),
      foreign((other) => other.getText("t:host/a").insertEmbed(0, { src: "x" })),
      foreign((other) => other.getText("t:host/a").insert(0, "x".repeat(600_000))),
    ];
    expect(document.apply(hostile)).toBe(hostile.length);
    expect(document.list()).toMatchObject([{ subject: "host/a", text: "stays", author: "ann" }]);
    const valid = new NotesDocument();
    const update = valid.edit(at("host/b", "y".repeat(200))) as Uint8Array;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(update.length - 1), fc.nat(255), (bytes, index, value) => {
        const damaged = Uint8Array.from(update);
        damaged[index] = value;
        document.apply([bytes, damaged]);
        expect(document.textOf("host/a")).toContain("stays");
        for (const { text } of document.list()) expect(text.length).toBeLessThanOrEqual(4_000);
      }),
      { numRuns: 300 },
    );
    expect(document.edit(at("host/a", "and goes on"))).not.toBeNull();
    expect(document.textOf("host/a")).toBe("and goes on");
  });

  it("shows nothing that acts, and no time that there is not", () => {
    const other = new Y.Doc();
    other.getText("t:host/a").insert(0, "one\n\u001b[2Jtwo\u202e");
    other.getMap("meta").set("host/a", { author: "\u0007eve", at: 1e300 });
    const document = new NotesDocument();
    expect(document.apply([Y.encodeStateAsUpdate(other)])).toBe(0);
    const [note] = document.list();
    expect(note).toMatchObject({ text: "one\n\\u{1b}[2Jtwo\\u{202e}", author: "\\u{7}eve" });
    expect(note?.editedAt).toBeUndefined();
  });
});

describe("notes of a cluster", () => {
  const testers: TestConsole[] = [];
  afterEach(async () => {
    for (const tester of testers.splice(0)) await tester.close();
  });

  function open(cluster: FakeCluster, userName: string, stateDir?: string) {
    const agent = new FakeAgent();
    if (!cluster.members.has("alpha")) cluster.admit("alpha", true);
    agent.cluster = new FakeClusterNode("alpha", cluster);
    const options = { introducesLocalHost: false, userName, ...(stateDir ? { stateDir } : {}) };
    const tester = startTestConsole(agent, options);
    testers.push(tester);
    const leaving = new AbortController();
    const shown = { texts: {} as Record<string, string> };
    const watch = async () => {
      const stream = tester.clusters.watchNotes({ clusterName: "prod" }, { signal: leaving.signal });
      for await (const { notes } of stream) {
        shown.texts = Object.fromEntries(notes.map(({ subject, text, author }) => [subject, `${text} (${author})`]));
      }
    };
    void watch().catch(() => {});
    const set = (subject: string, text: string, baseText?: string) =>
      tester.clusters.setNote({ clusterName: "prod", subject, text, ...(baseText === undefined ? {} : { baseText }) });
    return { tester, agent, shown, set, leave: () => leaving.abort() };
  }
  const until = (read: () => unknown) => expect.poll(read, { timeout: 60_000, interval: 20 });
  const failure = async (work: Promise<unknown>) =>
    failureFromConnectError(
      await work.then(
        () => null,
        (thrown: unknown) => thrown,
      ),
    );

  it("reach the other console, and edits of both come together", async () => {
    const cluster = new FakeCluster("prod", "alpha");
    const [ann, ben] = [open(cluster, "ann"), open(cluster, "ben")];
    await ann.set("host/web-1", "old disk, new disk");
    await until(() => ben.shown.texts).toEqual({ "host/web-1": "old disk, new disk (ann)" });
    await ben.set("host/web-1", "old disk, new disk. Ask Ben.", "old disk, new disk");
    // Ann began from the same text and has not seen Ben's.
    await ann.set("host/web-1", "OLD disk, new disk", "old disk, new disk");
    const both = "OLD disk, new disk. Ask Ben. (ann)";
    await until(() => [ann.shown.texts["host/web-1"], ben.shown.texts["host/web-1"]]).toEqual([both, both]);
    await ben.set("host/web-1", "");
    await until(() => ann.shown.texts).toEqual({});
  });

  it("written while nobody can be reached are kept over a restart, and told later", async () => {
    const cluster = new FakeCluster("prod", "alpha");
    const ann = open(cluster, "ann");
    await ann.set("view/mine", "first");
    cluster.storeIsWritable = false;
    await ann.set("view/mine", "first and second");
    await until(() => ann.shown.texts["view/mine"]).toBe("first and second (ann)");
    expect(cluster.notes.get("views")).toHaveLength(1);
    const { stateDir } = ann.tester;
    ann.leave();
    await ann.tester.backend.close();
    testers.splice(0);
    cluster.storeIsWritable = true;
    const again = open(cluster, "ann", stateDir);
    const ben = open(cluster, "ben");
    await until(() => ben.shown.texts["view/mine"]).toBe("first and second (ann)");
    await until(() => again.shown.texts["view/mine"]).toBe("first and second (ann)");
    rmSync(stateDir, { recursive: true });
  });

  it("that the cluster refuses are not kept, and do not stand in the way of the next", async () => {
    const cluster = new FakeCluster("prod", "alpha");
    const ann = open(cluster, "ann");
    const refusal = failureToConnectError(new Failure({ code: ErrorCode.PERMISSION_DENIED, message: "viewers read" }));
    ann.agent.cluster!.failures.set("pushNotes", { failure: refusal, isAfter: false });
    expect(await failure(ann.set("host/a", "no"))).toMatchObject({ code: ErrorCode.PERMISSION_DENIED });
    await ann.set("host/a", "yes");
    await until(() => ann.shown.texts).toEqual({ "host/a": "yes (ann)" });
    const ben = open(cluster, "ben");
    await until(() => ben.shown.texts).toEqual({ "host/a": "yes (ann)" });
  });

  it("are merged into one update when there are many", async () => {
    const cluster = new FakeCluster("prod", "alpha");
    const ann = open(cluster, "ann");
    for (let number = 0; number < 101; number++) {
      const document = new NotesDocument();
      cluster.pushNote("hosts", document.edit(at(`host/n${number}`, `note ${number}`)) as Uint8Array);
    }
    cluster.pushNote("hosts", new Uint8Array([1, 2, 3]));
    await until(() => Object.keys(ann.shown.texts).length).toBe(101);
    await ann.set("host/n0", "changed");
    await until(() => cluster.notes.get("hosts")?.length).toBeLessThan(4);
    const ben = open(cluster, "ben");
    await until(() => Object.keys(ben.shown.texts).length).toBe(101);
    expect(ben.shown.texts["host/n0"]).toBe("changed (ann)");
  });

  it.each([
    ["a subject that there is not", "secret/x", "text", ErrorCode.INVALID_ARGUMENT],
    ["a subject with something hidden in it", "host/a\u202e", "text", ErrorCode.INVALID_ARGUMENT],
    ["a text that is too long", "host/a", "x".repeat(4_001), ErrorCode.TOO_LARGE],
  ])("refuse %s", async (_what, subject, text, code) => {
    const ann = open(new FakeCluster("prod", "alpha"), "ann");
    expect(await failure(ann.set(subject, text))).toMatchObject({ code });
  });
});
