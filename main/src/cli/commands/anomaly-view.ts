/** Findings on a terminal. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Anomaly } from "@wardline/api/wardline/console/v1/anomalies";
import {
  AnomalySeverity,
  DetectorKind,
  FeedbackKind,
  type Finding,
  FindingState,
} from "@wardline/api/wardline/v1/anomaly";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import type { Output } from "../output.ts";
import type { Style } from "../terminal/style.ts";
import { type Cell, formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";

const SHOWN_EVIDENCE = 20;

/** `port-scan` for the word of the contract, and back. */
export function detectorWord(detector: DetectorKind): string {
  return (DetectorKind[detector] ?? "unknown").toLowerCase().replaceAll("_", "-");
}

export function detectorOf(word: string): DetectorKind {
  return DetectorKind[word.toUpperCase().replaceAll("-", "_") as keyof typeof DetectorKind];
}

export function severityOf(word: string): AnomalySeverity {
  return AnomalySeverity[word.toUpperCase() as keyof typeof AnomalySeverity];
}

export function severityWord(severity: AnomalySeverity): string {
  return (AnomalySeverity[severity] ?? "").toLowerCase();
}

export function timeText(time: Finding["beganAt"]): string {
  return time ? new Date(Math.floor(timestampMs(time) / 1000) * 1000).toISOString().replace(".000Z", "Z") : "";
}

export function formatFindings(anomalies: readonly Anomaly[], style: Style): string {
  return formatTable(
    ["BEGAN", "HOST", "SEVERITY", "DETECTOR", "STATE", "ID", "WHAT"],
    anomalies.flatMap(({ finding }) => (finding ? [rowOf(finding, style)] : [])),
  );
}

function rowOf(finding: Finding, style: Style): (Cell | string)[] {
  const isSerious = finding.severity >= AnomalySeverity.HIGH;
  const severity: Cell = { text: severityWord(finding.severity), ...(isSerious ? { paint: style.red } : {}) };
  const { host, detector, id, sentence } = finding;
  return [timeText(finding.beganAt), host, severity, detectorWord(detector), stateWord(finding), id, sentence];
}

export function stateWord({ state, feedback }: Finding): string {
  const said = feedback[0]?.kind;
  if (said === FeedbackKind.NORMAL) return "normal";
  const word = state === FindingState.OVER ? "over" : "ongoing";
  return said === FeedbackKind.CONFIRMED ? `${word}, confirmed` : word;
}

export function writeFinding(output: Output, finding: Finding, chain: readonly Anomaly[]): void {
  const { style } = output;
  output.text(`${style.bold(visible(finding.sentence))}\n\n`);
  const facts: [string, string][] = [
    ["finding", finding.id],
    ["host", finding.host],
    ["detector", detectorWord(finding.detector)],
    ["severity", severityWord(finding.severity)],
    ["state", stateWord(finding)],
    ["score", scoreText(finding)],
    ["time", `${timeText(finding.beganAt)} to ${timeText(finding.lastAt)}`],
    ["subject", finding.subjectKey],
    ["query", finding.evidenceQuery],
  ];
  for (const [name, value] of facts) if (value !== "") output.text(`${name.padEnd(9)} ${visible(value)}\n`);
  if (finding.features.length > 0) output.text(`\n${featureTable(finding)}`);
  writeEvidence(output, finding);
  for (const { kind, actor, reason, time } of finding.feedback) {
    const word = (FeedbackKind[kind] ?? "").toLowerCase();
    output.text(`${timeText(time)} ${visible(actor)}: ${word}${reason === "" ? "" : ` (${visible(reason)})`}\n`);
  }
  if (chain.length > 0) output.text(`\nThe same movement on other hosts:\n${formatFindings(chain, style)}`);
}

function scoreText({ score, isCalibrated, falseAlarmsPerDay }: Finding): string {
  const rate = isCalibrated
    ? `, about ${falseAlarmsPerDay.toPrecision(2)} false alarms a day at this score`
    : ", not calibrated";
  return `${score.toFixed(4)}${rate}`;
}

function featureTable({ features }: Finding): string {
  return formatTable(
    ["FEATURE", "VALUE", "NORMAL", "SHARE"],
    features.map(({ name, value, unit, hasBand, normalLow, normalHigh, contribution }) => [
      name,
      `${numberText(value)} ${unit}`.trim(),
      hasBand ? `${numberText(normalLow)} to ${numberText(normalHigh)}` : "not known",
      `${Math.round(contribution * 100)} %`,
    ]),
  );
}

function writeEvidence(output: Output, { evidence, evidenceTotal }: Finding): void {
  if (evidence.length === 0) {
    output.note(evidenceTotal > 0n ? "The records that prove it are on the host, which cannot be asked now." : "");
    return;
  }
  const shown = evidence.slice(0, SHOWN_EVIDENCE);
  output.text(
    `\n${formatTable(["TIME", "FROM", "TO", "PORT", "PROCESS", "VERDICT", "CONNECTIONS", "BYTES"], shown.map(recordRow))}`,
  );
  output.text(`${shown.length} of ${evidenceTotal} records that prove it\n`);
}

function recordRow(record: FlowRecord): string[] {
  return [
    timeText(record.firstSeen),
    record.sourceAddress,
    record.destinationAddress,
    String(record.destinationPort),
    record.process?.command ?? "",
    record.verdict === Verdict.DENY ? "denied" : "allowed",
    String(record.started),
    String(record.originatorBytes + record.responderBytes),
  ];
}

function numberText(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(3);
}
