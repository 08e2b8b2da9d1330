import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorCode, ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DraftStore } from "./draft-store.ts";

function conflict() {
  return new ConnectError("changed elsewhere", Code.Aborted, undefined, [
    { desc: ErrorDetailSchema, value: { code: ErrorCode.REVISION_CONFLICT, message: "changed elsewhere" } },
  ]);
}

function setUp() {
  const kept = new Map<string, string>();
  const server = { text: "a: 1", revision: 3n, isUp: true };
  const store = new DraftStore({
    read: async () => ({ text: server.text, revision: server.revision }),
    write: async (_path, text, baseRevision) => {
      if (!server.isUp) throw new TypeError("Failed to fetch");
      if (baseRevision !== server.revision) throw conflict();
      server.text = text;
      server.revision += 1n;
      return { revision: server.revision };
    },
    storage: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
  });
  return { kept, server, store };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("DraftStore", () => {
  it("saves an edit by itself, on the revision that was read", async () => {
    const { kept, server, store } = setUp();
    await store.open("web.yaml");
    store.edit("web.yaml", "a: 2");
    expect(kept.size).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.text).toBe("a: 2");
    expect(store.get("web.yaml")).toMatchObject({ status: "saved", baseRevision: 4n });
    expect(kept.size).toBe(0);
  });

  it("says that nothing is saved from the first key on, and that it is when what was typed was taken back", async () => {
    const { store } = setUp();
    await store.open("web.yaml");
    store.typing("web.yaml");
    expect([store.get("web.yaml")?.status, store.unsaved().length]).toEqual(["dirty", 1]);
    store.edit("web.yaml", "a: 1");
    expect(store.get("web.yaml")?.status).toBe("saved");
    store.edit("web.yaml", "a: 2");
    const saving = store.save("web.yaml");
    store.typing("web.yaml");
    await saving;
    expect(store.get("web.yaml")?.status).toBe("dirty");
    store.edit("web.yaml", "a: 2");
    expect(store.get("web.yaml")?.status).toBe("saved");
  });

  it("keeps the text in the browser while the backend is away, and sends it when it is back", async () => {
    const { kept, server, store } = setUp();
    await store.open("web.yaml");
    server.isUp = false;
    store.edit("web.yaml", "a: 3");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.get("web.yaml")).toMatchObject({ status: "kept-locally", text: "a: 3" });
    expect(kept.size).toBe(1);
    server.isUp = true;
    await vi.advanceTimersByTimeAsync(3_500);
    expect(server.text).toBe("a: 3");
    expect(store.get("web.yaml")?.status).toBe("saved");
  });

  it("takes up a text that was never saved when the file is opened again", async () => {
    const { kept, server, store } = setUp();
    kept.set("wardline.draft:web.yaml", JSON.stringify({ text: "a: 9", baseRevision: "3" }));
    await store.open("web.yaml");
    expect(server.text).toBe("a: 9");
  });

  it("shows both sides of a conflict and overwrites neither until the person decides", async () => {
    const { server, store } = setUp();
    await store.open("web.yaml");
    server.text = "a: theirs";
    server.revision = 9n;
    store.edit("web.yaml", "a: mine");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.get("web.yaml")).toMatchObject({
      status: "conflict",
      text: "a: mine",
      theirs: { text: "a: theirs", revision: 9n },
    });
    store.edit("web.yaml", "a: mine too");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(server.text).toBe("a: theirs");
    await store.resolve("web.yaml", "mine");
    expect(server.text).toBe("a: mine too");
    expect(store.get("web.yaml")?.status).toBe("saved");
  });

  it("saves what was typed while an answer was under way", async () => {
    const { server, store } = setUp();
    await store.open("web.yaml");
    store.edit("web.yaml", "a: 2");
    const saving = store.save("web.yaml");
    store.edit("web.yaml", "a: 22");
    await saving;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.text).toBe("a: 22");
    expect(store.get("web.yaml")?.status).toBe("saved");
  });

  it("follows another revision only without changes of its own", async () => {
    const { server, store } = setUp();
    await store.open("web.yaml");
    server.text = "a: 5";
    server.revision = 5n;
    await store.follow("web.yaml", 5n);
    expect(store.get("web.yaml")).toMatchObject({ text: "a: 5", baseRevision: 5n });
    store.edit("web.yaml", "a: 6");
    await store.follow("web.yaml", 8n);
    expect(store.get("web.yaml")?.text).toBe("a: 6");
  });
});
