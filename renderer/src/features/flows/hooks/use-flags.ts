import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { useMemo } from "react";
import { useActivity } from "../../../data/context.tsx";
import { type Flags, flagsOf } from "../model/flags.ts";

export interface FlagOf {
  /** The sentence of the finding that the row is evidence of. */
  (item: HistoryRecord): string | undefined;
  readonly findingOf: Flags["findingOf"];
}

/** Which rows are evidence of a finding that nobody has called normal. */
export function useFlags(): FlagOf {
  const { anomalies } = useActivity();
  return useMemo(() => {
    const flags = flagsOf(anomalies);
    return Object.assign((item: HistoryRecord) => flags.findingOf(item)?.sentence, { findingOf: flags.findingOf });
  }, [anomalies]);
}
