/** `wardline anomaly watch` */
import { toJson } from "@bufbuild/protobuf";
import { AnomalySchema } from "@wardline/api/wardline/console/v1/anomalies";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import type { AnomalyOptions } from "./anomaly.options.ts";
import { hostsOf } from "./anomaly.ts";
import { formatFindings } from "./anomaly-view.ts";

const LONGEST_WAIT_MS = 60_000;
const BATCH = 500;

/** What comes or changes from now on. JSON is one finding a line. */
export async function anomalyWatch(output: Output, options: AnomalyOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { registry, services } = session.backend;
    const hostIds = await hostsOf(output, session, options);
    const ending = new AbortController();
    const end = () => ending.abort();
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
    const { feed } = services.anomalies;
    const hosts = registry.select(hostIds);
    const following = hosts.map((host) => services.anomalies.follow(host, ending.signal));
    let position = feed.revision();
    output.note(`Waiting for findings of ${hosts.length === 1 ? "1 host" : `${hosts.length} hosts`}.`);
    try {
      while (!ending.signal.aborted) {
        const seen = feed.changes.version;
        const changed = feed.changedSince(position, BATCH);
        position = changed.at(-1)?.revision ?? position;
        const shown = changed.filter(({ hostId }) => hostIds.length === 0 || hostIds.includes(hostId));
        for (const { hostId, finding } of shown) {
          const anomaly = { $typeName: "wardline.console.v1.Anomaly", hostId, finding } as const;
          if (output.format === "json") output.json(toJson(AnomalySchema, anomaly));
          else output.text(formatFindings([anomaly], output.style).split("\n").slice(1).join("\n"));
        }
        if (changed.length < BATCH) await feed.changes.wait(seen, LONGEST_WAIT_MS, ending.signal);
      }
    } finally {
      process.off("SIGINT", end);
      process.off("SIGTERM", end);
      await Promise.allSettled(following);
    }
    return EXIT.done;
  });
}
