import { type PictureClass, PictureGrouping } from "@wardline/api/wardline/console/v1/picture";
import { Download, X } from "lucide-react";
import { ActionMenu, Button, formatCount, formatQuantity, Select, TextField } from "../../../ui/index.ts";
import { type Face, OVERLAYS, usePictureLook } from "../model/picture-store.ts";
import type { ShownPicture } from "../model/shown.ts";
import { CLASS_WORDS, CLASSES, GROUPING_WORDS, nodeName } from "../model/words.ts";

export type ExportKind = "svg" | "png" | "csv" | "print";

interface HeaderProps {
  readonly shown: ShownPicture;
  readonly onExport: (kind: ExportKind) => void;
}

const FACES: readonly { readonly value: Face; readonly label: string }[] = [
  { value: "picture", label: "Picture" },
  { value: "connections", label: "Connections" },
  { value: "groups", label: "Groups" },
  { value: "columns", label: "Ingress · egress" },
];

/** Faces, overlays, filters; every filter says how much it means. */
export function PictureHeader({ shown, onExport }: HeaderProps) {
  const { face, overlay, classes, port, namespace, search, focusId, look } = usePictureLook();
  const { picture } = shown;
  const namespaces = [...new Set(picture.nodes.map((node) => node.namespace).filter(Boolean))].sort();
  const focus = focusId === null ? undefined : shown.byId.get(focusId);
  const toggle = (name: PictureClass) => {
    const next = new Set(classes);
    if (!next.delete(name)) next.add(name);
    look({ classes: next });
  };
  return (
    <div className="picture-header">
      <div className="picture-row">
        <fieldset className="picture-faces" aria-label="How to look at it">
          {FACES.map(({ value, label }) => (
            <button key={value} type="button" aria-pressed={face === value} onClick={() => look({ face: value })}>
              {label} {value === "connections" ? <Count of={shown.edges.length} /> : null}
              {value === "groups" ? <Count of={shown.nodes.length} /> : null}
            </button>
          ))}
        </fieldset>
        <fieldset className="picture-faces" aria-label="What lines show">
          {OVERLAYS.map(({ value, label }) => (
            <button key={value} type="button" aria-pressed={overlay === value} onClick={() => look({ overlay: value })}>
              {label}
            </button>
          ))}
        </fieldset>
        <Grouping shown={shown} />
        <span className="picture-space" />
        <ActionMenu
          label="Export"
          actions={[
            { id: "svg", label: "Picture as SVG", run: () => onExport("svg") },
            { id: "png", label: "Picture as PNG", run: () => onExport("png") },
            { id: "csv", label: "Connections as CSV", run: () => onExport("csv") },
            { id: "print", label: "Print", run: () => onExport("print") },
          ]}
        >
          <Button size="small" icon={<Download size={14} aria-hidden="true" />}>
            Export
          </Button>
        </ActionMenu>
      </div>
      <div className="picture-row">
        {CLASSES.map((name) => {
          const count = picture.edges.filter((edge) => edge.classes.includes(name)).length;
          return (
            <button
              key={name}
              type="button"
              className="picture-chip"
              aria-pressed={classes.has(name)}
              data-empty={count === 0 ? "" : undefined}
              onClick={() => toggle(name)}
            >
              {CLASS_WORDS[name]} <Count of={count} />
            </button>
          );
        })}
        <span className="picture-field">
          <TextField
            isLabelHidden
            label="Name, member or address"
            placeholder="Name or address"
            value={search}
            onChange={(text) => look({ search: text })}
          />
        </span>
        <span className="picture-field picture-port">
          <TextField
            isLabelHidden
            label="Port"
            placeholder="Port"
            value={port}
            onChange={(text) => look({ port: text })}
          />
        </span>
        {namespaces.length > 1 ? (
          <Select
            isLabelHidden
            label="Namespace"
            value={namespace}
            choices={[
              { value: "", label: "every namespace" },
              ...namespaces.map((name) => ({ value: name, label: name })),
            ]}
            onChange={(name) => look({ namespace: name })}
          />
        ) : null}
        {focus ? (
          <button type="button" className="picture-chip" aria-pressed="true" onClick={() => look({ focusId: null })}>
            around {nodeName(focus)} <X size={12} aria-label="show all again" />
          </button>
        ) : null}
      </div>
    </div>
  );
}

const Count = ({ of }: { of: number }) => <span className="picture-count">{formatCount(of)}</span>;

function Grouping({ shown }: { shown: ShownPicture }) {
  const { grouping, labelKeys, look } = usePictureLook();
  const { knownKeys, labelKeys: used } = shown.picture;
  const value = labelKeys.length === 1 ? `key:${labelKeys[0]}` : String(grouping);
  const kinds = [
    PictureGrouping.UNSPECIFIED,
    PictureGrouping.NAMESPACE,
    PictureGrouping.HOST,
    PictureGrouping.ENDPOINT,
  ];
  const choices = [
    ...kinds.map((kind) => ({
      value: String(kind),
      label: `by ${GROUPING_WORDS[kind]}`,
      ...(kind === PictureGrouping.UNSPECIFIED && used.length > 0 && labelKeys.length === 0
        ? { detail: used.join(", ") }
        : {}),
    })),
    ...knownKeys.slice(0, 20).map((key) => ({ value: `key:${key}`, label: `by ${key}` })),
  ];
  return (
    <Select
      isLabelHidden
      label="Group by"
      value={value}
      choices={choices}
      onChange={(chosen) =>
        chosen.startsWith("key:")
          ? look({ grouping: PictureGrouping.LABELS, labelKeys: [chosen.slice(4)], focusId: null })
          : look({ grouping: Number(chosen) as PictureGrouping, labelKeys: [], focusId: null })
      }
    />
  );
}

/** What the numbers are of, so that none stands alone. */
export function pictureWords({ picture }: ShownPicture): string {
  const { endpoints, nodes, edges, flowRecords } = picture;
  return `${formatQuantity(endpoints, "endpoint")} in ${formatQuantity(nodes.length, "group")}, ${formatQuantity(edges.length, "connection")}, ${formatQuantity(flowRecords, "record")} of flows`;
}
