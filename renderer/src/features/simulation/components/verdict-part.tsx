import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { useQuery } from "@tanstack/react-query";
import {
  ShownVerdict,
  type VerdictPart,
  type VerdictService,
  type VerdictVersion,
} from "@wardline/api/wardline/console/v1/verdicts";
import { Emergency } from "@wardline/api/wardline/v1/host";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { useState } from "react";
import { shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatQuantity,
  Moment,
  Skeleton,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { Walkthrough } from "../../policies/index.ts";
import { COLUMNS, type ColumnKey, digestsOf, shape, versionWords } from "../model/verdicts.ts";

interface VerdictPartProps {
  readonly part: VerdictPart;
  readonly column: ColumnKey;
  readonly versions: ReadonlyMap<number, VerdictVersion>;
  readonly ask: { readonly client: Client<typeof VerdictService>; readonly protocol: number; readonly port: number };
  readonly isOnly: boolean;
}

/** Connections of a cell with one verdict for one reason. */
export function VerdictPartCard({ part, column, versions, ask, isOnly }: VerdictPartProps) {
  const [isExplained, setExplained] = useState(isOnly);
  const hosts = part.hostNames.map(visibleText).join(", ");
  const more = part.hostCount > part.hostNames.length ? ` and ${part.hostCount - part.hostNames.length} more` : "";
  return (
    <section className="verdict-part">
      <p className="verdict-part-head">
        {shape(part.verdict).map((one) => (
          <VerdictMark key={one} verdict={one} />
        ))}
        {part.hostCount > 0 ? (
          <span className="soft wrap-anywhere">
            {column === "reported" ? "recorded by" : `on ${formatQuantity(part.hostCount, "host")}:`} {hosts}
            {more}
          </span>
        ) : null}
      </p>
      {column === "reported" ? <Reported part={part} /> : null}
      {part.sides.map((side) => {
        const version = versions.get(side.versionId);
        return (
          <div key={side.direction} className="verdict-side">
            <span className="faint">{side.direction === Direction.EGRESS ? "leaving" : "arriving"}</span>
            <div className="wrap-anywhere">
              <SideReason side={side} />
              <span className="faint"> {version ? versionWords(version) : "nobody of yours restricts this end"}</span>
            </div>
          </div>
        );
      })}
      {isExplained ? (
        <PartWalkthrough part={part} column={column} versions={versions} ask={ask} />
      ) : (
        <Button size="small" tone="quiet" onPress={() => setExplained(true)}>
          Show every step
        </Button>
      )}
    </section>
  );
}

function SideReason({ side }: { side: VerdictPart["sides"][number] }) {
  const openFile = useWindow((state) => state.openFile);
  const { decision } = side;
  if (!decision) return null;
  const { source } = decision;
  if (!source?.file) return <span>{visibleText(decision.summary)}</span>;
  return (
    <button type="button" className="link" onClick={() => openFile(source.file, source.line, source.column)}>
      {visibleText(decision.summary)} ({visibleText(source.file)}:{source.line})
    </button>
  );
}

function Reported({ part }: { part: VerdictPart }) {
  return (
    <>
      <p>
        {formatCount(part.count)} times
        {part.firstSeen && part.lastSeen ? (
          <>
            , first <Moment timeMs={timestampMs(part.firstSeen)} form="short" />, last{" "}
            <Moment timeMs={timestampMs(part.lastSeen)} form="short" />
          </>
        ) : null}
        {part.generation > 0n ? `, by generation ${part.generation}` : ", generation unknown"}
      </p>
      <ul className="verdict-talkers">
        {part.talkers.map(({ from, to, count }) => (
          <li key={`${from} ${to}`}>
            <code className="wrap-anywhere">
              {visibleText(from)} → {visibleText(to)}
            </code>{" "}
            <span className="soft">{formatCount(count)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** A closed brake asks no policy, so there are no steps to walk. */
function PartWalkthrough(props: Omit<VerdictPartProps, "isOnly">) {
  const { part, versions } = props;
  const isClosed = part.sides.some(
    ({ verdict, versionId }) =>
      verdict === ShownVerdict.DENY && versions.get(versionId)?.emergency === Emergency.CLOSED,
  );
  if (isClosed) return <p className="soft">While the emergency brake is closed, no policy is asked.</p>;
  return <PolicySteps {...props} />;
}

function PolicySteps({ part, column, versions, ask }: Omit<VerdictPartProps, "isOnly">) {
  const { client, protocol, port } = ask;
  const digests = digestsOf(part, versions);
  const { fromKey, fromAddress, toKey, toAddress } = part;
  const request = {
    ...{ fromKey, fromAddress, toKey, toAddress, protocol, port },
    column: COLUMNS.find(({ key }) => key === column)?.column ?? 0,
    egressStateDigest: digests.egress,
    ingressStateDigest: digests.ingress,
    enforceObserved: digests.isPromoted,
  };
  const answer = useQuery({
    queryKey: ["explain-verdict", JSON.stringify(request)],
    queryFn: ({ signal }) => client.explainVerdict(request, { signal }),
    retry: false,
  });
  if (answer.error) return <FailureNotice isCompact failure={shownFailure(answer.error)} />;
  if (!answer.data) return <Skeleton rows={4} label="Walking through the policies" />;
  const { evaluation, egressProblem, ingressProblem } = answer.data;
  const problems = [...new Set([egressProblem, ingressProblem])].filter((text) => text !== "");
  return (
    <>
      {problems.map((text) => (
        <p key={text} className="soft wrap-anywhere">
          {visibleText(text)}
        </p>
      ))}
      {evaluation ? (
        <Walkthrough
          evaluation={evaluation}
          title={`${visibleText(fromAddress)} → ${visibleText(toAddress)}`}
          basis={column === "reported" ? "the version that decided then, asked today" : "the version of this column"}
        />
      ) : problems.length === 0 ? (
        <p className="soft">No policy of yours is asked at either end.</p>
      ) : null}
    </>
  );
}
