import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Retention, RetentionSchema, SetRetentionResponseSchema } from "@wardline/api/wardline/console/v1/history";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatCount } from "../terminal/amounts.ts";
import type { FlowsRetentionOptions } from "./flows.options.ts";
import { formatTime } from "./flows-query.ts";

const DAY_MS = 86_400_000;

/** `wardline flows retention`: how long flows are kept, or with options another choice; what is not given stays. */
export async function flowsRetention(output: Output, options: FlowsRetentionOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ history }) => {
    const { status } = await history.getHistoryStatus({});
    const present = status?.retention;
    const wanted = {
      recordDays: daysOf(options.records) ?? present?.recordDays ?? 0,
      minuteDays: daysOf(options.minutes) ?? present?.minuteDays ?? 0,
      hourDays: daysOf(options.hours) ?? present?.hourDays ?? 0,
      dayDays: daysOf(options.days) ?? present?.dayDays ?? 0,
      maxRecords: options.maxRecords === undefined ? (present?.maxRecords ?? 0n) : BigInt(options.maxRecords),
      maxBytes: options.maxSize === undefined ? (present?.maxBytes ?? 0n) : BigInt(options.maxSize),
    };
    const isChange = [
      options.records,
      options.minutes,
      options.hours,
      options.days,
      options.maxRecords,
      options.maxSize,
    ].some((value) => value !== undefined);
    if (!isChange) {
      if (output.format === "json") output.json(present ? toJson(RetentionSchema, present) : {});
      else if (present) output.text(`${retentionText(present)}\n`);
      return EXIT.done;
    }
    const answer = await history.setRetention({ retention: wanted, dryRun: options.dryRun });
    if (output.format === "json") output.json(toJson(SetRetentionResponseSchema, answer));
    else {
      const goes = `${formatCount(Number(answer.removedRecords))} records (${formatBytes(Number(answer.removedBytes))})`;
      const oldest = answer.oldestAfter ? `; the oldest left is of ${formatTime(timestampMs(answer.oldestAfter))}` : "";
      output.text(`${options.dryRun ? "Would remove" : "Removed"} ${goes}${oldest}.\n`);
      if (answer.retention) output.text(`${retentionText(answer.retention)}\n`);
      if (options.dryRun) output.note("Nothing was changed.");
    }
    return EXIT.done;
  });
}

/** Whole days, at least one. */
function daysOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(1, Math.ceil(ms / DAY_MS));
}

export function retentionText({ recordDays, minuteDays, hourDays, dayDays, maxRecords, maxBytes }: Retention): string {
  const ages = `records ${recordDays} days, minutes ${minuteDays}, hours ${hourDays}, days ${dayDays}`;
  return `Kept: ${ages}; at most ${formatCount(Number(maxRecords))} records, ${formatBytes(Number(maxBytes))}`;
}
