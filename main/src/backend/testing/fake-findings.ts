/** An agent's findings, told as the contract says; and findings to tell. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { WatchFindingsResponse } from "@wardline/api/wardline/agent/v1/anomaly";
import {
  AnomalySettingsSchema,
  AnomalySeverity,
  DetectorKind,
  FeedbackSchema,
  type Finding,
  FindingSchema,
  FindingState,
  ModelState,
} from "@wardline/api/wardline/v1/anomaly";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError, timestampOf } from "@wardline/domain/wire";
import { ChangeSignal } from "../async/signal.ts";
import type { FakeAgent } from "./fake-agent.ts";

export const NOW_MS = Date.now();

export function findingOf(id: string, over: MessageInitShape<typeof FindingSchema> = {}): Finding {
  return create(FindingSchema, {
    id,
    host: "alpha",
    detector: DetectorKind.PORT_SCAN,
    severity: AnomalySeverity.MEDIUM,
    state: FindingState.OVER,
    sentence: `nmap on alpha tried 200 ports of 10.77.0.1 (${id}).`,
    score: 0.9,
    beganAt: timestampOf(NOW_MS - 60_000),
    lastAt: timestampOf(NOW_MS - 30_000),
    detectedAt: timestampOf(NOW_MS - 50_000),
    subjectKey: "Host/alpha",
    process: "nmap",
    remote: "10.77.0.1",
    evidenceTotal: 2n,
    ...over,
  });
}

export const EVIDENCE = [22, 23].map((destinationPort) => ({
  ...{ direction: Direction.EGRESS, protocol: 6, sourceAddress: "10.77.0.2", destinationAddress: "10.77.0.1" },
  ...{ destinationPort, verdict: Verdict.ALLOW },
}));

/** Findings of an agent: heads at first, then each whole as it is put. */
export class FakeFindings {
  readonly changes = new ChangeSignal();
  readonly findings = new Map<string, Finding>();
  readonly asked: string[] = [];
  settings = create(AnomalySettingsSchema, { targetFalseAlarmsPerDay: 0.5, learningHours: 24 });
  refusal: Failure | null = null;
  streams = 0;
  /** Sent first, whatever they say. */
  odd: Partial<WatchFindingsResponse>[] = [];
  /** Everything that was ever put; each stream sends what it has not sent yet. */
  readonly #told: Finding[] = [];

  put(...findings: Finding[]): void {
    for (const finding of findings) this.findings.set(finding.id, finding);
    this.#told.push(...findings);
    this.changes.notify();
  }

  get routes(): NonNullable<FakeAgent["anomalies"]> {
    const model = () => ({
      state: ModelState.LEARNING,
      reason: `${this.settings.learningHours} hours`,
      targetFalseAlarmsPerDay: this.settings.targetFalseAlarmsPerDay,
    });
    const self = this;
    return {
      getModel: () => ({ model: model(), settings: this.settings }),
      async *watchFindings(_request, { signal }) {
        self.streams += 1;
        let next = self.#told.length;
        for (const message of self.odd) yield message as WatchFindingsResponse;
        const heads = [...self.findings.values()].map((finding) => ({ ...finding, evidence: [], series: [] }));
        yield { sequence: BigInt(self.odd.length + 1), findings: heads, model: model() };

        for (let sequence = BigInt(self.odd.length + 2); !signal.aborted; sequence++) {
          const seen = self.changes.version;
          const findings = self.#told.slice(next);
          next = self.#told.length;
          yield { sequence, findings, model: model() };
          await self.changes.wait(seen, 2_000, signal);
        }
      },
      listFindings: () => {
        const findings = [...self.findings.values()].map((finding) => ({ ...finding, evidence: [], series: [] }));
        return { findings, total: BigInt(findings.length) };
      },
      getFinding: ({ id }) => {
        this.asked.push(id);
        const finding = this.findings.get(id);
        if (finding) return { finding };
        throw failureToConnectError(new Failure({ code: ErrorCode.NOT_FOUND, message: "no such finding" }));
      },
      giveFeedback: ({ findingId, kind, reason }) => {
        if (this.refusal) throw failureToConnectError(this.refusal);
        const finding = this.findings.get(findingId) ?? findingOf(findingId);
        const feedback = [create(FeedbackSchema, { kind, actor: "test (1000)", reason })];
        this.put(create(FindingSchema, { ...finding, feedback }));
        return { finding: this.findings.get(findingId)! };
      },
      train: () => ({ model: model() }),
      configure: ({ settings }) => {
        if (settings) this.settings = settings;
        this.changes.notify();
        return { model: model() };
      },
    };
  }
}
