import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { ExplainBasis, PolicyService, type SimulationGroup } from "@wardline/api/wardline/console/v1/policies";
import { ChevronDown, ChevronRight } from "lucide-react";
import { Fragment, useMemo, useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatProtocolPort,
  formatQuantity,
  Moment,
  protocolName,
  ScrollRegion,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import { Walkthrough } from "../../policies/index.ts";
import { foldGroups, type GroupRow, portRanges } from "../model/folded-groups.ts";
import { UNMATCHED_WORDS } from "../model/simulation.ts";
import { ConnectionActions } from "./connection-actions.tsx";

const SHOWN_AT_ONCE = 100;

interface SimulationGroupsProps {
  readonly groups: readonly SimulationGroup[];
  readonly leftOut: bigint;
  readonly isRunning: boolean;
  readonly about: string;
}

/** Groups of flows of one class; each opens its walkthrough and what can be done about it. */
export function SimulationGroups({ groups, leftOut, isRunning, about }: SimulationGroupsProps) {
  const nowMs = useConsoleNow();
  const [open, setOpen] = useState<number | null>(null);
  const [limit, setLimit] = useState(SHOWN_AT_ONCE);
  const rows = useMemo(() => foldGroups(groups), [groups]);
  if (groups.length === 0) {
    return (
      <p className="soft" role="status">
        {isRunning ? "Groups are listed when everything was checked." : `None. ${about}`}
      </p>
    );
  }
  return (
    <ScrollRegion label="Groups of flows" className="verdict-table simulation-groups">
      <table>
        <thead>
          <tr>
            <th scope="col">Connections</th>
            <th scope="col">Flows</th>
            <th scope="col">First and last seen</th>
            <th scope="col">For example</th>
            <th scope="col">Because</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, limit).map((row, index) => {
            const { group } = row;
            const { firstMs, lastMs } = timesOf(row);
            const flow = group.example?.flow;
            const isOpen = open === index;
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: the groups of a run only grow at the end.
              <Fragment key={index}>
                <tr>
                  <th scope="row">
                    <button
                      type="button"
                      className="group-opener"
                      aria-expanded={isOpen}
                      onClick={() => setOpen(isOpen ? null : index)}
                    >
                      {isOpen ? (
                        <ChevronDown size={14} aria-hidden="true" />
                      ) : (
                        <ChevronRight size={14} aria-hidden="true" />
                      )}
                      <span className="wrap-anywhere">
                        {visibleText(group.from)} → {visibleText(group.to)}{" "}
                        <span className="verdict-ports">{portsOf(row)}</span>
                      </span>
                    </button>
                  </th>
                  <td>{formatCount(row.flows)}</td>
                  <td>
                    {firstMs !== null && lastMs !== null ? (
                      <>
                        <Moment timeMs={firstMs} nowMs={nowMs} form="short" /> to{" "}
                        <Moment timeMs={lastMs} nowMs={nowMs} form="short" />
                      </>
                    ) : (
                      <span className="faint">unknown</span>
                    )}
                  </td>
                  <td>
                    {flow ? (
                      <code className="wrap-anywhere">
                        {visibleText(flow.sourceAddress)} → {visibleText(flow.destinationAddress)}
                      </code>
                    ) : null}
                  </td>
                  <td>
                    <Because group={group} isOpen={isOpen} />
                  </td>
                </tr>
                {isOpen ? (
                  <tr className="group-open">
                    <td colSpan={5}>
                      {row.groups.length > 1 ? (
                        <p className="soft wrap-anywhere">
                          {formatQuantity(row.groups.length, "port")} with few flows each:{" "}
                          {portRanges(portsIn(row), Number.POSITIVE_INFINITY)}. This is the first of them.
                        </p>
                      ) : null}
                      <GroupDetail group={group} />
                    </td>
                  </tr>
                ) : null}
              </Fragment>
            );
          })}
        </tbody>
      </table>
      {rows.length > limit ? (
        <Button onPress={() => setLimit(limit + SHOWN_AT_ONCE)}>
          Show more ({formatCount(rows.length - limit)} groups)
        </Button>
      ) : null}
      {leftOut > 0n ? (
        <p className="soft">{formatQuantity(leftOut, "flow")} of other groups are counted and not listed.</p>
      ) : null}
    </ScrollRegion>
  );
}

function portsIn({ groups }: GroupRow): readonly number[] {
  return groups.map(({ port }) => port);
}

function portsOf(row: GroupRow): string {
  const { protocol, port } = row.group;
  if (row.groups.length === 1) return formatProtocolPort(protocol, port);
  return `${formatQuantity(row.groups.length, `${protocolName(protocol)} port`)}: ${portRanges(portsIn(row))}`;
}

function timesOf({ groups }: GroupRow): { readonly firstMs: number | null; readonly lastMs: number | null } {
  const firsts = groups.flatMap(({ firstSeen }) => (firstSeen ? [timestampMs(firstSeen)] : []));
  const lasts = groups.flatMap(({ lastSeen }) => (lastSeen ? [timestampMs(lastSeen)] : []));
  return {
    firstMs: firsts.length > 0 ? Math.min(...firsts) : null,
    lastMs: lasts.length > 0 ? Math.max(...lasts) : null,
  };
}

/** What decides, in one line; all of it once the group is open. */
function Because({ group, isOpen }: { readonly group: SimulationGroup; readonly isOpen: boolean }) {
  const text = group.example?.decision ? visibleText(group.example.decision.summary) : UNMATCHED_WORDS[group.reason];
  return (
    <span className={`group-because ${isOpen ? "wrap-anywhere" : "truncate"}`} title={isOpen ? undefined : text}>
      {text}
    </span>
  );
}

function GroupDetail({ group }: { group: SimulationGroup }) {
  const { example, protocol, port } = group;
  const from = example?.fromKey || example?.flow?.sourceAddress || "";
  const to = example?.toKey || example?.flow?.destinationAddress || "";
  const answer = useQuery(
    PolicyService.method.explain,
    { from, to, protocol, port, basis: ExplainBasis.WORKSPACE },
    { enabled: from !== "" && to !== "", retry: false },
  );
  const { evaluation } = answer.data ?? {};
  return (
    <div className="group-detail">
      {answer.error ? <FailureNotice isCompact failure={shownFailure(answer.error)} /> : null}
      {answer.isLoading ? <Skeleton rows={3} label="Walking through the policies" /> : null}
      {evaluation ? (
        <Walkthrough
          evaluation={evaluation}
          title={`${visibleText(from)} → ${visibleText(to)}`}
          basis="the saved draft"
        />
      ) : null}
      {example?.flow ? (
        <ConnectionActions
          connection={{
            fromKey: example.fromKey,
            fromAddress: example.flow.sourceAddress,
            toKey: example.toKey,
            toAddress: example.flow.destinationAddress,
            protocol,
            port,
          }}
        />
      ) : null}
    </div>
  );
}
