import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SlotReaders } from "./slotReaders.ts";

describe("SlotReaders", () => {
  const waitForAll = vi.fn<() => void>();
  beforeEach(() => {
    vi.useFakeTimers();
    waitForAll.mockReset();
  });
  afterEach(() => vi.useRealTimers());

  it("waits at once when the slot is wanted before the timer came", () => {
    const readers = new SlotReaders(waitForAll);
    readers.wait();
    expect(waitForAll).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1000);
    expect(waitForAll).toHaveBeenCalledTimes(1);
  });

  it("has waited already when the slot is wanted later, and waits again after the next change", () => {
    const readers = new SlotReaders(waitForAll);
    vi.advanceTimersByTime(1000);
    expect(waitForAll).toHaveBeenCalledTimes(1);
    readers.wait();
    expect(waitForAll).toHaveBeenCalledTimes(1);
    readers.left();
    readers.wait();
    expect(waitForAll).toHaveBeenCalledTimes(2);
  });

  it("does not take a wait that failed for one that was", () => {
    waitForAll.mockImplementationOnce(() => {
      throw new Error("no memory");
    });
    const readers = new SlotReaders(waitForAll);
    vi.advanceTimersByTime(1000);
    readers.wait();
    expect(waitForAll).toHaveBeenCalledTimes(2);
  });

  it("tells when the slot is quiet before anybody wanted it, and not otherwise", () => {
    const onQuiet = vi.fn<() => void>();
    const readers = new SlotReaders(waitForAll, onQuiet);
    vi.advanceTimersByTime(1000);
    expect(onQuiet).toHaveBeenCalledTimes(1);
    readers.left();
    readers.wait();
    vi.advanceTimersByTime(1000);
    expect(onQuiet).toHaveBeenCalledTimes(1);
  });

  it("does nothing after close", () => {
    new SlotReaders(waitForAll).close();
    vi.advanceTimersByTime(1000);
    expect(waitForAll).not.toHaveBeenCalled();
  });
});
