/** The flows of the double as they come: a history at once, then some each half second, as many as the scenario says. */
import type { WatchFlowsRequest } from "@wardline/api/wardline/console/v1/flows";
import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import type { Flow } from "@wardline/api/wardline/v1/flow";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { EVERYTHING, type LabelResolver, matchesQuery, parseFlowQuery } from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { recordOfFlow } from "../features/flows/model/live-record.ts";
import { fakeFlow } from "./fake-data.ts";
import type { Scenario } from "./fake-scenarios.ts";

/** What it reads of the double, and counts in it. */
interface LiveFlowsOwner {
  readonly scenario: Scenario;
  readonly host: Host;
  readonly flowQuestions: string[];
  flowsSent: number;
  /** Set by a test: the stream says that it lags. */
  flowsBehindSeconds?: number;
  /** Waits or fails where the scenario says so. */
  gate(): Promise<void>;
}

/** One of the peers has a label. */
const LABELS: LabelResolver = (label) => ({
  subjectKeys: [],
  addresses: label === "app=lab" ? ["10.20.66.12"] : [],
});

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export function fakeLiveFlows(fake: LiveFlowsOwner) {
  return {
    async *watchFlows(request: WatchFlowsRequest) {
      await fake.gate();
      const { flowHistory, flowsPerSecond } = fake.scenario;
      const options = {
        hostile: fake.scenario.files === "hostile",
        observe: fake.host.status?.enforced?.mode === EnforcementMode.OBSERVE,
      };
      fake.flowQuestions.push(request.query);
      const matches = flowMatcher(request);
      const startMs = Date.now();
      const spacingMs = 1000 / Math.max(1, flowsPerSecond || 6);
      const history = Array.from({ length: flowHistory }, (_, index) =>
        fakeFlow(index + 1, startMs - (flowHistory - index) * spacingMs, options),
      );
      let next = flowHistory + 1;
      const silentHostIds = fake.scenario.host === "no-agent" || fake.scenario.host === "lost" ? ["local"] : [];
      yield {
        sequence: 1n,
        flows: history.filter(matches),
        ratePerSecond: flowsPerSecond,
        losses: {},
        silentHostIds,
      };
      for (let sequence = 2n; ; sequence += 1n) {
        await sleep(500);
        const count = Math.round(flowsPerSecond / 2);
        const flows = Array.from({ length: count }, (_, index) =>
          fakeFlow(next + index, Date.now() - (count - index), options),
        ).filter(matches);
        next += count;
        fake.flowsSent += count;
        yield {
          sequence,
          flows,
          ratePerSecond: flowsPerSecond,
          losses: { rateLimited: flowsPerSecond > 0 ? 3n : 0n },
          behindSeconds: fake.flowsBehindSeconds ?? 0,
          silentHostIds,
        };
      }
    },
    async queryFlows() {
      await fake.gate();
      return { flows: [], total: 0n };
    },
  };
}

function flowMatcher({ filter, query }: WatchFlowsRequest): (flow: Flow) => boolean {
  const hostIds = filter?.hostIds ?? [];
  const question = parseFlowQuery(query, { nowMs: Date.now() }).query ?? EVERYTHING;
  return (flow) => {
    const isHost = hostIds.length === 0 || hostIds.some((id) => id === flow.host || id === "local");
    if (question === EVERYTHING) return isHost;
    const { record } = recordOfFlow(flow);
    return isHost && record !== undefined && matchesQuery(question, fromWireFlowRecord(record, flow.host), LABELS);
  };
}
