import { useQuery } from "@connectrpc/connect-query";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { useDeferredValue, useState } from "react";
import { shownFailure } from "../../../data/failure.ts";
import { Button, EmptyState, FailureNotice, Sheet, Skeleton, TextField } from "../../../ui/index.ts";
import { ReceiptList } from "../../ship/index.ts";
import { KeepVersion } from "./keep-version.tsx";
import { VersionDetail } from "./version-detail.tsx";
import { VersionItem } from "./version-item.tsx";
import "./history-sheet.css";
import "./history.css";

/** Versions with author, reason and ticket, searched; each against any other by text and by meaning. */
export function HistorySheet({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Sheet
      shape="drawer"
      title="History"
      isOpen={isOpen}
      onClose={onClose}
      subtitle={
        <span className="soft">
          Every version that was applied, imported, kept or restored. Restoring adds a version, it never erases one.
        </span>
      }
    >
      <HistoryBody />
    </Sheet>
  );
}

const STEP = 100;

function HistoryBody() {
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState(STEP);
  const text = useDeferredValue(search.trim());
  const versions = useQuery(
    VersionService.method.searchVersions,
    { text, limit },
    { staleTime: 0, placeholderData: (old) => old },
  );
  const receipts = useQuery(ShipService.method.listReceipts, { limit: 100 }, { staleTime: 0 });
  const [chosen, setChosen] = useState<bigint | null>(null);
  const list = versions.data?.versions ?? [];
  const shown = list.find(({ number }) => number === chosen) ?? list[0] ?? null;
  if (versions.isPending) return <Skeleton label="Reading the history" />;
  if (versions.error) {
    return (
      <div className="sheet-form">
        <FailureNotice failure={shownFailure(versions.error)} onRetry={() => void versions.refetch()} />
      </div>
    );
  }
  if (!shown && text === "")
    return (
      <EmptyState picture={null} title="No versions yet" action={<KeepVersion />}>
        A version is kept each time the workspace is applied, imported or restored, and whenever you keep one.
      </EmptyState>
    );
  return (
    <div className="versions">
      <div className="versions-list scroll">
        <KeepVersion />
        <TextField
          label="Search"
          value={search}
          onChange={setSearch}
          placeholder="author, ticket, reason, text of a file"
        />
        <h3>Versions</h3>
        {list.length === 0 ? <p className="soft">No version says “{text}”.</p> : null}
        <ul>
          {list.map((version) => (
            <li key={String(version.number)}>
              <VersionItem version={version} isChosen={version === shown} onChoose={() => setChosen(version.number)} />
            </li>
          ))}
        </ul>
        {versions.data?.hasMore && limit < 500 ? (
          <Button size="small" onPress={() => setLimit(limit + STEP)}>
            Older versions
          </Button>
        ) : null}
        <h3>Receipts</h3>
        {receipts.error ? (
          <FailureNotice isCompact failure={shownFailure(receipts.error)} />
        ) : (
          <ReceiptList receipts={receipts.data?.receipts ?? []} />
        )}
      </div>
      {shown ? <VersionDetail key={String(shown.number)} version={shown} list={list} /> : null}
    </div>
  );
}
