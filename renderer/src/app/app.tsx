import { Suspense, useEffect } from "react";
import { useConsole, useWorkspaceStream } from "../data/context.tsx";
import { useWindow } from "../data/window-store.ts";
import { QuestionsSheet } from "../features/activity/index.ts";
import { useDesktopNotifications } from "../features/alerts/hooks/use-desktop-notifications.ts";
import { AskSheet } from "../features/ask/index.ts";
import { useDesktopNotes } from "../features/notifications/index.ts";
import { OverviewView } from "../features/overview/components/overview-view.tsx";
import { usePendingWatcher } from "../features/ship/hooks/use-pending-watcher.ts";
import { lazyPart, PartBoundary, Skeleton } from "../ui/index.ts";
import { CommandPalette } from "./command-palette.tsx";
import { DisconnectedBar } from "./disconnected-bar.tsx";
import { Rail } from "./rail.tsx";
import { SafeModeBar } from "./safe-mode-bar.tsx";
import { ShortcutsSheet } from "./shortcuts-sheet.tsx";
import { StatusBar } from "./status-bar.tsx";
import { TopBar } from "./top-bar.tsx";
import { useBaseCommands } from "./use-base-commands.ts";
import { useDesktopShell } from "./use-desktop-shell.ts";
import { useLook, useTimeKey } from "./use-look.ts";
import { usePlaceCommands } from "./use-place-commands.ts";
import { useRoute } from "./use-route.ts";
import { useShortcuts } from "./use-shortcuts.ts";
import "./app.css";

const AddHostsSheet = lazyPart(() =>
  import("../features/hosts/components/add-hosts-sheet.tsx").then((module) => ({ default: module.AddHostsSheet })),
);
const FlowsView = lazyPart(() =>
  import("../features/flows/components/flows-view.tsx").then((module) => ({ default: module.FlowsView })),
);
const HostsView = lazyPart(() =>
  import("../features/hosts/components/hosts-view.tsx").then((module) => ({ default: module.HostsView })),
);
const PoliciesView = lazyPart(() => import("../features/policies/components/policies-view.tsx"));
const ClusterView = lazyPart(() => import("../features/cluster/components/cluster-view.tsx"));
const AnomaliesView = lazyPart(() => import("../features/anomalies/components/anomalies-view.tsx"));
const AuditView = lazyPart(() => import("../features/audit/components/audit-view.tsx"));
const SettingsView = lazyPart(() => import("../features/settings/components/settings-view.tsx"));
const MeshView = lazyPart(() => import("../features/mesh/components/mesh-view.tsx"));
const ChangesView = lazyPart(() => import("../features/simulation/components/changes-view.tsx"));
const SuggestionsSheet = lazyPart(() =>
  import("../features/simulation/components/suggestions-sheet.tsx").then((module) => ({
    default: module.SuggestionsSheet,
  })),
);
const VersionSheet = lazyPart(() =>
  import("../features/policies/history/version-sheet.tsx").then((module) => ({ default: module.VersionSheet })),
);
const ShipDrawer = lazyPart(() => import("../features/ship/components/ship-drawer.tsx"));

/** The frame: rail, bar, the view, status bar, and what lies over them. */
export function App() {
  useLook();
  useRoute();
  useShortcuts();
  useBaseCommands();
  usePlaceCommands();
  useDesktopShell();
  usePendingWatcher();
  useFlowScope();
  useKeepDrafts();
  useDesktopNotifications();
  useDesktopNotes();
  const timeKey = useTimeKey();
  const view = useWindow((state) => state.view);
  const isAddingHosts = useWindow((state) => state.overlay === "add-hosts");
  const isAsking = useWindow((state) => state.overlay === "ask");
  const isReadingVersion = useWindow((state) => state.overlay === "version");
  const isShipOpen = useWindow((state) => state.overlay === "ship");
  const isSuggesting = useWindow((state) => state.overlay === "suggestions");
  return (
    <div className="frame">
      <Rail />
      <TopBar />
      <main className="view" aria-label={view}>
        <SafeModeBar />
        <DisconnectedBar />
        <div className="view-body" key={timeKey}>
          <PartBoundary name="This view" resetKey={view}>
            <Suspense fallback={<Skeleton label="Loading the view" />}>
              {view === "overview" ? <OverviewView /> : null}
              {view === "policies" ? <PoliciesView /> : null}
              {view === "flows" ? <FlowsView /> : null}
              {view === "anomalies" ? <AnomaliesView /> : null}
              {view === "hosts" ? <HostsView /> : null}
              {view === "cluster" ? <ClusterView /> : null}
              {view === "mesh" ? <MeshView /> : null}
              {view === "audit" ? <AuditView /> : null}
              {view === "settings" ? <SettingsView /> : null}
              {view === "changes" ? <ChangesView /> : null}
            </Suspense>
          </PartBoundary>
        </div>
      </main>
      <StatusBar />
      <CommandPalette />
      <ShortcutsSheet />
      <QuestionsSheet />
      {isAddingHosts ? (
        <PartBoundary name="The sheet for new hosts" isOver>
          <Suspense fallback={null}>
            <AddHostsSheet />
          </Suspense>
        </PartBoundary>
      ) : null}
      {isSuggesting ? (
        <PartBoundary name="The sheet of suggestions" isOver>
          <Suspense fallback={null}>
            <SuggestionsSheet />
          </Suspense>
        </PartBoundary>
      ) : null}
      {isAsking ? (
        <PartBoundary name="The question box" isOver>
          <Suspense fallback={null}>
            <AskSheet />
          </Suspense>
        </PartBoundary>
      ) : null}
      {isReadingVersion ? (
        <PartBoundary name="The sheet of versions" isOver>
          <Suspense fallback={null}>
            <VersionSheet />
          </Suspense>
        </PartBoundary>
      ) : null}
      {isShipOpen ? (
        <PartBoundary name="The sheet of this change" isOver>
          <Suspense fallback={null}>
            <ShipDrawer />
          </Suspense>
        </PartBoundary>
      ) : null}
    </div>
  );
}

/** Scope and time range belong to the window: they are part of every question about flows. */
function useFlowScope(): void {
  const { connection } = useConsole();
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const lastMs = useWindow((state) => state.lastMs);
  useEffect(() => {
    connection.askLive({ hostIds: scopeHostId === null ? [] : [scopeHostId], lastMs });
  }, [connection, scopeHostId, lastMs]);
}

/** Clean drafts follow the workspace; a window with unsaved text asks before it closes. */
function useKeepDrafts(): void {
  const { drafts } = useConsole();
  const files = useWorkspaceStream().value?.files;
  useEffect(() => {
    for (const file of files ?? []) void drafts.follow(file.path, file.revision);
  }, [drafts, files]);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (drafts.unsaved().length > 0) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [drafts]);
}
