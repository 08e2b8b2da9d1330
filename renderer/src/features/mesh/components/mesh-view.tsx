import { useActivity } from "../../../data/context.tsx";
import { type MeshTab, useWindow } from "../../../data/window-store.ts";
import { formatCount } from "../../../ui/index.ts";
import { HealingTab } from "./healing-tab.tsx";
import { TopologyTab } from "./topology-tab.tsx";
import "./mesh-view.css";
import "./mesh-panel.css";
import "./healing.css";

const TABS: readonly { readonly tab: MeshTab; readonly name: string }[] = [
  { tab: "topology", name: "Topology" },
  { tab: "healing", name: "Healing" },
];

/** The mesh: what is up, how good each way is, and what is done about faults. */
export default function MeshView() {
  const { meshTab, set } = useWindow();
  const waiting = useActivity().mesh?.needingPerson ?? 0;
  return (
    <div className="mesh">
      <nav className="view-tabs" aria-label="Parts of this view">
        {TABS.map(({ tab, name }) => (
          <button
            key={tab}
            type="button"
            className="view-tab"
            aria-current={tab === meshTab ? "page" : undefined}
            onClick={() => set({ meshTab: tab })}
          >
            {name}
            {tab === "healing" && waiting > 0 ? <span className="faint"> {formatCount(waiting)} for you</span> : null}
          </button>
        ))}
      </nav>
      {meshTab === "topology" ? <TopologyTab /> : <HealingTab />}
    </div>
  );
}
