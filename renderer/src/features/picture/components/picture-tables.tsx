import type { PictureEdge, PictureNode } from "@wardline/api/wardline/console/v1/picture";
import { useMemo } from "react";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { DataGrid, formatCount, type GridColumn, Moment, VerdictMark, visibleText } from "../../../ui/index.ts";
import type { ShownPicture } from "../model/shown.ts";
import {
  classesSaid,
  enforcedSaid,
  flowsSaid,
  idOfEdge,
  nodeName,
  protectionSaid,
  type Said,
  sideSaid,
} from "../model/words.ts";

interface TableProps {
  readonly shown: ShownPicture;
  readonly selectedId: string | null;
  readonly onSelect: (id: string) => void;
}

const mark = ({ shape, words }: Said) => <VerdictMark verdict={shape} words={words} />;

/** Every connection of the picture, with the same three answers. */
export function ConnectionTable({ shown, selectedId, onSelect }: TableProps) {
  const columns = useMemo(() => edgeColumns(shown), [shown]);
  return (
    <DataGrid
      label="Connections between groups"
      rows={shown.edges}
      columns={columns}
      idOf={idOfEdge}
      selectedId={selectedId}
      marked={null}
      onSelect={onSelect}
    />
  );
}

function edgeColumns(shown: ShownPicture): GridColumn<PictureEdge>[] {
  const { byId } = shown;
  const from = ({ sourceId }: PictureEdge) => nodeName(byId.get(sourceId));
  const to = ({ destinationId }: PictureEdge) => nodeName(byId.get(destinationId));
  const lastMs = ({ flows }: PictureEdge) => optionalMs(flows?.lastSeen);
  return [
    { key: "from", name: "From", width: "minmax(84px, 1.4fr)", show: from, order: from },
    { key: "to", name: "To", width: "minmax(84px, 1.4fr)", show: to, order: to },
    {
      ...{ key: "draft", name: "Draft allows", width: "minmax(92px, 1.4fr)" },
      show: ({ draft }) => mark(sideSaid(draft)),
      order: ({ draft }) => sideSaid(draft).words,
    },
    {
      ...{ key: "enforced", name: "Enforced", width: "minmax(92px, 1.4fr)" },
      show: (edge) => mark(enforcedSaid(edge, shown)),
      order: (edge) => enforcedSaid(edge, shown).words,
    },
    {
      ...{ key: "seen", name: "Reported", width: "minmax(104px, 1.4fr)" },
      show: ({ flows }) => mark(flowsSaid(flows)),
      order: ({ flows }) => Number(flows?.connections ?? 0n) + Number(flows?.deniedPackets ?? 0n),
    },
    {
      ...{ key: "last", name: "Last seen", width: "118px" },
      show: (edge) => momentText(lastMs(edge)),
      order: lastMs,
    },
    { key: "class", name: "Difference", width: "minmax(92px, 1.2fr)", show: classesSaid, order: classesSaid },
  ];
}

const momentText = (timeMs: number | null) => (timeMs === null ? "–" : <Moment timeMs={timeMs} form="short" />);

export function GroupTable({ shown, selectedId, onSelect }: TableProps) {
  const columns = useMemo(() => nodeColumns(shown), [shown]);
  return (
    <DataGrid
      label="Groups of the picture"
      rows={shown.nodes}
      columns={columns}
      idOf={({ id }) => id}
      selectedId={selectedId}
      marked={null}
      onSelect={onSelect}
    />
  );
}

function nodeColumns({ edges }: ShownPicture): GridColumn<PictureNode>[] {
  const counts = new Map<string, { into: number; outOf: number }>();
  const countOf = (id: string) => {
    const known = counts.get(id) ?? { into: 0, outOf: 0 };
    counts.set(id, known);
    return known;
  };
  for (const { sourceId, destinationId } of edges) {
    countOf(sourceId).outOf += 1;
    countOf(destinationId).into += 1;
  }
  const policies = ({ policyKeys }: PictureNode) => policyKeys.map(visibleText).join(", ");
  return [
    { key: "group", name: "Group", width: "minmax(140px, 2fr)", show: nodeName, order: nodeName },
    {
      ...{ key: "members", name: "Members", width: "90px" },
      show: ({ members }) => formatCount(members),
      order: ({ members }) => members,
    },
    {
      ...{ key: "protection", name: "Policies for", width: "minmax(140px, 1fr)" },
      show: (node) => mark(protectionSaid(node)),
      order: (node) => protectionSaid(node).words,
    },
    {
      ...{ key: "in", name: "Ways in", width: "84px" },
      show: ({ id }) => formatCount(countOf(id).into),
      order: ({ id }) => countOf(id).into,
    },
    {
      ...{ key: "out", name: "Ways out", width: "84px" },
      show: ({ id }) => formatCount(countOf(id).outOf),
      order: ({ id }) => countOf(id).outOf,
    },
    {
      ...{ key: "away", name: "Away", width: "84px" },
      show: ({ awayMembers }) => formatCount(awayMembers),
      order: ({ awayMembers }) => awayMembers,
    },
    {
      ...{ key: "unknown", name: "Unknown", width: "84px" },
      show: ({ unknownMembers }) => formatCount(unknownMembers),
      order: ({ unknownMembers }) => unknownMembers,
    },
    { key: "policies", name: "Policies", width: "minmax(140px, 2fr)", show: policies, order: policies },
  ];
}
