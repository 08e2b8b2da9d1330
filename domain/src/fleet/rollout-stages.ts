/** Which hosts a roll-out changes together, and in which order. */
import { ErrorCode, Failure } from "../errors/index.ts";

/** More steps than anybody can look at. */
export const MAX_STAGES = 20;

export interface StageRequest {
  /** Hosts to change, each once, in the order in which they are taken. */
  readonly hostIds: readonly string[];
  /** Share of the hosts that each stage reaches, whole percents, rising, the last one 100. Empty = all at once. */
  readonly stagePercents: readonly number[];
  /** The hosts of the first stage, instead of any. */
  readonly canaryHostIds: readonly string[];
}

/**
 * The hosts of each stage, none empty. A stage reaches at most its share, rounded down, but the first one at least one
 * host; a stage that would add nobody is left out.
 * @throws Failure INVALID_ARGUMENT
 */
export function planStages(request: StageRequest): readonly (readonly string[])[] {
  requirePercents(request.stagePercents);
  const canaries = [...new Set(request.canaryHostIds)];
  const hostIds = [...new Set(request.hostIds)];
  requireKnown(canaries, hostIds);
  const isCanary = new Set(canaries);
  const ordered = [...canaries, ...hostIds.filter((id) => !isCanary.has(id))];
  const stages: (readonly string[])[] = [];
  let reached = 0;
  for (const target of targets(ordered.length, canaries.length, request.stagePercents)) {
    if (target <= reached) continue;
    stages.push(ordered.slice(reached, target));
    reached = target;
  }
  return stages;
}

/** How many hosts each stage has reached at its end. */
function targets(hostCount: number, canaryCount: number, percents: readonly number[]): readonly number[] {
  const shares = percents.length === 0 ? [100] : percents;
  const counts = shares.map((percent) => Math.floor((hostCount * percent) / 100));
  if (canaryCount === 0) return counts.map((count) => Math.min(hostCount, Math.max(1, count)));
  // The first share stands for the canaries, unless it is all there is.
  return [canaryCount, ...(shares.length > 1 ? counts.slice(1) : counts)];
}

function requirePercents(percents: readonly number[]): void {
  if (percents.length === 0) return;
  if (percents.length > MAX_STAGES) throw invalid(`${percents.length} stages are more than ${MAX_STAGES}.`);
  let before = 0;
  for (const percent of percents) {
    if (!Number.isInteger(percent) || percent <= before || percent > 100) {
      throw invalid(`The stages ${percents.join(", ")} are not rising percents from 1 to 100.`);
    }
    before = percent;
  }
  if (before !== 100) throw invalid(`The last stage reaches ${before} % of the hosts, and has to reach all.`);
}

function requireKnown(canaries: readonly string[], hostIds: readonly string[]): void {
  const known = new Set(hostIds);
  const stranger = canaries.find((id) => !known.has(id));
  if (stranger === undefined) return;
  throw invalid(
    `${JSON.stringify(stranger.slice(0, 100))} was named for the first stage and is not among the hosts that change.`,
  );
}

function invalid(message: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message,
    hint: "Stages are percents of the hosts, for example 1, 10, 100.",
  });
}
