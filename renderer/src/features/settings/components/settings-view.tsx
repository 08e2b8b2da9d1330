import { FileText, LifeBuoy, Search } from "lucide-react";
import { Suspense, useDeferredValue, useState } from "react";
import { useSettings } from "../../../data/settings.ts";
import { Button, EmptyState, lazyPart, ScrollRegion, TextField, visibleText } from "../../../ui/index.ts";
import { ConfigurationPanel, SourcePanel } from "../../configuration/index.ts";
import { settingRows } from "../model/rows.ts";
import { KeptData } from "./kept-data.tsx";
import { SettingItem } from "./setting-item.tsx";
import { SettingsProblems } from "./settings-problems.tsx";
import "./settings-view.css";

const SettingsFileSheet = lazyPart(() => import("./settings-file-sheet.tsx"));
const SupportSheet = lazyPart(() => import("./support-sheet.tsx"));

/** Every setting with its origin; a search; what is wrong with the file on top of all. */
export default function SettingsView() {
  const state = useSettings((store) => store.state);
  const [search, setSearch] = useState("");
  const [open, setOpen] = useState<"nothing" | "file" | "support">("nothing");
  const groups = settingRows(state, useDeferredValue(search));
  return (
    <div className="settings">
      <header className="settings-head">
        <h1>Settings</h1>
        <TextField
          label="Search the settings"
          isLabelHidden
          placeholder="Search: theme, keys, quiet hours…"
          icon={<Search size={14} aria-hidden="true" />}
          value={search}
          onChange={setSearch}
        />
        <span className="top-bar-space" />
        <Button icon={<LifeBuoy size={14} aria-hidden="true" />} onPress={() => setOpen("support")}>
          Support bundle…
        </Button>
        <Button icon={<FileText size={14} aria-hidden="true" />} onPress={() => setOpen("file")}>
          Open the file
        </Button>
      </header>
      <ScrollRegion label="Settings" className="settings-body">
        {state ? <SettingsProblems state={state} onOpen={() => setOpen("file")} /> : null}
        <p className="soft wrap-anywhere">
          {state
            ? `They are in ${visibleText(state.path)}${state.exists ? "" : ", which is made with the first change"}: edit it whenever you like, every open window follows.`
            : "The console has not told its settings yet; these are from when this window last heard of them."}
        </p>
        {groups.length === 0 ? (
          <EmptyState
            picture={<Search size={32} />}
            title="No setting has these words"
            action={<Button onPress={() => setSearch("")}>Show all settings</Button>}
          >
            Names, explanations and values were searched.
          </EmptyState>
        ) : null}
        {groups.map(({ group, rows }) => (
          <section key={group} className="settings-group" aria-label={group}>
            <h2>{group}</h2>
            <ul>
              {rows.map((row) => (
                <SettingItem key={row.key} row={row} isFileBroken={state?.broken ?? false} />
              ))}
            </ul>
          </section>
        ))}
        {search === "" ? <KeptData /> : null}
        {search === "" ? (
          <Suspense fallback={null}>
            <ConfigurationPanel />
            <SourcePanel />
          </Suspense>
        ) : null}
      </ScrollRegion>
      <Suspense fallback={null}>
        {open === "file" ? <SettingsFileSheet onClose={() => setOpen("nothing")} /> : null}
        {open === "support" ? <SupportSheet onClose={() => setOpen("nothing")} /> : null}
      </Suspense>
    </div>
  );
}
