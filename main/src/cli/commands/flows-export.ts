import { once } from "node:events";
import { ExportFormat } from "@wardline/api/wardline/console/v1/history";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { typedQuery } from "../input/flow-query.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import type { FlowsExportOptions } from "./flows.options.ts";
import { fetchNewest, untilStopped } from "./flows-fetch.ts";

const OTLP_ONLY = ["follow", "otlpHeaders", "otlpCa", "otlpCert", "otlpKey"] as const;

/** `wardline flows export`: lines of JSON or CSV on standard output, or to a collector. Exit code 1 when it was cut short. */
export async function flowsExport(
  output: Output,
  options: FlowsExportOptions,
  words: readonly string[],
): Promise<ExitCode> {
  if (options.columns !== undefined && !options.csv) throw new UsageError("--columns are those of --csv.");
  if (options.otlp !== undefined) {
    if (options.csv) throw new UsageError("--otlp and --csv are two different exports.");
    const { exportOtlp } = await import("./flows-export-otlp.ts");
    return exportOtlp(output, { ...options, otlp: options.otlp }, words);
  }
  const lonely = OTLP_ONLY.find((name) => options[name] !== undefined && options[name] !== false);
  if (lonely !== undefined) throw new UsageError("That is an option of --otlp; lines of JSON need none of it.");
  return withSession(options, { collectFlows: true }, async (session) => {
    const query = await typedQuery(output, session, words, options.since);
    await fetchNewest(session, options);
    const isInterrupted = await untilStopped(async (signal) => {
      const columns = options.columns?.split(",").map((name) => name.trim()) ?? [];
      const format = options.csv ? ExportFormat.CSV : ExportFormat.NDJSON;
      const request = { query, limit: BigInt(options.limit), format, columns };
      for await (const { ndjson } of session.history.exportRecords(request, { signal })) {
        // A slow reader is waited for; nothing piles up here.
        if (ndjson.length > 0 && !process.stdout.write(ndjson)) await once(process.stdout, "drain");
      }
    });
    if (!isInterrupted) return EXIT.done;
    output.note(
      options.csv
        ? "Interrupted: the file has not every record."
        : "Interrupted: the last line, which counts the others, is missing.",
    );
    return EXIT.problems;
  });
}
