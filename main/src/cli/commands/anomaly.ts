/** `wardline anomaly list|show|feedback` */
import { toJson } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Anomaly, AnomalySchema, GetAnomalyResponseSchema } from "@wardline/api/wardline/console/v1/anomalies";
import { FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { labelOf } from "../../backend/hosts/managed-host.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type {
  AnomalyFeedbackOptions,
  AnomalyListOptions,
  AnomalyOptions,
  AnomalyShowOptions,
} from "./anomaly.options.ts";
import { detectorOf, formatFindings, severityOf, stateWord, writeFinding } from "./anomaly-view.ts";

const FEEDBACK: Readonly<Record<string, FeedbackKind>> = {
  normal: FeedbackKind.NORMAL,
  confirmed: FeedbackKind.CONFIRMED,
  undo: FeedbackKind.UNDO,
};
const PAGE = 1_000;

/** The named host, or all. What hosts have found since is fetched first, where they can be asked. */
export async function hostsOf(output: Output, session: Session, { host }: AnomalyOptions): Promise<string[]> {
  const { registry, services } = session.backend;
  const hostIds = host === undefined ? [] : [registry.byIdOrName(host).id];
  for (const [id, failure] of await services.anomalies.refresh(hostIds)) {
    // Who names a host wants to know of it; the others are shown as they were seen last.
    if (host !== undefined && failure.code === ErrorCode.PERMISSION_DENIED) throw failure;
    output.note(`${visible(labelOf(registry.byId(id)))}: ${visible(failure.message)} What was seen before is shown.`);
  }
  return hostIds;
}

/** `wardline anomaly list` */
export async function anomalyList(output: Output, options: AnomalyListOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const hostIds = await hostsOf(output, session, options);
    const found: Anomaly[] = [];
    let [total, pageToken] = [0n, ""];
    do {
      const page = await session.anomalies.searchAnomalies({
        hostIds,
        detectors: options.detector.map(detectorOf),
        minSeverity: severityOf(options.severity),
        ...(options.since === undefined ? {} : { since: timestampFromMs(Date.now() - options.since) }),
        ...{ text: options.text, limit: options.open ? PAGE : options.limit, pageToken },
      });
      ({ total, nextPageToken: pageToken } = page);
      found.push(...page.anomalies.filter(({ finding }) => !options.open || isOpen(finding?.feedback[0]?.kind)));
    } while (options.open && pageToken !== "" && found.length < options.limit);
    const shown = found.slice(0, options.limit);
    if (output.format === "json")
      output.json({ anomalies: shown.map((each) => toJson(AnomalySchema, each)), total: Number(total) });
    else if (shown.length === 0) output.text("No findings.\n");
    else output.text(formatFindings(shown, output.style));
    if (output.format !== "json" && !options.open && total > shown.length)
      output.note(`${shown.length} of ${total} findings; more with --limit.`);
    return EXIT.done;
  });
}

function isOpen(said: FeedbackKind | undefined): boolean {
  return said === undefined || said === FeedbackKind.UNDO;
}

/** `wardline anomaly show FINDING` */
export async function anomalyShow(output: Output, options: AnomalyShowOptions, id: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { hostId, findingId } = await findOne(output, session, options, id);
    const answer = await session.anomalies.getAnomaly({ hostId, findingId });
    const { anomaly, chain, policyDraft, policyDraftName } = answer;
    if (output.format === "json") output.json(toJson(GetAnomalyResponseSchema, answer));
    else if (options.policy) output.text(policyDraft);
    else if (anomaly?.finding) {
      writeFinding(output, anomaly.finding, chain);
      if (policyDraft !== "")
        output.note(`A policy that denies it: wardline anomaly show ${findingId} --policy > ${policyDraftName}`);
    }
    if (!options.policy || policyDraft !== "") return EXIT.done;
    output.note("There is nothing in this finding that a policy could deny.");
    return EXIT.problems;
  });
}

/** `wardline anomaly feedback FINDING normal|confirmed|undo` */
export async function anomalyFeedback(
  output: Output,
  options: AnomalyFeedbackOptions,
  id: string,
  what: string,
): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    const place = await findOne(output, session, options, id);
    const kind = FEEDBACK[what] ?? FeedbackKind.UNSPECIFIED;
    const { anomaly } = await session.anomalies.giveAnomalyFeedback({ ...place, kind, reason: options.reason });
    if (output.format === "json" && anomaly) output.json(toJson(AnomalySchema, anomaly));
    else if (anomaly?.finding)
      output.text(`${visible(anomaly.finding.sentence)}\nis now: ${stateWord(anomaly.finding)}\n`);
    return EXIT.done;
  });
}

/** By its id or the beginning of it. @throws Failure NOT_FOUND, INVALID_ARGUMENT */
async function findOne(output: Output, session: Session, options: AnomalyOptions, id: string) {
  const hostIds = await hostsOf(output, session, options);
  const found: { hostId: string; findingId: string }[] = [];
  let pageToken = "";
  do {
    const page = await session.anomalies.searchAnomalies({ hostIds, limit: PAGE, pageToken });
    for (const { hostId, finding } of page.anomalies) {
      if (finding?.id === id) return { hostId, findingId: id };
      if (finding?.id.startsWith(id)) found.push({ hostId, findingId: finding.id });
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  const [first, second] = found;
  if (first && !second && id.length >= 4) return first;
  const message = first
    ? `${found.length} findings begin with ${JSON.stringify(id.slice(0, 100))}: give more of the id.`
    : `There is no finding ${JSON.stringify(id.slice(0, 100))}.`;
  throw new Failure({
    code: first ? ErrorCode.INVALID_ARGUMENT : ErrorCode.NOT_FOUND,
    message,
    hint: "List them: wardline anomaly list",
  });
}
