import type { ReactNode } from "react";
import { Tabs as AriaTabs, Tab, TabList, TabPanel } from "react-aria-components";
import "./tabs.css";

export interface TabChoice<Value extends string> {
  readonly value: Value;
  readonly label: string;
  /** Beside the label: how many wait, never how many exist. */
  readonly badge?: string;
  readonly icon?: ReactNode;
}

interface TabsProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly tabs: readonly TabChoice<Value>[];
  readonly onChange: (value: Value) => void;
  /** At the end of the row of tabs. */
  readonly actions?: ReactNode;
  /** What the chosen tab shows. */
  readonly children: ReactNode;
}

/** A few faces of one thing. Arrow keys go from tab to tab; only the chosen one is in the page. */
export function Tabs<Value extends string>({ label, value, tabs, onChange, actions, children }: TabsProps<Value>) {
  return (
    <AriaTabs
      className="tabs"
      selectedKey={value}
      onSelectionChange={(key) => {
        const chosen = tabs.find((tab) => tab.value === key);
        if (chosen) onChange(chosen.value);
      }}
    >
      <div className="tabs-row">
        <TabList className="tabs-list" aria-label={label}>
          {tabs.map((tab) => (
            <Tab key={tab.value} id={tab.value} className="tab">
              {tab.icon}
              {tab.label}
              {tab.badge ? <span className="tab-badge">{tab.badge}</span> : null}
            </Tab>
          ))}
        </TabList>
        {actions}
      </div>
      <TabPanel key={value} id={value} className="tabs-panel">
        {children}
      </TabPanel>
    </AriaTabs>
  );
}
