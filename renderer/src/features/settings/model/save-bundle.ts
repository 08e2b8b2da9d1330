import type { Client } from "@connectrpc/connect";
import type { PreviewSupportBundleResponse, SupportService } from "@wardline/api/wardline/console/v1/support";

/** Fetches the archive of exactly what was shown, and hands it to the person's downloads. */
export async function saveBundle(
  client: Client<typeof SupportService>,
  { previewId, fileName }: PreviewSupportBundleResponse,
): Promise<void> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const { chunk } of client.downloadSupportBundle({ previewId })) chunks.push(new Uint8Array(chunk));
  saveFile(new Blob(chunks, { type: "application/gzip" }), fileName);
}

function saveFile(content: Blob, fileName: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = fileName;
  link.click();
  // The download has begun by then; the copy in memory is not needed any longer.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
