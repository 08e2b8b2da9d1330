/** `wardline policy watch [PREFIX]` */
import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { WatchDocumentsResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { type DocumentVersion, DocumentVersionSchema } from "@wardline/api/wardline/v1/cluster";
import { bounded, withTexts } from "../../backend/cluster/cluster-calls.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { formatRow } from "../terminal/table.ts";
import type { ClusterOptions } from "./cluster.options.ts";
import { untilInterrupted, withCluster } from "./cluster-target.ts";

const HEADER = ["WRITTEN", "DOCUMENT", "VERSION", "SET", "", "AUTHOR", "REASON"];
const WIDTHS = [24, 36, 7, 5, 8, 24, 0];

/** First what there is, then each change. After a break it goes on behind the newest set that was seen. */
export async function policyWatch(output: Output, options: ClusterOptions, keyPrefix: string): Promise<ExitCode> {
  return withCluster(options, async ({ read }) => {
    let afterSetNumber = 0n;
    if (output.format === "text") output.text(`${output.style.dim(formatRow(HEADER, WIDTHS))}\n`);
    await untilInterrupted(output.note, (signal) =>
      read(async (client) => {
        for await (const message of client.watchDocuments({ keyPrefix, afterSetNumber }, { signal })) {
          const { documents } = withTexts(message.documents, () => bounded(WatchDocumentsResponseSchema, message));
          // A snapshot after a break repeats what was shown.
          for (const each of documents) if (each.setNumber > afterSetNumber) show(output, each);
          const newest = message.head?.setNumber ?? 0n;
          const isWhole = !message.snapshot || message.snapshotComplete;
          if (isWhole && newest > afterSetNumber) afterSetNumber = newest;
        }
      }),
    );
    return EXIT.done;
  });
}

function show(output: Output, document: DocumentVersion): void {
  if (output.format === "json") {
    process.stdout.write(`${JSON.stringify(toJson(DocumentVersionSchema, document))}\n`);
    return;
  }
  const { key, version, setNumber, deleted, author, reason, writtenAt } = document;
  const time = writtenAt ? timestampDate(writtenAt).toISOString() : "";
  const row = [time, key, String(version), String(setNumber), deleted ? "deleted" : "", author, reason];
  output.text(`${formatRow(row, WIDTHS)}\n`);
}
