import { NotificationSource } from "@wardline/api/wardline/console/v1/notifications";
import {
  Activity,
  FileText,
  GitCompareArrows,
  LayoutDashboard,
  Network,
  Radar,
  ScrollText,
  Server,
  Settings,
  Waypoints,
} from "lucide-react";
import type { Activity as WindowActivity } from "../data/activity.ts";
import { useActivity, useHostsStream, useWorkspaceStream } from "../data/context.tsx";
import { isConnected } from "../data/hosts-snapshot.ts";
import { keysOf } from "../data/keymap.ts";
import { useSetting, useSettings } from "../data/settings.ts";
import { useWindow, VIEWS, type View } from "../data/window-store.ts";
import { openFindings } from "../features/anomalies/index.ts";
import { clusterNeeds, waitsWithCluster } from "../features/cluster/index.ts";
import { formatQuantity } from "../ui/index.ts";
import { VIEW_NAMES } from "./commands.ts";

const ICONS: Record<View, React.ReactNode> = {
  overview: <LayoutDashboard size={18} aria-hidden="true" />,
  policies: <FileText size={18} aria-hidden="true" />,
  flows: <Activity size={18} aria-hidden="true" />,
  anomalies: <Radar size={18} aria-hidden="true" />,
  hosts: <Server size={18} aria-hidden="true" />,
  cluster: <Network size={18} aria-hidden="true" />,
  mesh: <Waypoints size={18} aria-hidden="true" />,
  audit: <ScrollText size={18} aria-hidden="true" />,
  settings: <Settings size={18} aria-hidden="true" />,
  changes: <GitCompareArrows size={18} aria-hidden="true" />,
};

/** Changes stands beside what it is about; its key stays what it was when it came. */
const RAIL_VIEWS: readonly View[] = VIEWS.filter((view) => view !== "changes").flatMap((view) =>
  view === "policies" ? [view, "changes" as const] : [view],
);

/** What needs a person, by view; not how much there is. */
function useBadges(): Record<View, number> {
  const hosts = useHostsStream().value;
  const files = useWorkspaceStream().value?.files ?? [];
  const activity = useActivity();
  const settingsState = useSettings((store) => store.state);
  const clusters = activity.clusters ?? [];
  const waiting = (hosts?.pending ?? []).filter((entry) => !waitsWithCluster(entry, clusters)).length;
  return {
    overview: waiting,
    policies: files.filter((file) => file.errorCount > 0).length,
    flows: 0,
    anomalies: openFindings(activity.anomalies),
    hosts: hosts?.hosts.filter((host) => !isConnected(host) || (host.status?.problems.length ?? 0) > 0).length ?? 0,
    cluster: clusters.reduce((sum, cluster) => sum + clusterNeeds(cluster), 0),
    mesh: activity.mesh?.needingPerson ?? 0,
    audit: needing(activity, NotificationSource.AUDIT),
    settings: settingsState?.problems.length ?? 0,
    changes: 0,
  };
}

/** Open and not put off, of one source. */
function needing({ notifications }: WindowActivity, source: NotificationSource): number {
  const entries = notifications?.notifications ?? [];
  return entries.filter((entry) => entry.source === source && entry.open && !entry.snoozedUntil).length;
}

export function Rail() {
  const { view, goTo } = useWindow();
  const badges = useBadges();
  const bindings = useSetting("keyboard.bindings");
  return (
    <nav className="rail" aria-label="Views">
      <svg className="rail-mark" width="26" height="26" viewBox="0 0 32 32" role="img" aria-label="Wardline">
        <path
          d="M6 8l4.5 16L16 11l5.5 13L26 8"
          fill="none"
          stroke="var(--accent)"
          strokeWidth="2.8"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
        <path d="M3 16h26" stroke="var(--allow)" strokeWidth="2.2" strokeLinecap="round" />
      </svg>
      {RAIL_VIEWS.map((candidate) => (
        <button
          key={candidate}
          type="button"
          className="rail-item"
          aria-current={candidate === view ? "page" : undefined}
          title={[VIEW_NAMES[candidate], ...keysOf(`view.${candidate}`, bindings)].join(" · ")}
          onClick={() => goTo(candidate)}
        >
          {ICONS[candidate]}
          <span>{VIEW_NAMES[candidate]}</span>
          {badges[candidate] > 0 ? (
            <span className="rail-badge">
              {badges[candidate]}
              <span className="visually-hidden">
                {" "}
                {formatQuantity(badges[candidate], "thing needs", "things need")} you
              </span>
            </span>
          ) : null}
        </button>
      ))}
    </nav>
  );
}
