import { create } from "@bufbuild/protobuf";
import { WatchActivityResponseSchema } from "@wardline/api/wardline/console/v1/activity";
import { describe, expect, it } from "vitest";
import { type Activity, NO_ACTIVITY, partOfStream, reduceActivity } from "./activity.ts";
import type { StreamState } from "./live-stream.ts";

describe("reduceActivity", () => {
  it("keeps the objects of what a message does not carry, and begins anew with each subscription", () => {
    const first = reduceActivity(
      null,
      create(WatchActivityResponseSchema, { sequence: 1n, jobs: { jobs: [{ id: "a" }] }, workspace: { sequence: 1n } }),
    );
    const second = reduceActivity(
      first,
      create(WatchActivityResponseSchema, { sequence: 2n, questions: { questions: [{ id: "q" }] } }),
    );
    expect(second.jobs).toBe(first.jobs);
    expect(second.workspace).toBe(first.workspace);
    expect(second.questions.map(({ id }) => id)).toEqual(["q"]);
    expect(reduceActivity(second, create(WatchActivityResponseSchema, { jobs: { jobs: [] } })).jobs).toEqual([]);
    expect(reduceActivity(null, create(WatchActivityResponseSchema, {}))).toEqual(NO_ACTIVITY);
  });
});

describe("partOfStream", () => {
  it("is another object only when its part or the state of the stream is", () => {
    const live = { status: "live", receivedAtMs: 1, failure: null, retryAtMs: null } as const;
    let whole: StreamState<Activity> = { ...live, value: NO_ACTIVITY };
    const part = partOfStream({ getState: () => whole, subscribe: () => () => {} }, ({ workspace }) => workspace);
    const before = part.getState();
    expect(before.value).toBeNull();
    whole = { ...live, receivedAtMs: 2, value: { ...NO_ACTIVITY, jobs: [] } };
    expect(part.getState()).toBe(before);
    whole = { ...whole, status: "stale" };
    expect(part.getState()).not.toBe(before);
    expect(part.getState().status).toBe("stale");
  });
});
