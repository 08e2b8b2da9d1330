/** Windows for a journal. */
import { create, toBinary } from "@bufbuild/protobuf";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import type { RecordGroup } from "../flows/records/journalQueue.ts";

/** Each piece has one record whose texts say which one it is. */
export function recordGroup(names: readonly string[], sealedMs: number, over: Partial<RecordGroup> = {}): RecordGroup {
  const pieces = names.map((sourceName) =>
    toBinary(
      FlowRecordBatchSchema,
      create(FlowRecordBatchSchema, { records: [{ sourceName, cgroupPath: filler(sourceName) }] }),
    ),
  );
  const counts = { records: names.length, events: names.length, sealedMs, windowEndMs: sealedMs };
  return { pieces, ...counts, lost: { ringFull: 0n, rateLimited: 0n, notFollowed: 0n }, ...over };
}

/** Long enough to be deflated, and not to a few bytes. */
function filler(name: string): string {
  let text = "";
  // One letter: short enough to be left as it is.
  if (name.length < 2) return text;
  for (let value = name.length * 7919 + 13; text.length < 300; value = (value * 48_271) % 0x7fffffff)
    text += value.toString(36);
  return text;
}
