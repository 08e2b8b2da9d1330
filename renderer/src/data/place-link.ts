/** Links to a place of the console, `wardline://policies/web.yaml?line=12`: for tickets and chats. They open a view and never act. */
import { useWindow, type View, type WindowState } from "./window-store.ts";

export interface Place {
  readonly view: View;
  /** A file, a host, a finding, a question about flows; `null` = the view itself. */
  readonly argument: string | null;
  readonly line?: number | null;
  /** Of the policies, by number or digest. */
  readonly version?: string | null;
}

/** What the address of this window says after the `#`. */
export function hashOf(place: Place): string {
  return `#/${restOf(place)}`;
}

export function linkOf(place: Place): string {
  return `wardline://${restOf(place)}`;
}

function restOf({ view, argument, line, version }: Place): string {
  const query = version ? `?version=${version}` : line ? `?line=${line}` : "";
  return `${view}${argument === null || argument === "" ? "" : `/${encodeURIComponent(argument)}`}${query}`;
}

/** A live flow as a question that finds it on any console that has its records. */
export function flowQueryOf(flow: {
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}): string {
  const port = flow.destinationPort > 0 ? ` port:${flow.destinationPort}` : "";
  return `src:${flow.sourceAddress} dst:${flow.destinationAddress}${port}`;
}

type Shown = Pick<
  WindowState,
  | "view"
  | "filePath"
  | "hostId"
  | "findingId"
  | "meshTab"
  | "meshId"
  | "flowsMode"
  | "flowText"
  | "overlay"
  | "versionPlace"
>;

/** Where the window is. @param flow that is selected in the flows, if any; @param line of the cursor, if it is in an editor */
export function placeOf(state: Shown, flow: Parameters<typeof flowQueryOf>[0] | null = null): Place {
  if (state.overlay === "version" && state.versionPlace)
    return { view: "policies", argument: state.versionPlace.path, version: state.versionPlace.version };
  const { view } = state;
  switch (view) {
    case "policies":
      return { view, argument: state.filePath };
    case "hosts":
      return { view, argument: state.hostId };
    case "anomalies":
      return { view, argument: state.findingId };
    case "mesh":
      return { view, argument: state.meshTab === "topology" ? state.meshId : null };
    case "flows":
      return { view, argument: flow ? flowQueryOf(flow) : state.flowText.trim() || null };
    default:
      return { view, argument: null };
  }
}

/** Whether it is in the clipboard now: not every browser gives one. */
export async function copyLink(place: Place): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(linkOf(place));
    return true;
  } catch {
    return false;
  }
}

/** In words, for who cannot see it. */
export const copiedWords = (place: Place, isDone: boolean): string =>
  isDone ? `Link copied: ${linkOf(place)}` : "The link could not be copied: this browser gives no clipboard.";

export const placeNow = (flow: Parameters<typeof flowQueryOf>[0] | null): Place => placeOf(useWindow.getState(), flow);
