import { lazy, Suspense, useEffect } from "react";
import { useConsole, useWorkspaceStream } from "../data/context.tsx";
import { EMPTY_FLOW_QUERY } from "../data/flow-buffer.ts";
import { useWindow } from "../data/window-store.ts";
import { QuestionsSheet } from "../features/activity/index.ts";
import { FlowsView } from "../features/flows/components/flows-view.tsx";
import { HostsView } from "../features/hosts/components/hosts-view.tsx";
import { OverviewView } from "../features/overview/components/overview-view.tsx";
import { usePendingWatcher } from "../features/ship/hooks/use-pending-watcher.ts";
import { Skeleton } from "../ui/index.ts";
import { CommandPalette } from "./command-palette.tsx";
import { DisconnectedBar } from "./disconnected-bar.tsx";
import { Rail } from "./rail.tsx";
import { ShortcutsSheet } from "./shortcuts-sheet.tsx";
import { StatusBar } from "./status-bar.tsx";
import { TopBar } from "./top-bar.tsx";
import { useDesktopShell } from "./use-desktop-shell.ts";
import { useLook } from "./use-look.ts";
import { useRoute } from "./use-route.ts";
import { useShortcuts } from "./use-shortcuts.ts";
import "./app.css";

const AddHostsSheet = lazy(() =>
  import("../features/hosts/components/add-hosts-sheet.tsx").then((module) => ({ default: module.AddHostsSheet })),
);
const PoliciesView = lazy(() => import("../features/policies/components/policies-view.tsx"));
const ShipDrawer = lazy(() => import("../features/ship/components/ship-drawer.tsx"));

/** The frame: rail, bar, the view, status bar, and what lies over them. */
export function App() {
  useLook();
  useRoute();
  useShortcuts();
  useDesktopShell();
  usePendingWatcher();
  useFlowScope();
  useKeepDrafts();
  const view = useWindow((state) => state.view);
  const isAddingHosts = useWindow((state) => state.overlay === "add-hosts");
  const isShipOpen = useWindow((state) => state.overlay === "ship");
  return (
    <div className="frame">
      <Rail />
      <TopBar />
      <main className="view" aria-label={view}>
        <DisconnectedBar />
        <div className="view-body">
          <Suspense fallback={<Skeleton label="Loading the view" />}>
            {view === "overview" ? <OverviewView /> : null}
            {view === "policies" ? <PoliciesView /> : null}
            {view === "flows" ? <FlowsView /> : null}
            {view === "hosts" ? <HostsView /> : null}
          </Suspense>
        </div>
      </main>
      <StatusBar />
      <CommandPalette />
      <ShortcutsSheet />
      <QuestionsSheet />
      {isAddingHosts ? (
        <Suspense fallback={null}>
          <AddHostsSheet />
        </Suspense>
      ) : null}
      {isShipOpen ? (
        <Suspense fallback={null}>
          <ShipDrawer />
        </Suspense>
      ) : null}
    </div>
  );
}

/** Scope and time range belong to the window: they are part of every question about flows. */
function useFlowScope(): void {
  const { connection } = useConsole();
  const flowQuery = useWindow((state) => state.flowQuery);
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const lastMs = useWindow((state) => state.lastMs);
  useEffect(() => {
    const hostIds = scopeHostId === null ? flowQuery.hostIds : [scopeHostId];
    connection.setFlowQuery({ ...EMPTY_FLOW_QUERY, ...flowQuery, hostIds, lastMs });
  }, [connection, flowQuery, scopeHostId, lastMs]);
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
