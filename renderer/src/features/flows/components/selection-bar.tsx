import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { useState } from "react";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatCount } from "../../../ui/index.ts";
import type { ShownColumn } from "../model/columns.ts";
import { MOST_COPIED } from "../model/copy-rows.ts";
import { commonVerdict } from "../model/proposed-flows.ts";
import { CopyMenu } from "./copy-menu.tsx";
import { type ProposalKind, ProposalSheet } from "./proposal-sheet.tsx";

interface SelectionBarProps {
  readonly count: number;
  readonly columns: readonly ShownColumn[];
  /** The chosen rows, in their order, at most so many. @throws ConnectError */
  readonly read: (limit: number, signal: AbortSignal) => Promise<readonly HistoryRecord[]>;
  readonly onClear: () => void;
}

/** Rows that a proposal is looked for in: a hundred different connections may be many more rows. */
const MOST_READ = 10_000;

/** What can be made of several rows at once: a copy, or one rule or test for all of them. */
export function SelectionBar({ count, columns, read, onClear }: SelectionBarProps) {
  const [proposal, setProposal] = useState<{ kind: ProposalKind; items: readonly HistoryRecord[] } | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [note, setNote] = useState("");
  const propose = async (kind: ProposalKind) => {
    setFailure(null);
    setNote("");
    try {
      const items = await read(MOST_READ, AbortSignal.timeout(30_000));
      if (kind === "test" && commonVerdict(recordsOf(items)) === null) {
        setNote("Some of them were allowed and some denied: a test expects one of the two.");
        return;
      }
      setProposal({ kind, items });
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="selection-bar" role="toolbar" aria-label="Chosen rows">
      <strong aria-live="polite">{formatCount(count)} rows chosen</strong>
      <CopyMenu
        columns={columns}
        read={() => read(MOST_COPIED, AbortSignal.timeout(30_000))}
        onProblem={(error) => setFailure(shownFailure(error))}
      />
      <Button size="small" onPress={() => void propose("allow")}>
        Allow them by a rule…
      </Button>
      <Button size="small" onPress={() => void propose("deny")}>
        Deny them by a rule…
      </Button>
      <Button size="small" onPress={() => void propose("test")}>
        Make a test…
      </Button>
      <Button size="small" tone="quiet" onPress={onClear}>
        Clear
      </Button>
      {count > MOST_COPIED ? (
        <span className="soft">
          A copy has the first {formatCount(MOST_COPIED)}, and a rule or a test is made of them; an export has all of
          the list.
        </span>
      ) : null}
      {note ? (
        <span className="flows-losses" role="status">
          {note}
        </span>
      ) : null}
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      {proposal ? (
        <ProposalSheet kind={proposal.kind} flows={recordsOf(proposal.items)} onClose={() => setProposal(null)} />
      ) : null}
    </div>
  );
}

function recordsOf(items: readonly HistoryRecord[]) {
  return items.flatMap(({ record }) => record ?? []);
}
