/** `wardline note list|set` */
import { text as readStream } from "node:stream/consumers";
import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { NoteSchema } from "@wardline/api/wardline/console/v1/cluster";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { visible, visibleLines } from "../terminal/visible.ts";
import type { ClusterOptions } from "./cluster.options.ts";
import { withCluster } from "./cluster-target.ts";

export async function noteList(output: Output, options: ClusterOptions): Promise<ExitCode> {
  return withCluster(options, async ({ session, clusterName }) => {
    const { clusters } = await session.backend.notes.fetch(clusterName);
    const notes = clusters.find((each) => each.clusterName === clusterName)?.notes ?? [];
    if (output.format === "json") output.json({ notes: notes.map((note) => toJson(NoteSchema, note)) });
    else if (notes.length === 0) output.text("There are no notes.\n");
    for (const { subject, text, author, editedAt } of output.format === "json" ? [] : notes) {
      const time = editedAt ? timestampDate(editedAt).toISOString() : "";
      output.text(`${output.style.bold(visible(subject))}  ${output.style.dim(visible(`${author} ${time}`))}\n`);
      output.text(`  ${visibleLines(text).replaceAll("\n", "\n  ")}\n`);
    }
    return EXIT.done;
  });
}

export async function noteSet(
  output: Output,
  options: ClusterOptions,
  subject: string,
  given: string,
): Promise<ExitCode> {
  requireChangesAllowed();
  const text = given === "-" ? (await readStream(process.stdin)).replace(/\r?\n$/, "") : given;
  return withCluster(options, async ({ clusters, clusterName }) => {
    await clusters.setNote({ clusterName, subject, text });
    if (output.format === "json") output.json({ subject });
    else output.text(text === "" ? "The note is removed.\n" : `Noted about ${visible(subject)}.\n`);
    return EXIT.done;
  });
}
