import { Activity, FileText, LayoutDashboard, Server } from "lucide-react";
import { useHostsStream, useWorkspaceStream } from "../data/context.tsx";
import { isConnected } from "../data/hosts-snapshot.ts";
import { useWindow, VIEWS, type View } from "../data/window-store.ts";
import { formatQuantity } from "../ui/index.ts";
import { VIEW_KEYS, VIEW_NAMES } from "./commands.ts";

const ICONS: Record<View, React.ReactNode> = {
  overview: <LayoutDashboard size={18} aria-hidden="true" />,
  policies: <FileText size={18} aria-hidden="true" />,
  flows: <Activity size={18} aria-hidden="true" />,
  hosts: <Server size={18} aria-hidden="true" />,
};

/** What needs a person, by view; not how much there is. */
function useBadges(): Record<View, number> {
  const hosts = useHostsStream().value;
  const files = useWorkspaceStream().value?.files ?? [];
  const waiting = hosts?.pending.length ?? 0;
  return {
    overview: waiting,
    policies: files.filter((file) => file.errorCount > 0).length,
    flows: 0,
    hosts: hosts?.hosts.filter((host) => !isConnected(host) || (host.status?.problems.length ?? 0) > 0).length ?? 0,
  };
}

export function Rail() {
  const { view, goTo } = useWindow();
  const badges = useBadges();
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
      {VIEWS.map((candidate) => (
        <button
          key={candidate}
          type="button"
          className="rail-item"
          aria-current={candidate === view ? "page" : undefined}
          title={`${VIEW_NAMES[candidate]} (${VIEW_KEYS[candidate]})`}
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
