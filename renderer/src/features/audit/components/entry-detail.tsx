import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import type { MirroredEntry } from "@wardline/api/wardline/console/v1/audit";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { X } from "lucide-react";
import { useConsoleNow } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  formatBothZones,
  IconButton,
  Moment,
  ScrollRegion,
  shortDigest,
  visibleText,
} from "../../../ui/index.ts";
import { outcomeMark, ROLES } from "../model/words.tsx";

/** Clocks of host and console may differ by a little. */
const NEAR_MS = 120_000;

/** One entry with all that it says, and what this console has of the same host around that time. */
export function EntryDetail({ row, onClose }: { row: MirroredEntry; onClose: () => void }) {
  const { entry, hostName, hostId, log } = row;
  const nowMs = useConsoleNow();
  const receipts = useQuery(ShipService.method.listReceipts, { limit: 100 });
  const { openHost, openVersion, goTo, show } = useWindow();
  const timeMs = entry?.time ? timestampMs(entry.time) : null;
  const near = (receipts.data?.receipts ?? []).filter(
    (receipt) =>
      receipt.hostId === hostId &&
      receipt.time &&
      timeMs !== null &&
      Math.abs(timestampMs(receipt.time) - timeMs) < NEAR_MS,
  );
  return (
    <ScrollRegion label="The entry" className="audit-detail">
      <header className="audit-detail-head">
        <h2>
          <code>{visibleText(entry?.action ?? "")}</code>
        </h2>
        <IconButton label="Close the entry" onPress={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </header>
      <dl className="facts">
        <dt>When</dt>
        <dd className="audit-zones">{timeMs === null ? "not known" : formatBothZones(timeMs)}</dd>
        <dt>Host</dt>
        <dd className="wrap-anywhere">
          {visibleText(hostName)}, entry {String(entry?.sequence ?? "?")}
          {log > 1 ? ` of its log ${log}` : ""}
        </dd>
        <dt>Actor</dt>
        <dd className="wrap-anywhere">
          {visibleText(entry?.actor ?? "")} {ROLES[entry?.role ?? 0] ? `as ${ROLES[entry?.role ?? 0]}` : ""}
        </dd>
        <dt>Outcome</dt>
        <dd>{outcomeMark(entry?.outcome ?? "")}</dd>
        <dt>Object</dt>
        <dd className="wrap-anywhere">{visibleText(entry?.detail ?? "") || "not said"}</dd>
        <dt>Request</dt>
        <dd className="wrap-anywhere">
          <code>{entry?.argumentDigest || "not kept"}</code>
        </dd>
        <dt>Hash</dt>
        <dd className="wrap-anywhere">
          <code>{entry?.hash}</code>
        </dd>
        <dt>Follows</dt>
        <dd className="wrap-anywhere">
          <code>{entry?.previousHash}</code>
        </dd>
      </dl>
      {near.length > 0 ? (
        <section>
          <h3>Receipts of this host around it</h3>
          <ul className="audit-receipts">
            {near.map((receipt) => (
              <li key={String(receipt.id)}>
                generation {String(receipt.generation?.number ?? "?")} of version{" "}
                <button type="button" className="link" onClick={() => openVersion(receipt.versionId, null)}>
                  <code>{shortDigest(receipt.versionId)}</code>
                </button>
                , {visibleText(receipt.author)}: {visibleText(receipt.reason)}{" "}
                {receipt.time ? <Moment timeMs={timestampMs(receipt.time)} nowMs={nowMs} className="faint" /> : null}
              </li>
            ))}
          </ul>
          <Button
            size="small"
            onPress={() => {
              goTo("policies");
              show("history");
            }}
          >
            Compare the versions
          </Button>
        </section>
      ) : null}
      {hostId === "console" ? null : (
        <Button size="small" onPress={() => openHost(hostId)}>
          Open the host
        </Button>
      )}
    </ScrollRegion>
  );
}
