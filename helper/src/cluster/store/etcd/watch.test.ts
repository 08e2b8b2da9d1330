/** How messages of a watch become batches: fragments, repetitions, and what says that nothing came. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type WatchResponse, WatchResponseSchema } from "@wardline/api/etcdserverpb/rpc";
import { Event_EventType } from "@wardline/api/mvccpb/kv";
import { ErrorCode } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { failureOf, text } from "../../../testing/storeTesting.ts";
import { join } from "./watch.ts";

type Answer = MessageInitShape<typeof WatchResponseSchema>;

function events(...all: readonly (readonly [key: string, revision: bigint])[]) {
  return all.map(([key, modRevision]) => ({ type: Event_EventType.PUT, kv: { key: text(key), modRevision } }));
}

async function joined(next: bigint, ...answers: readonly Answer[]) {
  const position = { next, failuresInARow: 0, tokensRefused: 0 };
  const stream = async function* (): AsyncGenerator<WatchResponse> {
    for (const answer of answers) yield create(WatchResponseSchema, answer);
  };
  const batches: string[] = [];
  for await (const batch of join(stream(), position, () => batches.push("created"))) {
    batches.push(`${batch.revision}: ${batch.events.map(({ key }) => key).join(" ")}`);
  }
  return { batches, next: position.next };
}

describe("messages of a watch", () => {
  it("give one batch for each revision, however they are cut", async () => {
    const { batches, next } = await joined(
      5n,
      { created: true },
      { fragment: true, events: events(["a", 5n], ["b", 5n]) },
      { fragment: true, events: events(["c", 5n]) },
      { events: events(["d", 5n], ["a", 6n]) },
      { events: events(["a", 7n], ["a", 8n]) },
    );
    expect(batches).toStrictEqual(["created", "5: a b c d", "6: a", "7: a", "8: a"]);
    expect(next).toBe(9n);
  });

  it("that end within a revision hand over none of it: the next stream begins there", async () => {
    const { batches, next } = await joined(5n, { fragment: true, events: events(["a", 5n], ["a", 6n], ["b", 6n]) });
    expect(batches).toStrictEqual(["5: a"]);
    expect(next).toBe(6n);
  });

  it("are left out where they tell what was told before", async () => {
    const { batches } = await joined(5n, { events: events(["a", 4n]) }, { events: events(["a", 4n], ["a", 5n]) });
    expect(batches).toStrictEqual(["5: a"]);
  });

  it("without events say how far everything was seen, never backwards", async () => {
    const { batches, next } = await joined(
      5n,
      { header: { revision: 9n } },
      { header: { revision: 8n } },
      { events: events(["a", 12n]) },
    );
    expect(batches).toStrictEqual(["9: ", "12: a"]);
    expect(next).toBe(13n);
  });

  it("that cancel the watch because of a compaction end it with COMPACTED", async () => {
    const work = joined(5n, { created: true, canceled: true, compactRevision: 7n });
    expect(await failureOf(work)).toBe(ErrorCode.COMPACTED);
  });
});
