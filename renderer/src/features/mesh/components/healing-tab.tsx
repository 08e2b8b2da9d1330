import type { HostHealingRun, MeshHealingStatus } from "@wardline/api/wardline/console/v1/mesh";
import { HeartPulse } from "lucide-react";
import { useState } from "react";
import { useActivity, useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { EmptyState, Moment, Notice, VerdictMark, visibleText } from "../../../ui/index.ts";
import { FAULT_NAMES, MODES, RUN_STATES, repairTimeText } from "../model/healing-words.ts";
import { groupOf, type RunGroup } from "../model/needs.ts";
import { HealingSettingsLine } from "./healing-settings.tsx";
import { KnowledgeTable } from "./knowledge-table.tsx";
import { RunDetail } from "./run-detail.tsx";

const GROUPS: readonly { readonly group: RunGroup; readonly name: string }[] = [
  { group: "person", name: "Needs you" },
  { group: "open", name: "Going on" },
  { group: "ended", name: "Ended" },
];

/** Left what was found and what became of it; right one of them, step by step. */
export function HealingTab() {
  const { mesh } = useActivity();
  const { healingRunId, openHealing } = useWindow();
  if (mesh === null) {
    return (
      <EmptyState picture={<HeartPulse size={44} strokeWidth={1.2} />} title="Healing is not known yet">
        Nothing was told about meshes: no host with one is connected, or the backend is older than this window.
      </EmptyState>
    );
  }
  const selected = mesh.runs.find(({ run }) => run?.id === healingRunId) ?? null;
  return (
    <div className="healing" data-detail={healingRunId === null ? undefined : ""}>
      <div className="healing-main scroll">
        {mesh.healing.map((status) => (
          <HealingSettingsLine key={status.coordinator} status={status} />
        ))}
        {mesh.runs.length === 0 ? <NothingWrong healing={mesh.healing} /> : <RunGroups runs={mesh.runs} />}
        <KnowledgeTable healing={mesh.healing} />
      </div>
      {healingRunId === null ? null : selected?.run ? (
        <RunDetail key={healingRunId} hostId={selected.hostId} run={selected.run} onClose={() => openHealing(null)} />
      ) : (
        <aside className="mesh-panel scroll" aria-label="Healing run">
          <Notice
            tone="unknown"
            action={
              <button type="button" className="link" onClick={() => openHealing(null)}>
                Close
              </button>
            }
          >
            This run is not among the newest any more. The host's audit log has what was done.
          </Notice>
        </aside>
      )}
    </div>
  );
}

function NothingWrong({ healing }: { healing: readonly MeshHealingStatus[] }) {
  const mode = healing[0]?.settings?.mode;
  return (
    <EmptyState picture={<HeartPulse size={44} strokeWidth={1.2} />} title="No fault was found">
      <p>
        Peers, links, daemons and hosts are watched all the time. When one fails, the single fault that explains what is
        seen is looked for here, with what would repair it.
      </p>
      {mode === undefined ? null : (
        <p>
          {MODES[mode].name}: {MODES[mode].sentence}
        </p>
      )}
    </EmptyState>
  );
}

function RunGroups({ runs }: { runs: readonly HostHealingRun[] }) {
  const [showsAll, setShowsAll] = useState(false);
  return GROUPS.map(({ group, name }) => {
    const members = runs.filter(({ run }) => run !== undefined && groupOf(run) === group);
    if (members.length === 0) return null;
    const shown = group === "ended" && !showsAll ? members.slice(0, 12) : members;
    return (
      <section key={group} className="mesh-section" aria-labelledby={`runs-${group}`}>
        <h2 id={`runs-${group}`}>
          {name} <span className="faint">{members.length}</span>
        </h2>
        <ul className="run-list">
          {shown.map((entry) => (
            <RunRow key={`${entry.hostId} ${entry.run?.id}`} entry={entry} />
          ))}
        </ul>
        {shown.length < members.length ? (
          <button type="button" className="link" onClick={() => setShowsAll(true)}>
            Show all {members.length}
          </button>
        ) : null}
      </section>
    );
  });
}

function RunRow({ entry: { run } }: { entry: HostHealingRun }) {
  const nowMs = useConsoleNow();
  const { healingRunId, openHealing } = useWindow();
  if (!run) return null;
  const state = RUN_STATES[run.state];
  const seenMs = optionalMs(run.endedAt) ?? optionalMs(run.firstSymptomAt);
  const repaired = repairTimeText(run.timeToRepair);
  return (
    <li>
      <button
        type="button"
        className="run-row"
        aria-current={run.id === healingRunId ? "true" : undefined}
        onClick={() => openHealing(run.id)}
      >
        <span className="mesh-line">
          <VerdictMark verdict={state.shape} words={state.words} />
          <span className="soft">{FAULT_NAMES[run.fault]}</span>
          <span className="soft truncate">{run.hosts.map(visibleText).join(", ")}</span>
          {repaired ? <span className="soft">in {repaired}</span> : null}
          <span className="run-row-time faint">
            {seenMs === null ? null : <Moment timeMs={seenMs} nowMs={nowMs} />}
          </span>
        </span>
        <span className="wrap-anywhere">{visibleText(run.cause)}</span>
      </button>
    </li>
  );
}
