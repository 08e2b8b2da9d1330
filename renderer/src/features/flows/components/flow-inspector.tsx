import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import { ExplainBasis, PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { type Flow, FlowEventKind, FlowHook, type FlowProcess } from "@wardline/api/wardline/v1/flow";
import { DecisionReason, Direction } from "@wardline/api/wardline/v1/policy";
import { Filter, FilterX, X } from "lucide-react";
import { useState } from "react";
import { useConsoleNow, useHostsStream } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { flowVerdict, type LiveFlow, type VerdictKind } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatAddressPort,
  formatAge,
  formatBytes,
  formatProtocolPort,
  formatQuantity,
  IconButton,
  Moment,
  Skeleton,
  shortKey,
  VERDICT_WORDS,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { Walkthrough } from "../../policies/index.ts";
import { QuarantineSheet } from "../../quarantine/index.ts";
import type { FlagOf } from "../hooks/use-flags.ts";
import type { ColumnName } from "../model/columns.ts";
import { hasChosenSource, recordOfFlow } from "../model/live-record.ts";
import { cellOf } from "../model/record-view.ts";
import { CopyMenu } from "./copy-menu.tsx";
import { FindingNote } from "./finding-note.tsx";
import { type ProposalKind, ProposalSheet } from "./proposal-sheet.tsx";

const REASONS: Record<DecisionReason, string> = {
  [DecisionReason.UNSPECIFIED]: "not known",
  [DecisionReason.RULE]: "a rule matched",
  [DecisionReason.ISOLATED]: "isolated, and no rule allows it",
  [DecisionReason.NOT_ISOLATED]: "no policy isolates this direction",
  [DecisionReason.BUILTIN]: "decided before any policy",
};

/** Where the host met the packet, in words. */
const HOOKS: Record<FlowHook, (verdict: VerdictKind) => string> = {
  [FlowHook.UNSPECIFIED]: () => "not known",
  [FlowHook.SOCKET]: () => "at the socket",
  [FlowHook.CONNECT]: (verdict) =>
    verdict === "observed" ? "at connect(), which would have been refused" : "refused at connect()",
  [FlowHook.EDGE]: () => "closed port, ICMP or forwarded: no socket here",
};

interface FlowInspectorProps {
  readonly flow: LiveFlow;
  readonly flagOf: FlagOf;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  readonly onClose: () => void;
}

/** Everything that is known about one flow, with the way to the line that decided it. */
export function FlowInspector({ flow, flagOf, onCondition, onClose }: FlowInspectorProps) {
  const [isCutting, setCutting] = useState(false);
  const [proposal, setProposal] = useState<ProposalKind | null>(null);
  const nowMs = useConsoleNow();
  const openFile = useWindow((state) => state.openFile);
  const verdict = flowVerdict(flow);
  const { decision } = flow;
  const source = decision?.source;
  const timeMs = flow.time ? timestampMs(flow.time) : null;
  return (
    <aside className="inspector scroll" aria-label="Flow details" tabIndex={-1}>
      <header className="inspector-header">
        <h2>
          <VerdictMark verdict={verdict} />
        </h2>
        <IconButton label="Close the details" keys="Esc" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      <p className="wrap-anywhere">{visibleText(decision?.summary ?? "The host did not say what decided.")}</p>
      <FindingNote finding={flagOf.findingOf(recordOfFlow(flow))} />
      <div className="record-actions">
        <Button size="small" tone="primary" onPress={() => setProposal(verdict === "allow" ? "deny" : "allow")}>
          {verdict === "allow" ? "Deny it by a rule…" : "Allow it by a rule…"}
        </Button>
        <Button size="small" onPress={() => setProposal("test")}>
          Make a test…
        </Button>
        <CopyMenu read={async () => [recordOfFlow(flow)]} />
        <Button size="small" onPress={() => setCutting(true)}>
          Quarantine…
        </Button>
      </div>
      {proposal ? <ProposalSheet kind={proposal} flows={[flow]} onClose={() => setProposal(null)} /> : null}
      {isCutting ? (
        <QuarantineSheet
          hostId={flow.host}
          host={flow.host}
          subjectKey={flow.subjectKey}
          reason={`Seen in flows: ${decision?.summary ?? ""}`}
          onClose={() => setCutting(false)}
        />
      ) : null}
      {verdict === "observed" ? (
        <p className="inspector-observed">The policy denies it; the host let it pass because it only observes.</p>
      ) : null}
      {source?.file ? (
        <Button onPress={() => openFile(source.file, source.line, source.column)}>
          {visibleText(source.file)}:{source.line}
        </Button>
      ) : null}
      <dl className="facts inspector-facts">
        <dt>Time</dt>
        <dd>
          {timeMs === null ? (
            "unknown"
          ) : (
            <>
              <Moment timeMs={timeMs} form="full" /> · {formatAge(nowMs - timeMs)} ago
            </>
          )}
        </dd>
        <dt>Host</dt>
        <dd className="wrap-anywhere">{visibleText(flow.host)}</dd>
        <dt>Direction</dt>
        <dd>{flow.direction === Direction.INGRESS ? "incoming" : "outgoing"}</dd>
        <dt>From</dt>
        <dd className="wrap-anywhere">
          {nameText(flow.sourceName || flow.sourceDisplayName)}
          {hasChosenSource(flow) ? (
            <code>{formatAddressPort(flow.sourceAddress, flow.sourcePort)}</code>
          ) : (
            <span className="faint">no address chosen yet</span>
          )}
        </dd>
        <dt>To</dt>
        <dd className="wrap-anywhere">
          {nameText(flow.destinationName || flow.destinationDisplayName)}
          <code>{visibleText(flow.destinationAddress)}</code>
        </dd>
        <dt>Port</dt>
        <dd>{formatProtocolPort(flow.protocol, flow.destinationPort)}</dd>
        <dt>Subject</dt>
        <dd className="wrap-anywhere">
          {flow.subjectKey ? visibleText(shortKey(flow.subjectKey)) : "nobody in the inventory"}
        </dd>
        <ProcessFacts process={flow.process} />
        <dt>Process group</dt>
        <dd className="wrap-anywhere">
          {flow.cgroupPath ? (
            <code>{visibleText(flow.cgroupPath)}</code>
          ) : (
            <span className="faint">gone or unknown</span>
          )}
        </dd>
        <dt>Met</dt>
        <dd>{HOOKS[flow.hook](verdict)}</dd>
        <dt>Why</dt>
        <dd>{REASONS[decision?.reason ?? DecisionReason.UNSPECIFIED]}</dd>
        <dt>Generation</dt>
        <dd>{String(flow.generation)}</dd>
        <dt>{flow.kind === FlowEventKind.END ? "In all, ended" : "So far"}</dt>
        <dd>
          {flow.hook === FlowHook.CONNECT
            ? "no packet was made"
            : `${formatQuantity(flow.packets, "packet")}, ${formatBytes(flow.bytes)}`}
        </dd>
        <RuleCounter hostName={flow.host} decisionId={decision?.id ?? ""} />
      </dl>
      <FilterButtons flow={flow} onCondition={onCondition} />
      <FlowWalkthrough flow={flow} />
    </aside>
  );
}

function ProcessFacts({ process }: { process: FlowProcess | undefined }) {
  if (!process) {
    return (
      <>
        <dt>Process</dt>
        <dd className="faint">not known</dd>
      </>
    );
  }
  return (
    <>
      <dt>Process</dt>
      <dd className="wrap-anywhere">
        {visibleText(process.command || "without a name")} <span className="faint">pid</span> <code>{process.pid}</code>
      </dd>
      <dt>Program</dt>
      <dd className="wrap-anywhere">
        {process.executable ? (
          <code>{visibleText(process.executable)}</code>
        ) : (
          <span className="faint">gone before it could be asked</span>
        )}
      </dd>
      <dt>User</dt>
      <dd className="wrap-anywhere">
        {process.userName ? `${visibleText(process.userName)} ` : ""}
        <code>{process.userId}</code>
      </dd>
    </>
  );
}

function RuleCounter({ hostName, decisionId }: { hostName: string; decisionId: string }) {
  const nowMs = useConsoleNow();
  const hosts = useHostsStream().value?.hosts ?? [];
  const host = hosts.find((candidate) => candidate.name === hostName || candidate.id === hostName);
  const counter = host?.status?.counters.find((candidate) => candidate.decisionId === decisionId);
  if (!counter) return null;
  return (
    <>
      <dt>This rule</dt>
      <dd>
        {formatQuantity(counter.packets, "packet")}, {formatBytes(counter.bytes)} in all
        {counter.lastSeen ? `, last ${formatAge(nowMs - timestampMs(counter.lastSeen))} ago` : ""}
      </dd>
    </>
  );
}

const FILTERED: readonly ColumnName[] = ["peer", "subject", "port", "policy", "process", "user"];

/** What the cells of the row offer, by keyboard. */
function FilterButtons({ flow, onCondition }: Pick<FlowInspectorProps, "flow" | "onCondition">) {
  const item = recordOfFlow(flow);
  return (
    <section className="inspector-filters" aria-label="Filter by these values">
      {FILTERED.map((name) => {
        const { term } = cellOf(item, name);
        return term === undefined ? null : (
          <div key={name} className="inspector-filter">
            <code className="truncate">{visibleText(term)}</code>
            <IconButton label={`Show only ${term}`} onPress={() => onCondition(term, false)}>
              <Filter size={14} aria-hidden="true" />
            </IconButton>
            <IconButton label={`Hide ${term}`} onPress={() => onCondition(term, true)}>
              <FilterX size={14} aria-hidden="true" />
            </IconButton>
          </div>
        );
      })}
    </section>
  );
}

/** Asks the evaluator about the same connection now: the answer can differ from what the host decided then. */
function FlowWalkthrough({ flow }: { flow: Flow }) {
  const [basis, setBasis] = useState<ExplainBasis | null>(null);
  const answer = useQuery(
    PolicyService.method.explain,
    basis === null
      ? skipToken
      : {
          from: hasChosenSource(flow) ? flow.sourceAddress : flow.subjectKey,
          to: flow.destinationAddress,
          protocol: flow.protocol,
          port: flow.destinationPort,
          basis,
        },
    { gcTime: 0 },
  );
  return (
    <section className="inspector-walkthrough" aria-label="Why">
      <div className="inspector-ask">
        <Button onPress={() => setBasis(ExplainBasis.ENFORCED)}>Explain as enforced</Button>
        <Button onPress={() => setBasis(ExplainBasis.WORKSPACE)}>Explain with the draft</Button>
      </div>
      {answer.isFetching ? <Skeleton rows={3} label="Walking through the policies" /> : null}
      {answer.error && !answer.isFetching ? (
        <FailureNotice isCompact failure={shownFailure(answer.error)} onRetry={() => void answer.refetch()} />
      ) : null}
      {answer.data?.evaluation && !answer.isFetching ? (
        <Walkthrough
          evaluation={answer.data.evaluation}
          title={`${visibleText(answer.data.fromAddress)} → ${visibleText(answer.data.toAddress)}`}
          basis={`asked now, of ${basis === ExplainBasis.ENFORCED ? "what is enforced" : "the draft"}; the host decided “${VERDICT_WORDS[flowVerdict(flow)]}” with generation ${flow.generation}`}
        />
      ) : null}
    </section>
  );
}

function nameText(name: string | undefined): string {
  return name ? `${visibleText(name)} ` : "";
}
