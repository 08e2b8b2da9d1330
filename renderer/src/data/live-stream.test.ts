import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LiveStream } from "./live-stream.ts";

interface Message {
  sequence: bigint;
  items: string[];
}

/** A hand-driven server: each subscription is a queue. */
class Server {
  readonly subscriptions: { push: (message: Message) => void; fail: (error: Error) => void; signal: AbortSignal }[] =
    [];

  readonly open = (signal: AbortSignal): AsyncIterable<Message> => {
    const queue: (Message | Error)[] = [];
    let wake = () => {};
    const add = (entry: Message | Error) => {
      queue.push(entry);
      wake();
    };
    this.subscriptions.push({ push: add, fail: add, signal });
    signal.addEventListener("abort", () => add(new Error("aborted")));
    return {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const entry = queue.shift();
          if (entry === undefined) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          } else if (entry instanceof Error) throw entry;
          else yield entry;
        }
      },
    };
  };
}

function start(silenceMs: number | null = null, settleMs = 0) {
  const server = new Server();
  const stream = new LiveStream<Message, string[]>({
    open: server.open,
    reduce: (previous, message) => [...(previous ?? []), ...message.items],
    silenceMs,
    settleMs,
    monotonicMs: () => Date.now(),
    random: () => 0.5,
  });
  const stop = stream.subscribe(() => {});
  return { server, stream, stop };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("LiveStream", () => {
  it("takes the snapshot, then adds numbered changes", async () => {
    const { server, stream } = start();
    expect(stream.getState().status).toBe("connecting");
    server.subscriptions[0]?.push({ sequence: 7n, items: ["a"] });
    server.subscriptions[0]?.push({ sequence: 8n, items: ["b"] });
    await vi.advanceTimersByTimeAsync(0);
    expect(stream.getState()).toMatchObject({ status: "live", value: ["a", "b"] });
  });

  it("asks for a new snapshot after a gap, and does not mix the two", async () => {
    const { server, stream } = start();
    server.subscriptions[0]?.push({ sequence: 1n, items: ["a"] });
    server.subscriptions[0]?.push({ sequence: 3n, items: ["c"] });
    await vi.advanceTimersByTimeAsync(0);
    expect(server.subscriptions).toHaveLength(2);
    expect(server.subscriptions[0]?.signal.aborted).toBe(true);
    server.subscriptions[1]?.push({ sequence: 1n, items: ["x"] });
    await vi.advanceTimersByTimeAsync(0);
    expect(stream.getState()).toMatchObject({ status: "live", value: ["x"] });
  });

  it("keeps the last value while it is stale, and backs off", async () => {
    const { server, stream } = start();
    server.subscriptions[0]?.push({ sequence: 1n, items: ["a"] });
    await vi.advanceTimersByTimeAsync(0);
    server.subscriptions[0]?.fail(new TypeError("Failed to fetch"));
    await vi.advanceTimersByTimeAsync(0);
    expect(stream.getState()).toMatchObject({
      status: "stale",
      value: ["a"],
      failure: { code: "BACKEND_UNREACHABLE" },
    });
    await vi.advanceTimersByTimeAsync(500);
    expect(server.subscriptions).toHaveLength(2);
    server.subscriptions[1]?.fail(new TypeError("Failed to fetch"));
    await vi.advanceTimersByTimeAsync(500);
    expect(server.subscriptions).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(500);
    expect(server.subscriptions).toHaveLength(3);
  });

  it("counts silence as loss where messages are promised", async () => {
    const { server, stream } = start(6_000);
    server.subscriptions[0]?.push({ sequence: 1n, items: ["a"] });
    await vi.advanceTimersByTimeAsync(5_999);
    expect(stream.getState().status).toBe("live");
    await vi.advanceTimersByTimeAsync(2);
    expect(stream.getState().status).toBe("stale");
  });

  it("tells of many messages once where it may, and at once of what is no value", async () => {
    const { server, stream } = start(null, 100);
    const told: string[] = [];
    stream.subscribe(() => told.push(`${stream.getState().status} ${stream.getState().value?.join("")}`));
    const push = (sequence: bigint, item: string) => server.subscriptions[0]?.push({ sequence, items: [item] });
    push(1n, "a");
    await vi.advanceTimersByTimeAsync(0);
    push(2n, "b");
    push(3n, "c");
    await vi.advanceTimersByTimeAsync(99);
    expect(told).toEqual(["live a"]);
    expect(stream.getState().value).toEqual(["a", "b", "c"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(["live a", "live abc"]);
    push(4n, "d");
    server.subscriptions[0]?.fail(new TypeError("Failed to fetch"));
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(["live a", "live abc", "stale abcd"]);
  });

  it("ends the subscription when nobody listens", async () => {
    const { server, stop } = start();
    await vi.advanceTimersByTimeAsync(0);
    stop();
    expect(server.subscriptions[0]?.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.subscriptions).toHaveLength(1);
  });
});
