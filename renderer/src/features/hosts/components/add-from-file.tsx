import type { ReadInventoryResponse } from "@wardline/api/wardline/console/v1/fleet";
import { Severity } from "@wardline/api/wardline/v1/error";
import { FileText } from "lucide-react";
import { useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatQuantity, Notice, Tag, visibleText } from "../../../ui/index.ts";
import { accessText } from "../model/access-text.ts";

const LARGEST_FILE_BYTES = 1024 * 1024;

interface Read {
  readonly name: string;
  readonly answer: ReadInventoryResponse;
}

/** What a dropped inventory would add, before it does. */
export function AddFromFile({ onAdded }: { onAdded: (hostIds: readonly string[]) => void }) {
  const { connection } = useConsole();
  const [read, setRead] = useState<Read | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isOver, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const take = async (file: File | undefined) => {
    if (!file) return;
    setFailure(null);
    setRead(null);
    if (file.size > LARGEST_FILE_BYTES) {
      const message = `${file.name} is larger than 1 MiB; no inventory is.`;
      setFailure({ code: "TOO_LARGE", message, hint: "", retryable: false, diagnostics: [] });
      return;
    }
    try {
      const text = await file.text();
      setRead({ name: file.name, answer: await connection.fleet.readInventory({ name: file.name, text }) });
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const entries = read?.answer.entries ?? [];
  const added = entries.filter((entry) => !entry.known);
  const hasErrors = read?.answer.diagnostics.some(({ severity }) => severity === Severity.ERROR) ?? false;
  const add = async () => {
    setFailure(null);
    const hosts = added.map(({ alias, access, groups, labels, environment }) => ({
      alias,
      groups,
      labels,
      ...(access ? { access } : {}),
      ...(environment ? { environment } : {}),
    }));
    try {
      onAdded((await connection.fleet.addHosts({ hosts })).hostIds);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <section className="add-section" aria-label="Add hosts from an inventory">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is a second way; the button inside is the first. */}
      <div
        className="add-drop"
        data-over={isOver ? "" : undefined}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          event.stopPropagation();
          setOver(false);
          void take(event.dataTransfer.files[0]);
        }}
      >
        <FileText size={22} aria-hidden="true" />
        <p>Drop an inventory file here</p>
        <input
          ref={picker}
          type="file"
          className="visually-hidden"
          tabIndex={-1}
          aria-label="Inventory file"
          accept=".yaml,.yml,.ini,.txt,.cfg,.hosts,.json"
          onChange={(event) => {
            void take(event.target.files?.[0]);
            event.target.value = "";
          }}
        />
        <Button onPress={() => picker.current?.click()}>Choose a file</Button>
      </div>
      {failure ? <FailureNotice failure={failure} title="It cannot be taken" /> : null}
      {read ? (
        <>
          <p>
            <strong className="wrap-anywhere">{visibleText(read.name)}</strong>{" "}
            <Tag tone="info">{visibleText(read.answer.format)}</Tag>{" "}
            <span className="soft">
              {formatQuantity(added.length, "new host")}, {entries.length - added.length} known
            </span>
          </p>
          {read.answer.diagnostics.slice(0, 50).map((diagnostic) => (
            <Notice
              key={`${diagnostic.code}:${diagnostic.source?.line}:${diagnostic.source?.column}:${diagnostic.message}`}
              tone={diagnostic.severity === Severity.ERROR ? "deny" : "observed"}
            >
              <span>
                {diagnostic.source ? <code>line {diagnostic.source.line}</code> : null}{" "}
                {visibleText(diagnostic.message)}
              </span>
            </Notice>
          ))}
          <table className="add-table">
            <thead>
              <tr>
                <th scope="col">Host</th>
                <th scope="col">Reached as</th>
                <th scope="col">Groups</th>
                <th scope="col">Labels</th>
              </tr>
            </thead>
            <tbody>
              {entries.slice(0, 500).map((entry) => (
                <tr key={`${entry.line}:${entry.alias}`}>
                  <td className="wrap-anywhere">
                    {visibleText(entry.alias)} {entry.known ? <Tag>known</Tag> : null}
                  </td>
                  <td className="wrap-anywhere">
                    <code>{accessText(entry.access)}</code>
                  </td>
                  <td className="wrap-anywhere">{entry.groups.map(visibleText).join(", ")}</td>
                  <td className="wrap-anywhere">
                    <code>
                      {Object.entries(entry.labels)
                        .map(([key, value]) => visibleText(`${key}=${value}`))
                        .join(" ")}
                    </code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {entries.length > 500 ? <p className="soft">and {entries.length - 500} more</p> : null}
          <div className="add-line">
            <span className="soft" role="status">
              {hasErrors ? "Mend the errors in the file first: an inventory is taken whole or not at all." : ""}
            </span>
            <Button tone="primary" isDisabled={hasErrors || added.length === 0} onPress={() => void add()}>
              Add {formatQuantity(added.length, "host")}
            </Button>
          </div>
        </>
      ) : null}
    </section>
  );
}
