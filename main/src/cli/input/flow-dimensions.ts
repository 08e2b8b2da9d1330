/** Dimensions and measures of flows as words, as the command line has them. */
import { FlowDimension as WireDimension, FlowMeasure as WireMeasure } from "@wardline/api/wardline/console/v1/history";
import { FLOW_DIMENSIONS, type FlowDimension } from "@wardline/domain/flows";
import { UsageError } from "../exit-code.ts";

const WIRE: Record<FlowDimension, WireDimension> = {
  host: WireDimension.HOST,
  source: WireDimension.SOURCE,
  destination: WireDimension.DESTINATION,
  peer: WireDimension.PEER,
  port: WireDimension.PORT,
  protocol: WireDimension.PROTOCOL,
  process: WireDimension.PROCESS,
  user: WireDimension.USER,
  verdict: WireDimension.VERDICT,
  policy: WireDimension.POLICY,
  rule: WireDimension.RULE,
  direction: WireDimension.DIRECTION,
  subject: WireDimension.SUBJECT,
  "source-name": WireDimension.SOURCE_NAME,
  "destination-name": WireDimension.DESTINATION_NAME,
  cgroup: WireDimension.CGROUP,
};
const MEASURES: Readonly<Record<string, WireMeasure>> = {
  connections: WireMeasure.CONNECTIONS,
  bytes: WireMeasure.BYTES,
  denied: WireMeasure.DENIED_PACKETS,
  records: WireMeasure.RECORDS,
  packets: WireMeasure.PACKETS,
};

export interface Dimensions {
  readonly words: readonly FlowDimension[];
  readonly wire: WireDimension[];
}

/** `process,port`: one to three, each once. @throws UsageError */
export function parseDimensions(text: string): Dimensions {
  const given = text.split(",").map((word) => word.trim().toLowerCase());
  const words = given.map((word) => {
    const known = FLOW_DIMENSIONS.find((dimension) => dimension === word);
    if (known) return known;
    throw new UsageError(
      `Flows are not grouped by "${word.slice(0, 60)}".`,
      `There are ${FLOW_DIMENSIONS.join(", ")}.`,
    );
  });
  if (words.length <= 3 && new Set(words).size === words.length) {
    return { words, wire: words.map((word) => WIRE[word]) };
  }
  throw new UsageError("Flows are grouped by one to three different dimensions.");
}

export function wordOfDimension(wire: WireDimension): string {
  return FLOW_DIMENSIONS.find((dimension) => WIRE[dimension] === wire) ?? "";
}

export function measureOfWord(word: string): WireMeasure {
  return MEASURES[word] ?? WireMeasure.CONNECTIONS;
}
