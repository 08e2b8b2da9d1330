import { useEffect } from "react";
import { hashOf, type Place } from "../data/place-link.ts";
import { useWindow, VIEWS, type WindowState } from "../data/window-store.ts";

/** `#/policies/policies%2Fweb.yaml?line=12`: a place that can be linked to. It opens a view and never acts. */
export function parseRoute(hash: string): Required<Place> | null {
  const match = /^#\/([a-z]+)(?:\/([^?]*))?(?:\?line=(\d{1,7})|\?version=(\d{1,9}|[0-9a-f]{12,64}))?$/.exec(hash);
  const view = VIEWS.find((candidate) => candidate === match?.[1]);
  if (!match || !view) return null;
  try {
    const argument = match[2] ? decodeURIComponent(match[2]) : null;
    return { view, argument, line: match[3] ? Number(match[3]) : null, version: match[4] ?? null };
  } catch {
    return null;
  }
}

const RUN_PREFIX = "run/";

/** The node or link that is looked at, or `run/ID` while it is the healing. */
function placeInMesh({ meshTab, meshId, healingRunId }: Pick<WindowState, "meshTab" | "meshId" | "healingRunId">) {
  return meshTab === "topology" ? meshId : `${RUN_PREFIX}${healingRunId ?? ""}`;
}

function openPlaceInMesh(place: string): void {
  const { openMesh, openHealing } = useWindow.getState();
  if (place.startsWith(RUN_PREFIX)) openHealing(place.slice(RUN_PREFIX.length) || null);
  else openMesh(place);
}

/** Keeps the address and the window in step, so that back and forward work. */
export function useRoute(): void {
  const view = useWindow((state) => state.view);
  const filePath = useWindow((state) => state.filePath);
  const hostId = useWindow((state) => state.hostId);
  const findingId = useWindow((state) => state.findingId);
  const meshPlace = useWindow(placeInMesh);
  useEffect(() => {
    const follow = () => {
      const route = parseRoute(location.hash);
      if (!route) return;
      const state = useWindow.getState();
      const { view, filePath, hostId, findingId, openFile, openHost, openFinding, openHistory, goTo } = state;
      if (route.view === "policies" && route.version !== null) {
        goTo("policies");
        state.openVersion(route.version, route.argument);
        // The sheet lies over the place: the same link opens it again when it was closed.
        history.replaceState(null, "", hashOf({ view: "policies", argument: filePath }));
      } else if (
        route.view === "policies" &&
        route.argument &&
        (route.argument !== filePath || route.line !== null || view !== "policies")
      ) {
        openFile(route.argument, route.line ?? undefined);
      } else if (route.view === "hosts" && route.argument && (route.argument !== hostId || view !== "hosts"))
        openHost(route.argument);
      else if (route.view === "anomalies" && route.argument && (route.argument !== findingId || view !== "anomalies"))
        openFinding(route.argument);
      else if (route.view === "flows" && route.argument) {
        openHistory(route.argument);
        history.replaceState(null, "", hashOf({ view: "flows", argument: null }));
      } else if (route.view === "mesh" && route.argument && (route.argument !== placeInMesh(state) || view !== "mesh"))
        openPlaceInMesh(route.argument);
      else if (route.view !== view) goTo(route.view);
    };
    follow();
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    const argument =
      view === "policies"
        ? filePath
        : view === "hosts"
          ? hostId
          : view === "anomalies"
            ? findingId
            : view === "mesh"
              ? meshPlace
              : null;
    const hash = argument === null ? `#/${view}` : `#/${view}/${encodeURIComponent(argument)}`;
    const current = parseRoute(location.hash);
    if (current?.view === view && current.argument === argument) return;
    // The development page keeps its scenario in the hash until the first move.
    if (current === null && view === "overview") return;
    history.pushState(null, "", hash);
  }, [view, filePath, hostId, findingId, meshPlace]);
}
