import type { Client } from "@connectrpc/connect";
import { AuditFormat, type AuditService } from "@wardline/api/wardline/console/v1/audit";

interface AuditFilter {
  readonly hostIds: string[];
  readonly text: string;
  readonly outcome: string;
}

/** Everything that the filter lets through, into the person's downloads. */
export async function exportAudit(
  client: Client<typeof AuditService>,
  filter: AuditFilter,
  format: AuditFormat,
): Promise<void> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const { chunk } of client.exportAudit({ filter, format })) chunks.push(new Uint8Array(chunk));
  const isLines = format === AuditFormat.NDJSON;
  const type = isLines ? "application/x-ndjson" : "text/csv;charset=utf-8";
  const address = URL.createObjectURL(new Blob(chunks, { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `wardline-audit.${isLines ? "ndjson" : "csv"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
