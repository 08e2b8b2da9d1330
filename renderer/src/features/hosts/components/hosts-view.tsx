import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { Plus, Search } from "lucide-react";
import { useState } from "react";
import { useConsole, useConsoleNow, useHostsStream } from "../../../data/context.tsx";
import { ENVIRONMENT_TONES, isConnected, optionalMs, REACHABILITY_NAMES } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  EmptyState,
  EnvironmentTag,
  FailureNotice,
  formatAge,
  Skeleton,
  TextField,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { hostState } from "../../overview/index.ts";
import { groupHosts } from "../model/host-list.ts";
import { HostDetail } from "./host-detail.tsx";
import "./hosts-view.css";

/** A list that fits the eye needs no search. */
const SEARCH_ABOVE = 8;

/** The hosts at the left, everything about one at the right. */
export function HostsView() {
  const { connection } = useConsole();
  const stream = useHostsStream();
  const { hostId, scopeHostId, show } = useWindow();
  const [search, setSearch] = useState("");
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
  const groups = groupHosts(hosts, hosts.length > SEARCH_ABOVE ? search : "");
  if (!shown) {
    return (
      <EmptyState
        picture={null}
        title="No hosts"
        action={
          <Button tone="primary" onPress={() => show("add-hosts")}>
            Add hosts
          </Button>
        }
      >
        The console knows no host yet. It looks for an agent on this machine at /run/wardline/agent.sock.
      </EmptyState>
    );
  }
  return (
    <div className="hosts">
      <nav className="hosts-list scroll" aria-label="Hosts">
        <div className="hosts-tools">
          <Button icon={<Plus size={14} aria-hidden="true" />} onPress={() => show("add-hosts")}>
            Add hosts
          </Button>
          {hosts.length > SEARCH_ABOVE ? (
            <TextField
              label="Find a host"
              isLabelHidden
              placeholder="name, group, app=web"
              icon={<Search size={14} aria-hidden="true" />}
              value={search}
              onChange={setSearch}
            />
          ) : null}
        </div>
        {groups.map((group) => (
          <section key={group.name} aria-label={group.name === "" ? "Other hosts" : visibleText(group.name)}>
            {group.name === "" ? null : (
              <h2 className="hosts-group">
                <EnvironmentTag name={group.name} color={ENVIRONMENT_TONES[group.color]} />
                <span className="faint">{group.hosts.length}</span>
              </h2>
            )}
            <ul>
              {group.hosts.map((host) => (
                <li key={host.id}>
                  <HostItem host={host} isShown={host === shown} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {groups.length === 0 ? <p className="soft hosts-none">No host matches.</p> : null}
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
          {isConnected(host) ? "" : `${REACHABILITY_NAMES[host.reachability]} · `}
          {heardMs === null ? "never heard" : `heard ${formatAge(nowMs - heardMs)} ago`}
        </span>
      </span>
    </button>
  );
}
