import { useState } from "react";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Tabs } from "../../../ui/index.ts";
import { SimulationTab } from "./simulation-tab.tsx";
import { SuggestionsPanel } from "./suggestions-panel.tsx";
import { VerdictsTab } from "./verdicts-tab.tsx";
import "./simulation.css";

type ChangesTab = "verdicts" | "simulation" | "suggestions";

/** What exactly changes if the draft is applied: by verdict, by recorded flow, and what else would be worth a policy. */
export default function ChangesView() {
  const [tab, setTab] = useState<ChangesTab>("verdicts");
  const show = useWindow((state) => state.show);
  return (
    <div className="changes">
      <Tabs<ChangesTab>
        label="Parts of this view"
        value={tab}
        tabs={[
          { value: "verdicts", label: "Verdicts" },
          { value: "simulation", label: "Simulation" },
          { value: "suggestions", label: "Suggestions" },
        ]}
        onChange={setTab}
        actions={
          <Button size="small" tone="primary" onPress={() => show("ship")}>
            Review and apply
          </Button>
        }
      >
        {tab === "verdicts" ? <VerdictsTab onSimulate={() => setTab("simulation")} /> : null}
        {tab === "simulation" ? <SimulationTab /> : null}
        {tab === "suggestions" ? <SuggestionsPanel /> : null}
      </Tabs>
    </div>
  );
}
