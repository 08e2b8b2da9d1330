import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { ExplainBasis, PolicyService } from "@wardline/api/wardline/console/v1/policies";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { X } from "lucide-react";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { flowVerdict } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatAge,
  IconButton,
  Moment,
  Skeleton,
  VERDICT_WORDS,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { Walkthrough } from "../../policies/index.ts";
import { QuarantineSheet } from "../../quarantine/index.ts";
import type { FlagOf } from "../hooks/use-flags.ts";
import { COLUMN_NAMES, COLUMNS } from "../model/columns.ts";
import { cellOf, timeOf } from "../model/record-view.ts";
import { CopyMenu } from "./copy-menu.tsx";
import { FindingNote } from "./finding-note.tsx";
import { type ProposalKind, ProposalSheet } from "./proposal-sheet.tsx";

interface RecordInspectorProps {
  readonly item: HistoryRecord;
  readonly flagOf: FlagOf;
  readonly onClose: () => void;
  readonly onAsk: (text: string) => void;
}

/** Everything that is known of one record, and what can be made of it. */
export function RecordInspector({ item, flagOf, onClose, onAsk }: RecordInspectorProps) {
  const nowMs = useConsoleNow();
  const openFile = useWindow((state) => state.openFile);
  const [proposal, setProposal] = useState<ProposalKind | null>(null);
  const [isCutting, setCutting] = useState(false);
  const { record } = item;
  if (!record) return null;
  const timeMs = timeOf(record);
  const source = record.decision?.source;
  const verdict = flowVerdict(record);
  return (
    <aside className="inspector scroll" aria-label="Record details" tabIndex={-1}>
      <header className="inspector-header">
        <h2>
          <VerdictMark verdict={verdict} />
        </h2>
        <IconButton label="Close the details" keys="Esc" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      <p className="wrap-anywhere">{visibleText(record.decision?.summary || "The host did not say what decided.")}</p>
      {source?.file ? (
        <Button onPress={() => openFile(source.file, source.line, source.column)}>
          {visibleText(source.file)}:{source.line}
        </Button>
      ) : null}
      <FindingNote finding={flagOf.findingOf(item)} />
      <Actions
        item={item}
        record={record}
        onAsk={onAsk}
        onPropose={setProposal}
        onQuarantine={() => setCutting(true)}
      />
      <dl className="facts inspector-facts">
        <dt>Seen</dt>
        <dd>
          {timeMs === null ? (
            "unknown"
          ) : (
            <>
              <Moment timeMs={timeMs} form="full" /> · {formatAge(nowMs - timeMs)} ago
            </>
          )}
        </dd>
        {COLUMN_NAMES.filter((name) => name !== "when" && name !== "verdict").map((name) => {
          const { text, detail, isFaint, isCode } = cellOf(item, name as Parameters<typeof cellOf>[1]);
          return (
            <div key={name} className="fact-line">
              <dt>{COLUMNS[name as keyof typeof COLUMNS].title}</dt>
              <dd className={isFaint ? "wrap-anywhere faint" : "wrap-anywhere"}>
                {isCode ? <code>{visibleText(text)}</code> : visibleText(text)}
                {detail ? <code className="faint"> {visibleText(detail)}</code> : null}
              </dd>
            </div>
          );
        })}
      </dl>
      <ThenAndNow record={record} />
      {proposal ? <ProposalSheet kind={proposal} flows={[record]} onClose={() => setProposal(null)} /> : null}
      {isCutting ? (
        <QuarantineSheet
          hostId={item.hostId}
          host={item.host}
          subjectKey={record.subjectKey}
          reason={`Seen in flows: ${record.decision?.summary ?? ""}`}
          onClose={() => setCutting(false)}
        />
      ) : null}
    </aside>
  );
}

interface ActionsProps {
  readonly item: HistoryRecord;
  readonly record: FlowRecord;
  readonly onAsk: (text: string) => void;
  readonly onPropose: (kind: ProposalKind) => void;
  readonly onQuarantine: () => void;
}

function Actions({ item, record, onAsk, onPropose, onQuarantine }: ActionsProps) {
  const port = record.protocol === 1 || record.protocol === 58 ? "" : ` port:${record.destinationPort}`;
  const others = `dst:${record.destinationAddress}${port} -src:${record.sourceAddress}`;
  return (
    <div className="record-actions">
      <Button size="small" tone="primary" onPress={() => onPropose(flowVerdict(record) === "allow" ? "deny" : "allow")}>
        {flowVerdict(record) === "allow" ? "Deny it by a rule…" : "Allow it by a rule…"}
      </Button>
      <Button size="small" onPress={() => onPropose("test")}>
        Make a test…
      </Button>
      {record.destinationAddress && record.sourceAddress ? (
        <Button size="small" onPress={() => onAsk(others)}>
          Who else?
        </Button>
      ) : null}
      <CopyMenu read={() => Promise.resolve([item])} />
      <Button size="small" onPress={onQuarantine}>
        Quarantine…
      </Button>
    </div>
  );
}

/** What was decided then, beside what the policies say now. */
function ThenAndNow({ record }: { record: FlowRecord }) {
  const [basis, setBasis] = useState<ExplainBasis | null>(null);
  const now = useQuery(
    PolicyService.method.explain,
    basis === null
      ? skipToken
      : {
          from: record.sourceAddress || record.subjectKey,
          to: record.destinationAddress || record.subjectKey,
          protocol: record.protocol,
          port: record.destinationPort,
          basis,
        },
    { gcTime: 0 },
  );
  const then = VERDICT_WORDS[flowVerdict(record)];
  return (
    <section className="inspector-walkthrough" aria-label="Then and now">
      <div className="inspector-ask">
        <Button size="small" onPress={() => setBasis(ExplainBasis.ENFORCED)}>
          And as enforced now?
        </Button>
        <Button size="small" onPress={() => setBasis(ExplainBasis.WORKSPACE)}>
          And with the draft?
        </Button>
      </div>
      {now.isFetching ? <Skeleton rows={3} label="Walking through the policies" /> : null}
      {now.error && !now.isFetching ? (
        <FailureNotice isCompact failure={shownFailure(now.error)} onRetry={() => void now.refetch()} />
      ) : null}
      {now.data?.evaluation && !now.isFetching ? (
        <Walkthrough
          evaluation={now.data.evaluation}
          title={`${visibleText(now.data.fromAddress)} → ${visibleText(now.data.toAddress)}`}
          basis={`now, ${basis === ExplainBasis.ENFORCED ? "as enforced" : "with the draft"}; then it was ${then}, by generation ${record.generation}`}
        />
      ) : null}
    </section>
  );
}
