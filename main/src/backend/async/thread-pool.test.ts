import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, describe, expect, it } from "vitest";
import { ThreadPool, type ThreadPoolOptions } from "./thread-pool.ts";

const pools: ThreadPool[] = [];
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

function pool(options: Partial<ThreadPoolOptions> = {}): ThreadPool {
  const made = new ThreadPool({
    file: new URL("./testing/example-thread.ts", import.meta.url),
    what: "examples",
    threads: 1,
    ...options,
  });
  pools.push(made);
  return made;
}

const forever = new AbortController().signal;
const call = (one: ThreadPool, method: string, signal = forever) =>
  one.use(signal, (thread) => thread.call(method, null));

describe("threads for heavy work", () => {
  it("keep what they know between calls, and say what went wrong in the words of the failure", async () => {
    const one = pool();
    expect([await call(one, "count"), await call(one, "count")]).toEqual([1, 2]);
    await expect(call(one, "refuse")).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND, hint: "Ask for another." });
    await expect(call(one, "fail")).rejects.toThrow(/A thread for examples failed: TypeError: a defect/);
    expect(await call(one, "count")).toBe(3);
  });

  it.each([
    ["that looks whether anybody waits, which keeps what it knows", "polite", 2],
    ["that does not, which is ended", "stubborn", 1],
  ])("free who cancels at once, and their place soon after: work %s", async (_what, method, next) => {
    const one = pool();
    await call(one, "count");
    const cancelled = new AbortController();
    const hard = call(one, method, cancelled.signal);
    const waiting = call(one, "count");
    setTimeout(() => cancelled.abort(new Error("enough")), 50);
    await expect(hard).rejects.toThrow("enough");
    expect(await waiting).toBe(next);
  });

  it("are bounded, and so are those who wait; who gives up waiting leaves the queue", async () => {
    const one = pool({ threads: 2, waiting: 1 });
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()] as const;
    const results = [first, second, third].map(({ signal }) => call(one, "polite", signal).catch((why: Error) => why));
    await expect(call(one, "count")).rejects.toMatchObject({ code: ErrorCode.TOO_LARGE, retryable: true });
    expect(one.size).toBe(2);
    third.abort(new Error("third"));
    expect(await results[2]).toMatchObject({ message: "third" });
    const next = call(one, "count");
    first.abort(new Error("first"));
    expect(await next).toBe(1);
    second.abort(new Error("second"));
    await expect(call(one, "count", AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  });

  it("are made anew when one ended, ran out of memory, or was not needed for a while", async () => {
    const one = pool({ heapMegabytes: 32, idleMs: 20 });
    await expect(call(one, "quit")).rejects.toThrow("A thread for examples ended");
    await expect(call(one, "greedy")).rejects.toMatchObject({ code: ErrorCode.TOO_LARGE });
    expect(await call(one, "count")).toBe(1);
    await expect.poll(() => one.size).toBe(0);
    expect(await call(one, "count")).toBe(1);
  });

  it("answer nobody who calls one that ended between two calls, and are not handed out any more", async () => {
    const one = pool();
    const held = await one.hold(forever);
    await held.call("count", null);
    await held.call("leave", null);
    await expect.poll(() => held.call("count", null).catch((why: Error) => why.message)).toMatch("examples ended");
    held.release();

    expect(await call(one, "count")).toBe(1);
    await call(one, "leave");
    // The first that comes may still meet it.
    await expect.poll(() => call(one, "count").catch(() => null)).toBe(1);
  });

  it("are free as soon as their holder gives up, whatever else that one waits for", async () => {
    const one = pool();
    const slow = new AbortController();
    const held = await one.hold(slow.signal);
    const waiting = call(one, "count");
    slow.abort(new Error("too slow"));
    expect(await waiting).toBe(1);
    await expect(held.call("count", null)).rejects.toThrow("too slow");
    held.release();
    expect(await call(one, "count")).toBe(2);
  });

  it("end with the pool, and so does whoever waits", async () => {
    const one = pool();
    const held = await one.hold(forever);
    const hard = held.call("stubborn", null).catch((why: Error) => why);
    const waiting = call(one, "count").catch((why: Error) => why);
    await one.close();
    expect(await hard).toMatchObject({ code: ErrorCode.CANCELED });
    await expect(held.call("count", null)).rejects.toMatchObject({ code: ErrorCode.CANCELED });
    expect(await waiting).toMatchObject({ code: ErrorCode.CANCELED });
    await expect(call(one, "count")).rejects.toMatchObject({ code: ErrorCode.CANCELED });
  });
});
