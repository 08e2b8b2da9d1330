import { timestampFromMs } from "@bufbuild/protobuf/wkt";

export interface HistoryRange {
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
}

export function toWireQuery(text: string, { sinceMs, untilMs }: HistoryRange) {
  return {
    text,
    ...(sinceMs === null ? {} : { since: timestampFromMs(sinceMs) }),
    ...(untilMs === null ? {} : { until: timestampFromMs(untilMs) }),
  };
}
