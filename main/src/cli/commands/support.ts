import { writeFileSync } from "node:fs";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { type PreviewSupportBundleResponse, SupportService } from "@wardline/api/wardline/console/v1/support";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible, visibleLines } from "../terminal/visible.ts";
import type { SupportOptions } from "./support.options.ts";

/** `wardline support bundle`. */
export async function supportBundle(output: Output, options: SupportOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend }) => {
    const client = createClient(
      SupportService,
      createRouterTransport((router) => backend.routes(router)),
    );
    const preview = await client.previewSupportBundle({ plainAddresses: options.plainAddresses });
    const { previewId } = preview;
    if (options.show !== undefined) {
      const { text } = await client.getSupportFile({ previewId, path: options.show });
      if (output.format === "json") output.json({ path: options.show, text });
      else output.text(visibleLines(text));
      return EXIT.done;
    }
    report(output, preview, options.output ?? null);
    if (options.output === undefined) return EXIT.done;
    const chunks: Uint8Array[] = [];
    for await (const { chunk } of client.downloadSupportBundle({ previewId })) chunks.push(chunk);
    write(options.output, Buffer.concat(chunks));
    output.note(`Written to ${visible(options.output)}.`);
    return EXIT.done;
  });
}

function report(output: Output, preview: PreviewSupportBundleResponse, writtenTo: string | null): void {
  const files = preview.files.map(({ path, about, sizeBytes, redactions }) => ({
    path,
    about,
    sizeBytes: Number(sizeBytes),
    redactions: redactions.map(({ kind, count }) => ({ kind, count })),
  }));
  if (output.format === "json") {
    output.json({ files, missing: preview.missing, neverIncluded: preview.neverIncluded, writtenTo });
    return;
  }
  output.text(
    formatTable(
      ["FILE", "BYTES", "TAKEN OUT", "WHAT IT IS"],
      files.map(({ path, about, sizeBytes, redactions }) => [
        path,
        String(sizeBytes),
        redactions.map(({ kind, count }) => `${count} × ${kind}`).join(", ") || "nothing",
        about,
      ]),
    ),
  );
  for (const sentence of [...preview.neverIncluded, ...preview.missing]) output.note(visible(sentence));
  if (writtenTo === null)
    output.note("Nothing was written. Look at a file with --show PATH, and write the bundle with --output FILE.");
}

/** Never over a file that is there. */
function write(path: string, content: Uint8Array): void {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw new UsageError(
      `The bundle could not be written: ${error instanceof Error ? error.message : String(error)}.`,
      "Name a file that does not exist yet.",
    );
  }
}
