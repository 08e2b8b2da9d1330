import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import { type Member, MemberState } from "@wardline/api/wardline/v1/cluster";
import { Fragment, useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { durationMs, optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, formatAge, VerdictMark, visibleText } from "../../../ui/index.ts";
import { MEMBER_STATES, memberRole, syncWords } from "../model/words.ts";
import { MemberDetail } from "./member-detail.tsx";

const SKEW_SHOWN_MS = 500;

/** Every member: whether it lives, what it enforces of the desired set, how far away and how wrong its clock is. */
export function MemberTable({ cluster }: { cluster: ClusterView }) {
  const [openName, setOpenName] = useState<string | null>(null);
  const members = cluster.status?.members ?? [];
  return (
    <section className="cluster-section" aria-labelledby="cluster-members">
      <h2 id="cluster-members">Members</h2>
      <table className="cluster-table">
        <thead>
          <tr>
            <th scope="col">Member</th>
            <th scope="col">State</th>
            <th scope="col">Role</th>
            <th scope="col">Enforces</th>
            <th scope="col">Heartbeat</th>
            <th scope="col">Clock</th>
            <th scope="col">Agent</th>
            <th
              scope="col"
              title="When the member last wrote the heartbeat, clock and version that stand here, and how often it does when nothing changes. Whether it lives says its lease, every few seconds: see the state"
            >
              Last report
            </th>
          </tr>
        </thead>
        <tbody>
          {members.map((member) => {
            const name = member.record?.name ?? member.presence?.name ?? "";
            const isOpen = name === openName;
            return (
              <Fragment key={name}>
                <MemberRow
                  member={member}
                  name={name}
                  cluster={cluster}
                  isOpen={isOpen}
                  onToggle={() => setOpenName(isOpen ? null : name)}
                />
                {isOpen ? (
                  <tr>
                    <td colSpan={8} className="member-detail-cell">
                      <MemberDetail member={member} cluster={cluster} />
                    </td>
                  </tr>
                ) : null}
              </Fragment>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

interface MemberRowProps {
  readonly member: Member;
  readonly name: string;
  readonly cluster: ClusterView;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

function MemberRow({ member, name, cluster, isOpen, onToggle }: MemberRowProps) {
  const openHost = useWindow((state) => state.openHost);
  const nowMs = useConsoleNow();
  const { presence } = member;
  const state = MEMBER_STATES[member.state];
  const sync = syncWords(member.report, cluster.status?.head);
  const sinceMs = optionalMs(member.since);
  const heardMs = optionalMs(presence?.heartbeatAt);
  const hostId = cluster.hostIds[name];
  const everyMs = cluster.status?.heartbeatInterval ? durationMs(cluster.status.heartbeatInterval) : 0;
  const isAlive = member.state === MemberState.HEALTHY || member.state === MemberState.UNHEALTHY;
  return (
    <tr>
      <td>
        <span className="cluster-buttons member-name">
          <Button size="small" tone="quiet" aria-expanded={isOpen} onPress={onToggle}>
            {visibleText(name)}
          </Button>
          {hostId === undefined ? null : (
            <Button size="small" tone="quiet" onPress={() => openHost(hostId)}>
              Open the host
            </Button>
          )}
        </span>
      </td>
      <td>
        <VerdictMark verdict={state.shape} words={state.words} />{" "}
        {sinceMs === null ? null : <span className="faint nowrap">for {formatAge(nowMs - sinceMs)}</span>}
      </td>
      <td>{member.isLeader ? <strong>{memberRole(member)}</strong> : memberRole(member)}</td>
      <td>
        <VerdictMark verdict={sync.shape} words={sync.words} />
      </td>
      <td>{presence?.heartbeatLatency ? `${durationMs(presence.heartbeatLatency).toFixed(1)} ms` : "not measured"}</td>
      <td>
        <Skew member={member} />
      </td>
      <td className="wrap-anywhere">{visibleText(presence?.agentVersion ?? "") || "–"}</td>
      <td className="nowrap">
        {heardMs === null ? "never" : `${formatAge(nowMs - heardMs)} ago`}
        {isAlive && everyMs > 0 ? <span className="faint"> · every {formatAge(everyMs)}</span> : null}
      </td>
    </tr>
  );
}

function Skew({ member }: { member: Member }) {
  const { presence, isLeader } = member;
  if (isLeader) return <span className="soft">the measure</span>;
  if (!presence?.clockOffset) return <span className="faint">not measured</span>;
  // What its clock does by now nobody knows.
  if (member.state === MemberState.GONE || member.state === MemberState.STOPPED)
    return <VerdictMark verdict="unknown" words="not known now" />;
  const offsetMs = durationMs(presence.clockOffset);
  const uncertaintyMs = durationMs(presence.clockUncertainty);
  const isOff = Math.abs(offsetMs) - uncertaintyMs > SKEW_SHOWN_MS;
  const words = isOff
    ? `${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${offsetMs > 0 ? "ahead" : "behind"}`
    : `within ${Math.max(1, Math.ceil(Math.abs(offsetMs) + uncertaintyMs))} ms`;
  return <VerdictMark verdict={isOff ? "observed" : "allow"} words={words} />;
}
