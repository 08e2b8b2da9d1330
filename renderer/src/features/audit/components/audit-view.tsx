import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { useInfiniteQuery } from "@tanstack/react-query";
import {
  AuditFormat,
  AuditService,
  type AuditVerdict,
  type MirroredEntry,
} from "@wardline/api/wardline/console/v1/audit";
import { Download, ScrollText, Search, ShieldCheck } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  ActionMenu,
  Button,
  DataGrid,
  EmptyState,
  FailureNotice,
  formatQuantity,
  type GridColumn,
  Moment,
  Select,
  Skeleton,
  shortDigest,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { exportAudit } from "../model/export-audit.ts";
import { OUTCOMES, outcomeMark, ROLES } from "../model/words.tsx";
import { EntryDetail } from "./entry-detail.tsx";
import { VerdictList } from "./verdict-list.tsx";
import "./audit-view.css";

const PAGE = 200;

const COLUMNS: readonly GridColumn<MirroredEntry>[] = [
  {
    key: "time",
    name: "Time",
    width: "150px",
    show: ({ entry }) => (entry?.time ? <Moment timeMs={timestampMs(entry.time)} form="short" /> : "–"),
    order: ({ entry }) => (entry?.time ? timestampMs(entry.time) : null),
  },
  {
    key: "host",
    name: "Host",
    width: "minmax(90px, 1fr)",
    show: ({ hostName }) => visibleText(hostName),
    order: ({ hostName }) => hostName,
  },
  {
    key: "actor",
    name: "Actor",
    width: "minmax(90px, 1fr)",
    show: ({ entry }) => visibleText(entry?.actor ?? ""),
    order: ({ entry }) => entry?.actor ?? null,
  },
  {
    key: "role",
    name: "Role",
    width: "80px",
    show: ({ entry }) => ROLES[entry?.role ?? 0] ?? "",
    order: ({ entry }) => entry?.role ?? null,
  },
  {
    key: "action",
    name: "Action",
    width: "minmax(110px, 1.2fr)",
    show: ({ entry }) => <code>{visibleText(entry?.action ?? "")}</code>,
    order: ({ entry }) => entry?.action ?? null,
  },
  {
    key: "object",
    name: "Object",
    width: "minmax(120px, 3fr)",
    show: ({ entry }) => visibleText(entry?.detail ?? ""),
    order: ({ entry }) => entry?.detail ?? null,
  },
  {
    key: "outcome",
    name: "Outcome",
    width: "110px",
    show: ({ entry }) => outcomeMark(entry?.outcome ?? ""),
    order: ({ entry }) => entry?.outcome ?? null,
  },
  {
    key: "digest",
    name: "Digest",
    width: "110px",
    show: ({ entry }) => <code className="faint">{shortDigest(entry?.hash ?? "")}</code>,
    order: ({ entry }) => entry?.hash ?? null,
  },
];

/** Who changed what, on every host and with this console, and whether the record of it is whole. */
export default function AuditView() {
  const { connection } = useConsole();
  const [text, setText] = useState("");
  const [outcome, setOutcome] = useState("");
  const [hostId, setHostId] = useState("");
  const [selected, setSelected] = useState<MirroredEntry | null>(null);
  const [verdicts, setVerdicts] = useState<readonly AuditVerdict[] | null>(null);
  const [isVerifying, setVerifying] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const filter = { hostIds: hostId === "" ? [] : [hostId], text: useDeferredValue(text.trim()), outcome };
  const hosts = useQuery(AuditService.method.listAudit, { limit: 1 }).data?.hosts ?? [];
  const pages = useInfiniteQuery({
    queryKey: ["audit", filter],
    initialPageParam: undefined as MirroredEntry | undefined,
    queryFn: ({ pageParam: last, signal }) =>
      connection.audit.listAudit(
        { ...filter, limit: PAGE, ...(last?.entry?.time ? { before: last.entry.time, beforeId: last.id } : {}) },
        { signal },
      ),
    getNextPageParam: ({ entries }) => (entries.length < PAGE ? undefined : entries.at(-1)),
    placeholderData: (before) => before,
  });
  const rows = pages.data?.pages.flatMap(({ entries }) => entries) ?? [];
  const verify = async () => {
    setVerifying(true);
    setFailure(null);
    try {
      setVerdicts((await connection.audit.verifyAudit({})).hosts);
      void pages.refetch();
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setVerifying(false);
    }
  };
  const save = (format: AuditFormat) =>
    exportAudit(connection.audit, filter, format).catch((error: unknown) => setFailure(shownFailure(error)));
  const isFiltered = filter.text !== "" || outcome !== "" || hostId !== "";
  return (
    <div className="audit">
      <header className="audit-head">
        <h1>Audit</h1>
        <TextField
          label="Search the entries"
          isLabelHidden
          placeholder="Actor, action, object, digest…"
          icon={<Search size={14} aria-hidden="true" />}
          value={text}
          onChange={setText}
        />
        <Select
          label="Log"
          isLabelHidden
          value={hostId}
          choices={[
            { value: "", label: "All logs" },
            ...hosts.map((host) => ({ value: host.hostId, label: visibleText(host.hostName) })),
          ]}
          onChange={setHostId}
        />
        <Select label="Outcome" isLabelHidden value={outcome} choices={OUTCOMES} onChange={setOutcome} />
        <span className="top-bar-space" />
        <ActionMenu
          label="Export"
          actions={[
            {
              id: "csv",
              label: "CSV",
              detail: "for spreadsheets, with the hashes",
              run: () => void save(AuditFormat.CSV),
            },
            { id: "ndjson", label: "NDJSON", detail: "one entry a line", run: () => void save(AuditFormat.NDJSON) },
          ]}
        >
          <Button icon={<Download size={14} aria-hidden="true" />}>Export…</Button>
        </ActionMenu>
        <Button
          tone="primary"
          icon={<ShieldCheck size={14} aria-hidden="true" />}
          isDisabled={isVerifying}
          onPress={() => void verify()}
        >
          {isVerifying ? "Verifying…" : "Verify every log"}
        </Button>
      </header>
      {failure ? <FailureNotice failure={failure} isCompact /> : null}
      <VerdictList verdicts={verdicts ?? hosts} isFresh={verdicts !== null} onAccepted={() => void verify()} />
      <div className="audit-body">
        <div className="audit-table">
          {pages.error ? (
            <FailureNotice
              failure={shownFailure(pages.error)}
              title="The entries are not known"
              onRetry={() => void pages.refetch()}
            />
          ) : pages.isPending ? (
            <Skeleton rows={14} label="Reading the audit logs" />
          ) : rows.length === 0 ? (
            <EmptyState
              picture={<ScrollText size={32} />}
              title={isFiltered ? "No entry fits" : "Nothing was changed yet"}
            >
              {isFiltered
                ? "Every entry that this console has seen was looked at."
                : "Each change of a host or of this console makes an entry that hangs on the one before."}
            </EmptyState>
          ) : (
            <DataGrid
              label="Audit entries"
              rows={rows}
              columns={COLUMNS}
              idOf={({ id }) => String(id)}
              selectedId={selected ? String(selected.id) : null}
              marked={null}
              onSelect={(id) => setSelected(rows.find((row) => String(row.id) === id) ?? null)}
            />
          )}
          <footer className="audit-foot soft">
            {formatQuantity(rows.length, "entry", "entries")} here{isFiltered ? " that fit" : ""}
            {pages.hasNextPage ? (
              <Button size="small" isDisabled={pages.isFetchingNextPage} onPress={() => void pages.fetchNextPage()}>
                Read older entries
              </Button>
            ) : null}
          </footer>
        </div>
        {selected ? <EntryDetail row={selected} onClose={() => setSelected(null)} /> : null}
      </div>
    </div>
  );
}
