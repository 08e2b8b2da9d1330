import type { Finding } from "@wardline/api/wardline/v1/anomaly";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { flowVerdict } from "../../../data/flow-buffer.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  formatBytes,
  formatCount,
  formatProtocolPort,
  formatQuantity,
  Moment,
  ScrollRegion,
  VERDICT_WORDS,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";

/** The flows that prove it; all of them are one click away, in the history. */
export function EvidenceSection({ finding }: { finding: Finding }) {
  const openHistory = useWindow((state) => state.openHistory);
  const { evidence, evidenceTotal, evidenceQuery } = finding;
  return (
    <section className="finding-section" aria-labelledby="finding-evidence">
      <div className="finding-section-head">
        <h3 id="finding-evidence">Evidence</h3>
        <span className="faint">
          {formatQuantity(evidence.length, "record")}
          {evidenceTotal > BigInt(evidence.length) ? ` of ${formatCount(evidenceTotal)}` : ""}
        </span>
        {evidenceQuery ? (
          <Button size="small" onPress={() => openHistory(evidenceQuery)}>
            Show all in the history
          </Button>
        ) : null}
      </div>
      {evidence.length === 0 ? (
        <p className="soft">The host keeps the records of this finding no more.</p>
      ) : (
        <ScrollRegion className="evidence" label="Flows that prove the finding">
          <table className="evidence-table">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col">Port</th>
                <th scope="col">Process</th>
                <th scope="col">Verdict</th>
                <th scope="col">Connections</th>
                <th scope="col">Sent</th>
                <th scope="col">Received</th>
              </tr>
            </thead>
            <tbody>
              {evidence.map((record, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: records have no name of their own, and the list is replaced whole.
                <EvidenceRow key={index} record={record} />
              ))}
            </tbody>
          </table>
        </ScrollRegion>
      )}
    </section>
  );
}

function EvidenceRow({ record }: { record: FlowRecord }) {
  const firstMs = optionalMs(record.firstSeen) ?? optionalMs(record.windowStart);
  const verdict = flowVerdict(record);
  const isOut = record.direction === Direction.EGRESS;
  const folded = record.foldedFlows > 0;
  return (
    <tr>
      <td className="code">{firstMs === null ? "–" : <Moment timeMs={firstMs} form="clock" />}</td>
      <td className="wrap-anywhere">
        <End name={record.sourceName} address={record.sourceAddress} />
      </td>
      <td className="wrap-anywhere">
        {folded ? (
          <span className="soft">{formatQuantity(record.foldedFlows, "different flow")}</span>
        ) : (
          <End name={record.destinationName || record.observedName} address={record.destinationAddress} />
        )}
      </td>
      <td>
        {folded && record.destinationPort === 0
          ? "several"
          : formatProtocolPort(record.protocol, record.destinationPort)}
      </td>
      <td className="wrap-anywhere">
        {record.process?.command ? visibleText(record.process.command) : <span className="faint">not known</span>}
      </td>
      <td>
        <VerdictMark verdict={verdict} words={VERDICT_WORDS[verdict]} />
      </td>
      <td className="number">{formatCount(record.started > 0n ? record.started : record.deniedPackets)}</td>
      <td className="number">{formatBytes(isOut ? record.originatorBytes : record.responderBytes)}</td>
      <td className="number">{formatBytes(isOut ? record.responderBytes : record.originatorBytes)}</td>
    </tr>
  );
}

function End({ name, address }: { name: string; address: string }) {
  return (
    <>
      {name ? <>{visibleText(name)} </> : null}
      <span className={name ? "code faint" : "code"}>{visibleText(address)}</span>
    </>
  );
}
