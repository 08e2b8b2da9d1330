import { useEffect } from "react";
import { useWindow, VIEWS } from "../data/window-store.ts";

/** `#/policies/policies%2Fweb.yaml?line=12`: a place that can be linked to. It opens a view and never acts. */
export function parseRoute(
  hash: string,
): { view: (typeof VIEWS)[number]; argument: string | null; line: number | null } | null {
  const match = /^#\/([a-z]+)(?:\/([^?]*))?(?:\?line=(\d{1,7}))?$/.exec(hash);
  const view = VIEWS.find((candidate) => candidate === match?.[1]);
  if (!match || !view) return null;
  try {
    return { view, argument: match[2] ? decodeURIComponent(match[2]) : null, line: match[3] ? Number(match[3]) : null };
  } catch {
    return null;
  }
}

/** Keeps the address and the window in step, so that back and forward work. */
export function useRoute(): void {
  const view = useWindow((state) => state.view);
  const filePath = useWindow((state) => state.filePath);
  const hostId = useWindow((state) => state.hostId);
  useEffect(() => {
    const follow = () => {
      const route = parseRoute(location.hash);
      if (!route) return;
      const { view, filePath, hostId, openFile, openHost, goTo } = useWindow.getState();
      if (
        route.view === "policies" &&
        route.argument &&
        (route.argument !== filePath || route.line !== null || view !== "policies")
      ) {
        openFile(route.argument, route.line ?? undefined);
      } else if (route.view === "hosts" && route.argument && (route.argument !== hostId || view !== "hosts"))
        openHost(route.argument);
      else if (route.view !== view) goTo(route.view);
    };
    follow();
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    const argument = view === "policies" ? filePath : view === "hosts" ? hostId : null;
    const hash = argument === null ? `#/${view}` : `#/${view}/${encodeURIComponent(argument)}`;
    const current = parseRoute(location.hash);
    if (current?.view === view && current.argument === argument) return;
    // The development page keeps its scenario in the hash until the first move.
    if (current === null && view === "overview") return;
    history.pushState(null, "", hash);
  }, [view, filePath, hostId]);
}
