import { useActivity } from "../../../data/context.tsx";
import { type AnomaliesTab, useWindow } from "../../../data/window-store.ts";
import { formatCount } from "../../../ui/index.ts";
import { AlertsTab } from "../../alerts/index.ts";
import { openFindings } from "../model/open.ts";
import { BacktestTab } from "./backtest-tab.tsx";
import { FindingsTab } from "./findings-tab.tsx";
import "./anomalies-view.css";

const TABS: readonly { readonly tab: AnomaliesTab; readonly name: string }[] = [
  { tab: "findings", name: "Findings" },
  { tab: "alerts", name: "Alerts" },
  { tab: "backtest", name: "Backtest" },
];

/** What is not normal, who is told of it, and what it would have been with other settings. */
export default function AnomaliesView() {
  const { anomaliesTab, set } = useWindow();
  const { anomalies, alerts } = useActivity();
  const counts: Record<AnomaliesTab, number> = {
    findings: openFindings(anomalies),
    alerts: alerts?.alerts.length ?? 0,
    backtest: 0,
  };
  return (
    <div className="anomalies">
      <nav className="view-tabs" aria-label="Parts of this view">
        {TABS.map(({ tab, name }) => (
          <button
            key={tab}
            type="button"
            className="view-tab"
            aria-current={tab === anomaliesTab ? "page" : undefined}
            onClick={() => set({ anomaliesTab: tab })}
          >
            {name}
            {counts[tab] > 0 ? <span className="faint"> {formatCount(counts[tab])}</span> : null}
          </button>
        ))}
      </nav>
      {anomaliesTab === "findings" ? <FindingsTab /> : null}
      {anomaliesTab === "alerts" ? <AlertsTab /> : null}
      {anomaliesTab === "backtest" ? <BacktestTab /> : null}
    </div>
  );
}
