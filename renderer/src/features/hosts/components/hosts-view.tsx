import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { useConsole, useConsoleNow, useHostsStream } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { EmptyState, FailureNotice, formatAge, Skeleton, VerdictMark, visibleText } from "../../../ui/index.ts";
import { hostState } from "../../overview/index.ts";
import { HostDetail } from "./host-detail.tsx";
import "./hosts-view.css";

/** The hosts at the left, everything about one at the right. */
export function HostsView() {
  const { connection } = useConsole();
  const stream = useHostsStream();
  const { hostId, scopeHostId } = useWindow();
  if (!stream.value) {
    return stream.failure ? (
      <div className="hosts-state">
        <FailureNotice failure={stream.failure} title="The hosts are not known" onRetry={() => connection.retryNow()} />
      </div>
    ) : (
      <Skeleton rows={12} label="Asking the backend for the hosts" />
    );
  }
  const { hosts } = stream.value;
  const shown =
    hosts.find((host) => host.id === hostId) ??
    hosts.find((host) => host.id === scopeHostId) ??
    hosts.find((host) => host.local) ??
    hosts[0];
  if (!shown) {
    return (
      <EmptyState picture={null} title="No hosts">
        The console knows no host yet. It looks for an agent on this machine at /run/wardline/agent.sock.
      </EmptyState>
    );
  }
  return (
    <div className="hosts">
      <nav className="hosts-list scroll" aria-label="Hosts">
        <ul>
          {hosts.map((host) => (
            <li key={host.id}>
              <HostItem host={host} isShown={host === shown} />
            </li>
          ))}
        </ul>
      </nav>
      <HostDetail key={shown.id} host={shown} />
    </div>
  );
}

function HostItem({ host, isShown }: { host: Host; isShown: boolean }) {
  const openHost = useWindow((state) => state.openHost);
  const nowMs = useConsoleNow();
  const state = hostState(host);
  const heardMs = optionalMs(host.lastHeardAt);
  return (
    <button
      type="button"
      className="host-item"
      aria-current={isShown ? "true" : undefined}
      onClick={() => openHost(host.id)}
    >
      <VerdictMark verdict={state.shape} words={null} />
      <span className="host-item-text">
        <span className="truncate">{visibleText(host.name)}</span>
        <span className="faint truncate">
          {heardMs === null ? "never heard" : `heard ${formatAge(nowMs - heardMs)} ago`}
        </span>
      </span>
    </button>
  );
}
