import type { Client } from "@connectrpc/connect";
import type {
  VerdictPart,
  VerdictRow,
  VerdictService,
  VerdictVersion,
} from "@wardline/api/wardline/console/v1/verdicts";
import { X } from "lucide-react";
import { formatQuantity, IconButton, ScrollRegion, visibleText } from "../../../ui/index.ts";
import { COLUMNS, type ColumnKey, examplePort, formatPorts } from "../model/verdicts.ts";
import { ConnectionActions } from "./connection-actions.tsx";
import { VerdictPartCard } from "./verdict-part.tsx";

export interface VerdictPlace {
  readonly row: VerdictRow;
  readonly column: ColumnKey;
}

interface VerdictDetailProps {
  readonly place: VerdictPlace;
  readonly versions: ReadonlyMap<number, VerdictVersion>;
  readonly client: Client<typeof VerdictService>;
  readonly onClose: () => void;
}

/** What stands behind one cell: each part with its version, its rule and line, and every step to it. */
export function VerdictDetail({ place: { row, column }, versions, client, onClose }: VerdictDetailProps) {
  const cell = row[column];
  const about = COLUMNS.find(({ key }) => key === column);
  const parts = cell?.parts ?? [];
  const [first] = parts;
  const { protocol, port } = examplePort(row);
  return (
    <aside className="verdict-detail" aria-label={`${about?.name ?? column} verdict`}>
      <header className="verdict-detail-head">
        <h2>{about?.name}</h2>
        <IconButton label="Close" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      <ScrollRegion label="Behind the verdict" className="verdict-detail-body">
        <p className="wrap-anywhere">
          {visibleText(row.from)} → {visibleText(row.to)}, {formatPorts(row.ports)}
        </p>
        <p className="soft">{about?.means}</p>
        {parts.map((part, index) => (
          <VerdictPartCard
            // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a cell never change; another answer is another cell.
            key={index}
            part={part}
            column={column}
            versions={versions}
            ask={{ client, protocol, port }}
            isOnly={parts.length === 1}
          />
        ))}
        {cell && cell.partsLeftOut > 0 ? (
          <p className="soft">{formatQuantity(cell.partsLeftOut, "more part")} not listed.</p>
        ) : null}
        {first ? <ConnectionActions connection={connectionOf(first, protocol, port)} /> : null}
      </ScrollRegion>
    </aside>
  );
}

function connectionOf(part: VerdictPart, protocol: number, port: number) {
  const { fromKey, fromAddress, toKey, toAddress } = part;
  return { fromKey, fromAddress, toKey, toAddress, protocol, port };
}
