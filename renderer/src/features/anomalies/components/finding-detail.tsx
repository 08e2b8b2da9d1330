import { useQuery } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { type Anomaly, AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import { type Finding, FindingState } from "@wardline/api/wardline/v1/anomaly";
import { X } from "lucide-react";
import { useEffect } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  FailureNotice,
  formatAge,
  IconButton,
  Moment,
  SeverityMark,
  Skeleton,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import { DETECTOR_EXPLANATIONS, DETECTOR_NAMES, rarityText } from "../model/words.ts";
import { EvidenceSection } from "./evidence-section.tsx";
import { FeatureList } from "./feature-list.tsx";
import { FindingActions } from "./finding-actions.tsx";
import { FindingChart } from "./finding-chart.tsx";

interface FindingDetailProps {
  readonly findingId: string;
  /** As the list has it; `null` when it does not. */
  readonly known: Anomaly | null;
  readonly onClose: () => void;
}

/** One finding: the sentence first, then why, then the flows that prove it, then what can be done. */
export function FindingDetail({ findingId, known, onClose }: FindingDetailProps) {
  const hostId = known?.hostId ?? "";
  const query = useQuery(
    AnomalyService.method.getAnomaly,
    { hostId, findingId },
    { placeholderData: (former) => former },
  );
  const client = useQueryClient();
  const changedAt = known?.finding?.lastAt?.seconds ?? 0n;
  const feedbackCount = known?.finding?.feedback.length ?? 0;
  const { refetch } = query;
  // biome-ignore lint/correctness/useExhaustiveDependencies: it goes on, or somebody judged it: the evidence is another.
  useEffect(() => void refetch(), [refetch, client, changedAt, feedbackCount]);
  const anomaly = query.data?.anomaly ?? known;
  const finding = anomaly?.finding;
  return (
    <aside className="finding-detail scroll" aria-label="Finding" tabIndex={-1}>
      <header className="finding-detail-head">
        {finding ? (
          <span className="finding-row-head">
            <SeverityMark severity={finding.severity} />
            <span title={DETECTOR_EXPLANATIONS[finding.detector]}>{DETECTOR_NAMES[finding.detector]}</span>
            <HostLink hostId={anomaly?.hostId ?? ""} name={finding.host} />
            {finding.state === FindingState.ONGOING ? <Tag tone="observed">goes on</Tag> : <Tag>over</Tag>}
          </span>
        ) : null}
        <IconButton label="Close the finding" keys="Esc" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      {finding ? (
        <>
          <h2 className="finding-sentence wrap-anywhere">{visibleText(finding.sentence)}</h2>
          <Times finding={finding} />
          {query.error ? (
            <FailureNotice
              isCompact
              title="Its evidence cannot be had now"
              failure={shownFailure(query.error)}
              onRetry={() => void query.refetch()}
            />
          ) : null}
          <FeatureList features={finding.features} />
          {finding.series.length > 1 ? <FindingChart finding={finding} /> : null}
          <FindingActions
            anomaly={anomaly}
            draft={query.data?.policyDraft ?? ""}
            draftName={query.data?.policyDraftName ?? ""}
          />
          {query.data ? <EvidenceSection finding={finding} /> : <Skeleton rows={4} label="Asking for the evidence" />}
          <Chain anomalies={query.data?.chain ?? []} currentId={finding.id} />
        </>
      ) : query.error ? (
        <FailureNotice failure={shownFailure(query.error)} title="The finding is not known" />
      ) : (
        <Skeleton rows={10} label="Asking for the finding" />
      )}
    </aside>
  );
}

function HostLink({ hostId, name }: { hostId: string; name: string }) {
  const openHost = useWindow((state) => state.openHost);
  return hostId === "" ? (
    <span className="truncate">{visibleText(name)}</span>
  ) : (
    <button type="button" className="link truncate" onClick={() => openHost(hostId)}>
      {visibleText(name)}
    </button>
  );
}

function Times({ finding }: { finding: Finding }) {
  const nowMs = useConsoleNow();
  const beganMs = optionalMs(finding.beganAt);
  const lastMs = optionalMs(finding.lastAt);
  const detectedMs = optionalMs(finding.detectedAt);
  return (
    <p className="soft">
      {beganMs === null ? null : (
        <>
          Since <Moment timeMs={beganMs} form="full" />
        </>
      )}
      {beganMs !== null && lastMs !== null && lastMs > beganMs ? `, for ${formatAge(lastMs - beganMs)}` : ""}
      {beganMs !== null && detectedMs !== null
        ? `; found ${formatAge(Math.max(0, detectedMs - beganMs))} after it began`
        : ""}
      {lastMs === null ? "" : `; last seen ${formatAge(nowMs - lastMs)} ago`}. {capitalized(rarityText(finding))}.
    </p>
  );
}

const capitalized = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** The way that somebody took over several hosts, in order. */
function Chain({ anomalies, currentId }: { anomalies: readonly Anomaly[]; currentId: string }) {
  const openFinding = useWindow((state) => state.openFinding);
  if (anomalies.length < 2) return null;
  return (
    <section className="finding-section" aria-labelledby="finding-chain">
      <h3 id="finding-chain">The way over the hosts</h3>
      <ol className="finding-chain">
        {anomalies.map(({ hostId, finding }) => (
          <li key={`${hostId} ${finding?.id}`} aria-current={finding?.id === currentId ? "step" : undefined}>
            <button type="button" className="link" onClick={() => openFinding(finding?.id ?? null)}>
              {visibleText(finding?.host ?? "")}
            </button>{" "}
            <span className="soft">{visibleText(finding?.sentence ?? "")}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
