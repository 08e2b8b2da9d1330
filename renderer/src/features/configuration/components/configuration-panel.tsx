import { createClient } from "@connectrpc/connect";
import { useQuery } from "@connectrpc/connect-query";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { useMemo, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatQuantity, visibleText } from "../../../ui/index.ts";
import { ImportConfigurationSheet } from "./import-configuration-sheet.tsx";
import "./configuration.css";

/** The whole configuration out of this console as one signed file, and into it with a preview. For Settings. */
export function ConfigurationPanel() {
  const { connection } = useConsole();
  const client = useMemo(() => createClient(ConfigurationService, connection.transport), [connection]);
  const keys = useQuery(ConfigurationService.method.getConfigurationKeys, {}, { staleTime: 0 });
  const input = useRef<HTMLInputElement>(null);
  const [archive, setArchive] = useState<Uint8Array | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [written, setWritten] = useState("");
  const exportAll = async () => {
    try {
      const { archive: bytes, fileName, parts } = await client.exportConfiguration({});
      save(fileName, bytes);
      setWritten(`${fileName}: ${parts.map(({ name, count }) => `${count} ${name}`).join(", ")}`);
      setFailure(null);
      await keys.refetch();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const picked = async (event: React.ChangeEvent<HTMLInputElement>) => {
    const [file] = event.target.files ?? [];
    event.target.value = "";
    if (file) setArchive(new Uint8Array(await file.arrayBuffer()));
  };
  const { own, trusted = [] } = keys.data ?? {};
  return (
    <section className="configuration-panel" aria-label="Whole configuration">
      <h2>Whole configuration</h2>
      <p className="soft">
        Policies, inventory, tests, hosts and groups, alert rules, saved views and settings of the fleet, as one signed
        archive of plain text. No secrets are in it.
      </p>
      <div className="configuration-buttons">
        <Button onPress={() => void exportAll()}>Export…</Button>
        <Button onPress={() => input.current?.click()}>Import…</Button>
        <input
          ref={input}
          type="file"
          hidden
          accept=".tar"
          aria-label="Archive to import"
          onChange={(event) => void picked(event)}
        />
      </div>
      {written === "" ? null : <p role="status">Exported {visibleText(written)}</p>}
      {failure ? <FailureNotice failure={failure} /> : null}
      <p className="soft wrap-anywhere">
        {own?.fingerprint ? (
          <>
            The key of this console is <code>{own.fingerprint}</code>
          </>
        ) : (
          "This console has no key yet; the first export makes one."
        )}
        {trusted.length > 0 ? `; ${formatQuantity(trusted.length, "other key")} known` : ""}
      </p>
      <ImportConfigurationSheet archive={archive} onClose={() => setArchive(null)} />
    </section>
  );
}

function save(fileName: string, content: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([content.slice()], { type: "application/x-tar" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
