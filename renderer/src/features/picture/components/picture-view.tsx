import { Waypoints } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useHostsStream } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { readPalette } from "../../../graph/palette.ts";
import { hasWebGl } from "../../../graph/web-gl.ts";
import {
  EmptyState,
  FailureNotice,
  formatCount,
  formatQuantity,
  formatShortDateTime,
  Notice,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import { usePicture, usePictureBasis } from "../hooks/use-picture.ts";
import { type Export, pictureCsv, picturePng, pictureSvg, saveAs } from "../model/exports.ts";
import { usePictureLook } from "../model/picture-store.ts";
import { type ShownPicture, shownPicture } from "../model/shown.ts";
import { heardSaid } from "../model/words.ts";
import { ChoicePanel } from "./choice-panel.tsx";
import { EdgePanel } from "./edge-panel.tsx";
import { loaded } from "./loaded.tsx";
import { NodePanel } from "./node-panel.tsx";
import { PictureColumns } from "./picture-columns.tsx";
import { type ExportKind, PictureHeader, pictureWords } from "./picture-header.tsx";
import { ConnectionTable, GroupTable } from "./picture-tables.tsx";
import "./picture.css";

const loadGraph = () => import("./picture-graph.tsx");
/** Loaded when a picture is drawn: the canvas is a large part of its own. */
const PictureGraph = loaded(loadGraph, <Skeleton rows={8} label="Loading the picture" />);

interface PictureViewProps {
  /** Only what the policies of this file are about, and its neighbours. */
  readonly file?: string | null;
}

/** The picture of the policy: what the draft allows, what is enforced and what was seen between groups. */
export default function PictureView({ file = null }: PictureViewProps) {
  const basis = usePictureBasis();
  const answer = usePicture(basis, file ?? "");
  const { classes, port, namespace, search, focusId } = usePictureLook();
  const picture = answer.data;
  const { nodes, edges } = picture ?? {};
  // A picture that is told again keeps its nodes and edges.
  const parts = useMemo(() => (nodes && edges ? { nodes, edges } : null), [nodes, edges]);
  const left = useMemo(
    () => parts && shownPicture(parts, { classes, port, namespace, search, focusId }),
    [parts, classes, port, namespace, search, focusId],
  );
  const shown = useMemo(() => (left && picture ? { ...left, picture } : null), [left, picture]);
  // While the console draws, the canvas is on its way.
  useEffect(() => void loadGraph(), []);
  const failure = answer.error ? shownFailure(answer.error) : null;
  if (!shown) {
    if (failure)
      return <FailureNotice title="There is no picture" failure={failure} onRetry={() => void answer.refetch()} />;
    return <Skeleton rows={12} label="Drawing the picture" />;
  }
  if (shown.picture.endpoints === 0) {
    return (
      <EmptyState picture={<Waypoints size={44} strokeWidth={1.2} />} title="Nobody is in the inventory yet">
        Declare hosts and workloads, or add hosts under Hosts: then this shows who may talk to whom, and who does.
      </EmptyState>
    );
  }
  return (
    <div className="picture">
      <PictureMain shown={shown} file={file}>
        {failure ? (
          <FailureNotice
            isCompact
            title="The picture is the last that could be drawn"
            failure={failure}
            onRetry={() => void answer.refetch()}
          />
        ) : null}
      </PictureMain>
      <SideOf shown={shown} basis={basis} />
    </div>
  );
}

function PictureMain({
  shown,
  file,
  children,
}: {
  shown: ShownPicture;
  file: string | null;
  children: React.ReactNode;
}) {
  const { face, overlay, selectedId, chosen, focusId, select, choose } = usePictureLook();
  const [isLost, setLost] = useState(false);
  const [printed, setPrinted] = useState("");
  const places = useRef<Export["places"]>(() => new Map());
  const canDraw = !isLost && hasWebGl();
  const placesKey = `wardline.picture.places:${usePlacesOwner()}`;
  const marks = useMemo(() => ({ overlay, selectedId, chosen }), [overlay, selectedId, chosen]);
  useEffect(() => {
    if (printed === "") return;
    window.print();
    setPrinted("");
  }, [printed]);
  const exportAs = async (kind: ExportKind) => {
    const what = { shown, overlay, places: places.current, palette: readPalette() };
    if (kind === "csv") saveAs("wardline-picture.csv", new Blob([pictureCsv(shown)], { type: "text/csv" }));
    else if (kind === "png") saveAs("wardline-picture.png", await picturePng(what));
    else if (kind === "svg") saveAs("wardline-picture.svg", new Blob([pictureSvg(what)], { type: "image/svg+xml" }));
    else setPrinted(pictureSvg(what));
  };
  const subjects = shown.picture.nodes.filter(({ id, inFocus }) => (focusId === null ? inFocus : id === focusId));
  const isPicture = face === "picture" && canDraw;
  const table = { shown, selectedId, onSelect: select };
  return (
    <section className="picture-main" aria-label={file === null ? "Picture of the policy" : "Picture of this file"}>
      <PictureHeader shown={shown} onExport={(kind) => void exportAs(kind)} />
      {children}
      <AwayHosts shown={shown} />
      <PictureNotes shown={shown} />
      {face === "picture" && !canDraw ? (
        <Notice tone="unknown">
          This window cannot draw the picture: its graphics (WebGL) are off or were lost. The tables have the same.
        </Notice>
      ) : null}
      <div className="picture-face">
        {isPicture ? (
          <PictureGraph
            shown={shown}
            marks={marks}
            placesKey={placesKey}
            onSelect={select}
            onChoose={choose}
            onLost={() => setLost(true)}
            onPlaces={(read) => {
              places.current = read;
            }}
          />
        ) : null}
        {face === "groups" ? <GroupTable {...table} /> : null}
        {face === "connections" || (face === "picture" && !canDraw) ? <ConnectionTable {...table} /> : null}
        {face === "columns" ? (
          subjects.length > 0 ? (
            <PictureColumns {...table} subjects={subjects} />
          ) : (
            <EmptyState picture={<Waypoints size={44} strokeWidth={1.2} />} title="Whose ways in and out?">
              Choose a group in the picture or in the table of groups, then “Ingress and egress”.
            </EmptyState>
          )
        ) : null}
      </div>
      <p className="picture-foot faint">{footWords(shown)}</p>
      {printed === "" ? null : <PrintSheet svg={printed} title={pictureWords(shown)} />}
    </section>
  );
}

/** Pictures of different consoles are different pictures, also in one browser. */
function usePlacesOwner(): string {
  const hosts = useHostsStream().value?.hosts ?? [];
  return hosts.find(({ id }) => id === "local")?.name ?? "";
}

function footWords(shown: ShownPicture): string {
  const { since, until, madeAt, unrestrictedPairs } = shown.picture;
  const [sinceMs, untilMs, madeMs] = [optionalMs(since), optionalMs(until), optionalMs(madeAt)];
  const window =
    sinceMs === null || untilMs === null ? "" : `, ${formatShortDateTime(sinceMs)} to ${formatShortDateTime(untilMs)}`;
  const open =
    unrestrictedPairs > 0n
      ? ` ${formatCount(unrestrictedPairs)} more pairs are open because no policy restricts them and nobody used them: not drawn.`
      : "";
  return `${pictureWords(shown)}${window}. Drawn ${madeMs === null ? "now" : formatShortDateTime(madeMs)}.${open}`;
}

const MOST_NAMED = 4;

/** What is shown as enforced there is the last that was heard of it. */
function AwayHosts({ shown }: { shown: ShownPicture }) {
  const away = shown.picture.hosts.flatMap(({ name, awaySince, problem }) => {
    const sinceMs = optionalMs(awaySince);
    return sinceMs === null || problem !== "" ? [] : [{ name, sinceMs }];
  });
  if (away.length === 0) return null;
  const nowMs = optionalMs(shown.picture.madeAt) ?? 0;
  const named = away
    .toSorted((one, other) => one.sinceMs - other.sinceMs)
    .slice(0, MOST_NAMED)
    .map(({ name, sinceMs }) => `${visibleText(name)} (${heardSaid(sinceMs, nowMs)})`);
  const more = away.length > MOST_NAMED ? ` and ${away.length - MOST_NAMED} more` : "";
  return (
    <Notice tone="unknown">
      {formatQuantity(away.length, "host")} {away.length === 1 ? "is" : "are"} away: {named.join(", ")}
      {more}. What is shown as enforced there is the last that was heard, not what holds now.
    </Notice>
  );
}

function PictureNotes({ shown }: { shown: ShownPicture }) {
  const { notes, edgesLeftOut, hosts } = shown.picture;
  const unknown = hosts.filter(({ problem }) => problem !== "");
  const lines = [
    ...notes,
    ...(edgesLeftOut > 0n
      ? [`The ${formatCount(edgesLeftOut)} least important connections are not in the picture.`]
      : []),
    ...unknown.slice(0, 3).map(({ name, problem }) => `What ${name} enforces is not known: ${problem}`),
    ...(unknown.length > 3 ? [`The same of ${unknown.length - 3} more hosts.`] : []),
  ];
  if (lines.length === 0) return null;
  return (
    <details className="picture-notes">
      <summary>
        {lines.length === 1 ? visibleText(lines[0] ?? "") : `${lines.length} things to know about this picture`}
      </summary>
      {lines.length === 1 ? null : (
        <ul>
          {lines.map((line) => (
            <li key={line}>{visibleText(line)}</li>
          ))}
        </ul>
      )}
    </details>
  );
}

/** On paper only. The SVG is our own, with every name escaped; it is parsed as XML, never as a page. */
function PrintSheet({ svg, title }: { svg: string; title: string }) {
  return (
    <div className="picture-print">
      <h1>{title}</h1>
      <div
        ref={(element) => {
          if (element?.childElementCount === 0) element.append(parsed(svg));
        }}
      />
    </div>
  );
}

const parsed = (svg: string) => new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;

function SideOf({ shown, basis }: { shown: ShownPicture; basis: Parameters<typeof EdgePanel>[0]["basis"] }) {
  const { selectedId, chosen, select } = usePictureLook();
  if (chosen.size > 0) return <ChoicePanel shown={shown} basis={basis} />;
  if (selectedId === null) return null;
  const close = () => select(null);
  const edge = shown.edgeById.get(selectedId);
  if (edge) return <EdgePanel key={selectedId} edge={edge} shown={shown} basis={basis} onClose={close} />;
  const node = shown.byId.get(selectedId);
  return node ? <NodePanel key={selectedId} node={node} shown={shown} onClose={close} /> : null;
}
