import { useQuery } from "@connectrpc/connect-query";
import {
  type GetEdgeResponse,
  type PictureBasis,
  type PictureEdge,
  type PictureExample,
  PictureService,
} from "@wardline/api/wardline/console/v1/picture";
import { Activity, FlaskConical } from "lucide-react";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatProtocolPort,
  formatQuantity,
  Moment,
  Skeleton,
  shortKey,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import type { ShownPicture } from "../model/shown.ts";
import { classesSaid, enforcedSaid, flowsSaid, nodeName, type Said, sideSaid } from "../model/words.ts";
import { NewFile } from "./new-file.tsx";
import { RuleList } from "./rule-list.tsx";
import { Facts, Side } from "./side.tsx";

interface EdgePanelProps {
  readonly edge: PictureEdge;
  readonly shown: ShownPicture;
  readonly basis: PictureBasis;
  readonly onClose: () => void;
}

const mark = ({ shape, words }: Said) => <VerdictMark verdict={shape} words={words} />;

/** One connection: what the draft, the hosts and the flows say of it, and what stands behind that. */
export function EdgePanel({ edge, shown, basis, onClose }: EdgePanelProps) {
  const { sourceId, destinationId } = edge;
  const from = nodeName(shown.byId.get(sourceId));
  const to = nodeName(shown.byId.get(destinationId));
  const answer = useQuery(
    PictureService.method.getEdge,
    { basis, sourceId, destinationId },
    { gcTime: 10_000, retry: false, placeholderData: (previous) => (isOf(previous, edge) ? previous : undefined) },
  );
  const opens = visibleText(edge.opens?.text ?? "");
  const closes = visibleText(edge.closes?.text ?? "");
  return (
    <Side name={`Connection ${from} to ${to}`} title={`${from} → ${to}`} onClose={onClose}>
      <Facts
        facts={[
          ["Draft allows", mark(sideSaid(edge.draft))],
          ["Enforced", mark(enforcedSaid(edge, shown))],
          ["Reported", mark(flowsSaid(edge.flows))],
          ["Difference", classesSaid(edge)],
          ...(opens ? [["Would open", opens] as const] : []),
          ...(closes ? [["Would close", closes] as const] : []),
        ]}
      />
      {(edge.flows?.wouldDeny ?? 0n) > 0n ? (
        <p className="picture-warning">
          The draft would deny {formatQuantity(edge.flows?.wouldDeny ?? 0n, "connection")} of those that were seen.
        </p>
      ) : null}
      {edge.unrestricted ? <p className="soft">No policy of the draft is asked at either end.</p> : null}
      {answer.data ? <Detail detail={answer.data} /> : null}
      {answer.error ? (
        <FailureNotice isCompact failure={shownFailure(answer.error)} onRetry={() => void answer.refetch()} />
      ) : null}
      {answer.isPending && !answer.data ? <Skeleton rows={5} label="Looking behind the connection" /> : null}
    </Side>
  );
}

const isOf = (answer: GetEdgeResponse | undefined, { sourceId, destinationId }: PictureEdge) =>
  answer?.edge?.sourceId === sourceId && answer.edge.destinationId === destinationId;

function Detail({ detail }: { detail: GetEdgeResponse }) {
  const openHistory = useWindow((state) => state.openHistory);
  const { allowing, denying, allowedExample, deniedExample, flowGroups, flowQuery, testText } = detail;
  const name = /name: "?([a-z0-9-]+)/.exec(testText)?.[1] ?? "pinned";
  return (
    <>
      <RuleList title="What allows it" rules={allowing} none="Nothing." />
      <RuleList title="What denies the rest" rules={denying} none="Nothing is denied." />
      {detail.rulesLeftOut > 0n ? (
        <p className="faint">{formatCount(detail.rulesLeftOut)} more are not shown.</p>
      ) : null}
      {allowedExample ? <Example title="Smallest that is let through" example={allowedExample} /> : null}
      {deniedExample ? <Example title="Smallest that is denied" example={deniedExample} /> : null}
      <section aria-label="Flows">
        <h3>Flows {flowGroups.length > 0 ? <span className="faint">{flowGroups.length}</span> : null}</h3>
        {flowGroups.length === 0 ? <p className="soft">Nothing was seen in the window.</p> : null}
        <ul className="picture-flows">
          {flowGroups
            .slice(0, 12)
            .map(({ sourceKey, sourceAddress, destinationKey, destinationAddress, flows, ...flow }) => (
              <li
                key={`${sourceAddress} ${destinationAddress} ${flow.protocol} ${flow.port} ${sourceKey} ${destinationKey}`}
              >
                <span className="code truncate">
                  {endName(sourceKey, sourceAddress)} → {endName(destinationKey, destinationAddress)}{" "}
                  {formatProtocolPort(flow.protocol, flow.port)}
                </span>
                <VerdictMark
                  verdict={flow.draftAllows ? "allow" : "deny"}
                  words={`${flowsSaid(flows).words}; the draft ${flow.draftAllows ? "allows" : "denies"} it`}
                />
                <span className="faint">{lastText(optionalMs(flows?.lastSeen))}</span>
              </li>
            ))}
        </ul>
      </section>
      <div className="picture-actions">
        {flowQuery === "" ? null : (
          <Button icon={<Activity size={14} aria-hidden="true" />} onPress={() => openHistory(flowQuery)}>
            Show its flows
          </Button>
        )}
        {testText === "" ? null : (
          <NewFile
            label="Make a test of it"
            icon={<FlaskConical size={14} aria-hidden="true" />}
            path={`tests/${name}.yaml`}
            text={testText}
          />
        )}
      </div>
    </>
  );
}

const endName = (key: string, address: string) => visibleText(key === "" ? address : shortKey(key));
const lastText = (timeMs: number | null) =>
  timeMs === null ? null : (
    <>
      last <Moment timeMs={timeMs} form="short" />
    </>
  );

function Example({ title, example }: { title: string; example: PictureExample }) {
  const { fromKey, fromAddress, toKey, toAddress, protocol, port } = example;
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <p className="code picture-example">
        {endName(fromKey, fromAddress)} ({visibleText(fromAddress)}) → {endName(toKey, toAddress)} (
        {visibleText(toAddress)}) {formatProtocolPort(protocol, port)}
      </p>
    </section>
  );
}
