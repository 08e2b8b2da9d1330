/** Drafts that do not come to their end: nobody waits any more, the records cannot be read, it takes too long, the console closes. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowRecord } from "@wardline/domain/flows";
import { readPolicyFiles, stateDigest } from "@wardline/domain/policy";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../ports.ts";
import { FlowReplays } from "../replay/flow-replays.ts";
import { largeFleet } from "../testing/large-fleet.ts";
import { draftFor } from "./draft-for.ts";

type Piece = readonly (FlowRecord & { readonly hostId: string })[];

describe("a draft", () => {
  const files = largeFleet({ hosts: 2, workloads: 0, rules: 0 });
  const { inventory } = readPolicyFiles(files).world;
  const open: FlowReplays[] = [];
  afterEach(() => Promise.all(open.splice(0).map((replays) => replays.close())));

  function openReplays(deadlineMs?: number): FlowReplays {
    const flows = { newestId: () => 0, oldestId: () => 0, countBetween: () => 0, recordedBetween: () => [] };
    const replays = new FlowReplays({ flows, clock: systemClock, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
    open.push(replays);
    return replays;
  }

  function ask(
    replays: FlowReplays,
    replay: (signal: AbortSignal) => AsyncGenerator<Piece>,
    signal = new AbortController().signal,
  ) {
    const stored = files.map((file) => ({ ...file, revision: 1, modifiedAtMs: 0 }));
    return draftFor(
      {
        ...{ draft: { stateDigest: stateDigest(files), files: stored }, changed: [], replays, inventory },
        ...{ nodes: [{ members: inventory.endpoints }], grouping: { by: "labels", keys: ["app"] } },
        ...{ window: { sinceMs: 0, untilMs: 10 }, isTaken: () => false },
        history: { replay: (_query, _options, own) => replay(own) },
        labels: () => ({ subjectKeys: [], addresses: [] }),
      },
      signal,
    );
  }

  async function* nothing(): AsyncGenerator<Piece> {
    yield [];
  }

  /** As a store that has much: it ends without a word when nobody waits. */
  async function* endless(own: AbortSignal): AsyncGenerator<Piece> {
    while (!own.aborted) {
      yield [];
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  it("that nobody waits for ends with the reason, also while it waits for a thread, and the next ones have theirs", async () => {
    const replays = openReplays();
    const wanted = new AbortController();
    let begun = 0;
    const counted = (own: AbortSignal) => {
      begun++;
      return endless(own);
    };
    const drafts = Array.from({ length: 4 }, () => ask(replays, counted, wanted.signal));
    const ends = Promise.allSettled(drafts);
    // As many as there are threads.
    await expect.poll(() => begun).toBe(2);
    wanted.abort(new Error("the window was closed"));
    for (const end of await ends) expect(end).toMatchObject({ reason: { message: "the window was closed" } });
    for (let turn = 0; turn < 3; turn++) expect((await ask(replays, nothing)).flowRecords).toBe(0n);
    expect(begun).toBe(2);
  }, 60_000);

  it("says why the records could not be read, and leaves its thread to the next one", async () => {
    const replays = openReplays();
    // biome-ignore lint/correctness/useYield: a store that fails at once.
    const broken = async function* (): AsyncGenerator<Piece> {
      throw new Failure({ code: ErrorCode.DISK_FULL, message: "no room" });
    };
    for (let turn = 0; turn < 3; turn++) {
      await expect(ask(replays, broken)).rejects.toMatchObject({ code: ErrorCode.DISK_FULL });
    }
    expect((await ask(replays, nothing)).flowRecords).toBe(0n);
  }, 60_000);

  it("that takes too long is refused, and is no draft of half the records", async () => {
    const draft = ask(openReplays(300), endless);
    await expect(draft).rejects.toMatchObject({ code: ErrorCode.DEADLINE_EXCEEDED });
  }, 60_000);

  it("ends when the console closes, and none begins after it", async () => {
    const replays = openReplays();
    let begun = 0;
    const draft = ask(replays, (own) => {
      begun++;
      return endless(own);
    });
    const end = expect(draft).rejects.toMatchObject({ code: ErrorCode.CANCELED });
    await expect.poll(() => begun).toBe(1);
    await replays.close();
    await end;
    await expect(ask(replays, nothing)).rejects.toMatchObject({ code: ErrorCode.CANCELED });
  }, 60_000);
});
