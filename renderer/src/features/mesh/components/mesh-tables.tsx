import type { MeshDirection, MeshLink, MeshNode } from "@wardline/api/wardline/console/v1/mesh";
import { useMemo } from "react";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { DataGrid, type GridColumn, Moment, VerdictMark, visibleText } from "../../../ui/index.ts";
import type { ShownMesh } from "../model/shown.ts";
import {
  directionWords,
  isWeak,
  latencyText,
  linkWords,
  NODE_STATES,
  nodeLabel,
  PROVIDER_NAMES,
  shareText,
} from "../model/words.ts";

interface TableProps {
  readonly picture: MeshPicture;
  readonly shown: ShownMesh;
  readonly selectedId: string | null;
  readonly marked: ReadonlySet<string> | null;
  readonly onSelect: (id: string) => void;
}

export function NodeTable({ shown, selectedId, marked, onSelect }: TableProps) {
  const columns = useMemo(() => nodeColumns(shown), [shown]);
  return (
    <DataGrid
      label="Nodes of the mesh"
      rows={shown.nodes}
      columns={columns}
      idOf={({ id }) => id}
      selectedId={selectedId}
      marked={marked}
      onSelect={onSelect}
    />
  );
}

function nodeColumns(shown: ShownMesh): GridColumn<MeshNode>[] {
  const linksOf = (node: MeshNode) => shown.linksOf.get(node.id) ?? [];
  const up = (node: MeshNode) => linksOf(node).filter((link) => link.up).length;
  const weak = (node: MeshNode) => linksOf(node).filter(isWeak).length;
  const part = (node: MeshNode) => shown.partOf.get(node.id) ?? null;
  const role = (node: MeshNode) =>
    shown.singlePoints.has(node.id)
      ? "holds the mesh together"
      : shown.singleUplinks.has(node.id)
        ? "hangs on one link"
        : "";
  return [
    {
      key: "node",
      name: "Node",
      width: "minmax(120px, 2fr)",
      show: (node) => nodeLabel(node),
      order: (node) => node.label,
    },
    {
      key: "state",
      name: "State",
      width: "110px",
      show: ({ state }) => <VerdictMark verdict={NODE_STATES[state].shape} words={NODE_STATES[state].words} />,
      order: ({ state }) => NODE_STATES[state].words,
    },
    {
      key: "since",
      name: "Since",
      width: "110px",
      show: ({ stateSince }) => momentText(optionalMs(stateSince)),
      order: ({ stateSince }) => optionalMs(stateSince),
    },
    {
      key: "meshes",
      name: "Meshes",
      width: "minmax(110px, 1fr)",
      show: meshesOf,
      order: meshesOf,
    },
    {
      key: "links",
      name: "Links up",
      width: "84px",
      show: (node) => `${up(node)} of ${linksOf(node).length}`,
      order: up,
    },
    { key: "weak", name: "Weak", width: "64px", show: (node) => weak(node) || "–", order: weak },
    {
      key: "part",
      name: "Part",
      width: "60px",
      show: (node) => (part(node) === null ? "–" : (part(node) ?? 0) + 1),
      order: part,
    },
    {
      key: "role",
      name: "Weight",
      width: "minmax(120px, 1fr)",
      show: (node) => role(node) || "–",
      order: (node) => role(node) || null,
    },
    {
      key: "problem",
      name: "Problem",
      width: "minmax(140px, 3fr)",
      show: ({ problems }) => visibleText(problems[0] ?? "") || "–",
      order: ({ problems }) => problems[0] ?? null,
    },
  ];
}

const meshesOf = ({ identities }: MeshNode) =>
  [...new Set(identities.map(({ provider }) => PROVIDER_NAMES[provider]))].join(", ") || "–";

const momentText = (ms: number | null) => (ms === null ? "not known" : <Moment timeMs={ms} form="short" />);

export function LinkTable({ picture, shown, selectedId, marked, onSelect }: TableProps) {
  const columns = useMemo(() => linkColumns(picture.nodes), [picture.nodes]);
  return (
    <DataGrid
      label="Links of the mesh"
      rows={shown.links}
      columns={columns}
      idOf={({ id }) => id}
      selectedId={selectedId}
      marked={marked}
      onSelect={onSelect}
    />
  );
}

/** Not measured is a dash here: the panel says it in words. */
const figure = (value: number | null, format: (value: number) => string) => (value === null ? "–" : format(value));

function linkColumns(nodes: MeshPicture["nodes"]): GridColumn<MeshLink>[] {
  const end = (id: string) => nodeLabel(nodes.get(id), id);
  const way = (direction: MeshDirection | undefined) => {
    const { words, shape } = directionWords(direction);
    return <VerdictMark verdict={shape} words={words} />;
  };
  const latency = ({ aToB, bToA }: MeshLink) => aToB?.latencyMs ?? bToA?.latencyMs ?? null;
  const loss = ({ aToB, bToA }: MeshLink) => {
    const measured = [aToB?.loss, bToA?.loss].filter((value) => value !== undefined);
    return measured.length === 0 ? null : Math.max(...measured);
  };
  const score = (direction: MeshDirection | undefined) => (direction?.up ? (direction.score ?? null) : null);
  return [
    { key: "a", name: "From", width: "minmax(80px, 2fr)", show: ({ a }) => end(a), order: ({ a }) => end(a) },
    { key: "b", name: "To", width: "minmax(80px, 2fr)", show: ({ b }) => end(b), order: ({ b }) => end(b) },
    {
      key: "provider",
      name: "Mesh",
      width: "84px",
      show: ({ provider }) => PROVIDER_NAMES[provider],
      order: ({ provider }) => PROVIDER_NAMES[provider],
    },
    {
      key: "state",
      name: "Link",
      width: "104px",
      show: (link) => <VerdictMark verdict={linkWords(link).shape} words={linkWords(link).words} />,
      order: (link) => linkWords(link).words,
    },
    { key: "there", name: "There", width: "98px", show: ({ aToB }) => way(aToB), order: ({ aToB }) => score(aToB) },
    { key: "back", name: "Back", width: "98px", show: ({ bToA }) => way(bToA), order: ({ bToA }) => score(bToA) },
    {
      key: "latency",
      name: "Latency",
      width: "72px",
      show: (link) => figure(latency(link), latencyText),
      order: latency,
    },
    { key: "loss", name: "Loss", width: "64px", show: (link) => figure(loss(link), shareText), order: loss },
    {
      key: "single",
      name: "Weight",
      width: "minmax(76px, 1fr)",
      show: ({ bridge }) => (bridge ? "the only way" : "–"),
      order: ({ bridge }) => (bridge ? 0 : null),
    },
    {
      key: "since",
      name: "Since",
      width: "110px",
      show: ({ since }) => momentText(optionalMs(since)),
      order: ({ since }) => optionalMs(since),
    },
  ];
}
