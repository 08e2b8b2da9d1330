import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Receipt, ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { useConsoleNow, useHostsStream } from "../../../data/context.tsx";
import { failureFromDetail } from "../../../data/failure.ts";
import { Moment, type NoticeTone, Tag, visibleText } from "../../../ui/index.ts";
import "./receipt-list.css";

const OUTCOMES: Record<ReceiptOutcome, { readonly text: string; readonly tone: NoticeTone }> = {
  [ReceiptOutcome.UNSPECIFIED]: { text: "unknown", tone: "unknown" },
  [ReceiptOutcome.PENDING]: { text: "waiting", tone: "observed" },
  [ReceiptOutcome.CONFIRMED]: { text: "kept", tone: "allow" },
  [ReceiptOutcome.ROLLED_BACK]: { text: "rolled back", tone: "observed" },
  [ReceiptOutcome.EXPIRED]: { text: "expired", tone: "deny" },
  [ReceiptOutcome.FAILED]: { text: "failed", tone: "deny" },
};

/** What was applied where, by whom, why, and how it ended. */
export function ReceiptList({ receipts }: { receipts: readonly Receipt[] }) {
  const nowMs = useConsoleNow();
  const hosts = useHostsStream().value?.hosts ?? [];
  if (receipts.length === 0) return <p className="faint receipts-none">Nothing was applied yet.</p>;
  return (
    <ul className="receipts">
      {receipts.map((receipt) => {
        const outcome = OUTCOMES[receipt.outcome];
        const hostName = hosts.find((host) => host.id === receipt.hostId)?.name ?? receipt.hostId;
        return (
          <li key={String(receipt.id)} className="receipt">
            <Tag tone={outcome.tone}>{outcome.text}</Tag>
            <div className="receipt-text">
              <p className="wrap-anywhere">
                {visibleText(receipt.reason) || <span className="faint">no reason given</span>}
              </p>
              <p className="faint wrap-anywhere">
                generation {String(receipt.generation?.number ?? "–")} on {visibleText(hostName)} ·{" "}
                {visibleText(receipt.author)} ·{" "}
                {receipt.time ? <Moment timeMs={timestampMs(receipt.time)} nowMs={nowMs} /> : "time unknown"}
              </p>
              {receipt.error ? (
                <p className="wrap-anywhere">
                  {visibleText(receipt.error.message)}{" "}
                  <code className="faint">{failureFromDetail(receipt.error).code}</code>
                </p>
              ) : null}
            </div>
          </li>
        );
      })}
    </ul>
  );
}
