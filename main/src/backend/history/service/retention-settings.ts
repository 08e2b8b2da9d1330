/** How long the history is kept, as the person wants it. */
import { create } from "@bufbuild/protobuf";
import { type Retention, RetentionSchema } from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { safeNumber } from "../../rpc/guard.ts";
import type { SettingsTable } from "../../store/settings-table.ts";
import { type RetentionLimits, USUAL_RETENTION_LIMITS } from "../flow-history.ts";

const SETTING = "history_retention";
const MAX_DAYS = 3_650;
const LEAST_RECORDS = 10_000;
const LEAST_BYTES = 16 * 1024 ** 2;
const FIELDS = ["recordDays", "minuteDays", "hourDays", "dayDays", "maxRecords", "maxBytes"] as const;

export class RetentionSettings {
  readonly #settings: SettingsTable;

  constructor(settings: SettingsTable) {
    this.#settings = settings;
  }

  /** Read anew each time: another process may have changed it. What cannot be read is the default. */
  limits(): RetentionLimits {
    try {
      const stored: unknown = JSON.parse(this.#settings.text(SETTING) ?? "{}");
      if (typeof stored !== "object" || stored === null) return USUAL_RETENTION_LIMITS;
      const known = Object.entries(stored).filter(
        ([name, value]) => FIELDS.some((field) => field === name) && Number.isSafeInteger(value) && value > 0,
      );
      return { ...USUAL_RETENTION_LIMITS, ...Object.fromEntries(known) };
    } catch {
      return USUAL_RETENTION_LIMITS;
    }
  }

  save(limits: RetentionLimits): void {
    this.#settings.set(SETTING, JSON.stringify(limits));
  }
}

/** 0 means the default. @throws Failure INVALID_ARGUMENT */
export function fromWireRetention(wire: Retention | undefined): RetentionLimits {
  const usual = USUAL_RETENTION_LIMITS;
  const limits: RetentionLimits = {
    recordDays: wire?.recordDays || usual.recordDays,
    minuteDays: wire?.minuteDays || usual.minuteDays,
    hourDays: wire?.hourDays || usual.hourDays,
    dayDays: wire?.dayDays || usual.dayDays,
    maxRecords: safeNumber(wire?.maxRecords ?? 0n, "The number of records") || usual.maxRecords,
    maxBytes: safeNumber(wire?.maxBytes ?? 0n, "The number of bytes") || usual.maxBytes,
  };
  const ages = [limits.recordDays, limits.minuteDays, limits.hourDays, limits.dayDays];
  if (ages.some((days) => days > MAX_DAYS)) throw invalid(`Flows are kept for ${MAX_DAYS} days at most.`);
  if (ages.some((days, index) => index > 0 && days < (ages[index - 1] ?? 0))) {
    throw invalid(
      "Coarser sums have to be kept at least as long as finer ones.",
      `Ages are records ${ages[0]}, minutes ${ages[1]}, hours ${ages[2]}, days ${ages[3]}.`,
    );
  }
  if (limits.maxRecords < LEAST_RECORDS)
    throw invalid(`At least ${LEAST_RECORDS.toLocaleString("en")} records are kept.`);
  if (limits.maxBytes < LEAST_BYTES) throw invalid(`At least ${LEAST_BYTES / 1024 ** 2} MiB are kept.`);
  return limits;
}

export function toWireRetention(limits: RetentionLimits): Retention {
  const { recordDays, minuteDays, hourDays, dayDays, maxRecords, maxBytes } = limits;
  return create(RetentionSchema, {
    ...{ recordDays, minuteDays, hourDays, dayDays },
    ...{ maxRecords: BigInt(maxRecords), maxBytes: BigInt(maxBytes) },
  });
}

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
