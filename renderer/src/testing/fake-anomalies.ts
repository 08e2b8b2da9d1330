/** The part of the fake backend that is about findings and alerts: every severity, a chain, hosts in each state of learning. */
import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type Alert,
  type AlertRule,
  AlertRuleSchema,
  AlertSchema,
  AlertSource,
  AlertState,
  DeliveryResult,
  EmailSecurity,
  HostCondition,
  type PutAlertRuleRequest,
  type PutReceiverRequest,
  type PutSilenceRequest,
  type Receiver,
  ReceiverSchema,
  type Silence,
  SilenceSchema,
} from "@wardline/api/wardline/console/v1/alerts";
import {
  type Anomaly,
  AnomalySchema,
  type BacktestRequest,
  type GetAnomalyRequest,
  type GiveAnomalyFeedbackRequest,
  type HostModel,
  HostModelSchema,
} from "@wardline/api/wardline/console/v1/anomalies";
import {
  AnomalySeverity,
  DetectorKind,
  FeedbackKind,
  FeedbackSchema,
  type Finding,
  FindingSchema,
  FindingState,
  ModelState,
} from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { HOSTILE_NAME } from "./fake-data.ts";
import { fakeRecord } from "./fake-history.ts";
import { failure } from "./fake-workspace.ts";

/** `none`: nothing found and models still learning. */
export type AnomalyKind = "none" | "findings" | "hostile";

interface Ports {
  readonly notify: () => void;
  readonly gate: () => Promise<void>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const DRAFT = `apiVersion: wardline.io/v1
kind: Policy
metadata:
  name: stop-beacon-web-1
spec:
  # Finding f-beacon of 21 Nov 2026: curl on web-1 contacted 203.0.113.9:4444 every 10 s.
  subject:
    host: web-1
  egress:
    - action: deny
      to: [{ cidr: 203.0.113.9/32 }]
      ports: [{ protocol: tcp, port: 4444 }]
`;

export class FakeAnomalies {
  readonly #ports: Ports;
  /** What a person asked for, for tests. */
  readonly asked: string[] = [];
  anomalies: Anomaly[];
  readonly models: HostModel[];
  alerts: Alert[];
  rules: AlertRule[];
  receivers: Receiver[];
  silences: Silence[] = [];

  constructor(kind: AnomalyKind, ports: Ports) {
    this.#ports = ports;
    const nowMs = Date.now();
    this.anomalies = kind === "none" ? [] : findings(nowMs, kind === "hostile");
    this.models = models(nowMs, kind);
    this.rules = [
      create(AlertRuleSchema, {
        name: "findings",
        enabled: true,
        source: AlertSource.FINDING,
        minSeverity: AnomalySeverity.HIGH,
        severity: AnomalySeverity.HIGH,
        steps: [{ receivers: ["desktop"] }, { afterSeconds: 900, receivers: ["on-call"] }],
      }),
      create(AlertRuleSchema, {
        name: "host-away",
        enabled: true,
        source: AlertSource.HOST,
        hostCondition: HostCondition.UNREACHABLE,
        forSeconds: 300,
        severity: AnomalySeverity.MEDIUM,
        steps: [{ receivers: ["desktop"] }],
      }),
    ];
    this.receivers = [
      create(ReceiverSchema, { name: "desktop", kind: { case: "desktop", value: {} } }),
      create(ReceiverSchema, {
        name: "on-call",
        kind: {
          case: "email",
          value: {
            server: "mail.example.org",
            port: 465,
            security: EmailSecurity.TLS,
            from: "wardline@example.org",
            to: ["on-call@example.org"],
            user: "wardline",
            hasPassword: true,
          },
        },
      }),
    ];
    this.alerts = kind === "none" ? [] : [alert(nowMs, this.anomalies)];
  }

  /** The part of `WatchActivityResponse`. */
  list() {
    const openBySeverity = [0, 0, 0, 0, 0];
    for (const { finding } of this.anomalies) {
      const kind = finding?.feedback[0]?.kind ?? FeedbackKind.UNDO;
      if (finding && (kind === FeedbackKind.UNDO || kind === FeedbackKind.UNSPECIFIED))
        openBySeverity[finding.severity] = (openBySeverity[finding.severity] ?? 0) + 1;
    }
    const anomalies = this.anomalies.map((anomaly) => withoutEvidence(anomaly));
    return { anomalies, total: BigInt(anomalies.length), models: this.models, openBySeverity };
  }

  board() {
    const { alerts, rules, receivers, silences } = this;
    return { alerts, rules, receivers, silences, isDelivering: true, deliveredBy: "this console", problems: [] };
  }

  anomalyService() {
    const gate = this.#ports.gate;
    const find = (findingId: string) => this.anomalies.find(({ finding }) => finding?.id === findingId);
    return {
      getAnomaly: async ({ findingId }: GetAnomalyRequest) => {
        await gate();
        const anomaly = find(findingId);
        if (!anomaly) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, `No finding ${findingId}.`);
        const ids = anomaly.finding?.chainFindingIds ?? [];
        const chain = ids.flatMap((id) => find(id) ?? []);
        const isBeacon = findingId === "f-beacon";
        return {
          anomaly,
          chain,
          policyDraft: isBeacon ? DRAFT : "",
          policyDraftName: isBeacon ? "stop-beacon-web-1.yaml" : "",
        };
      },
      giveAnomalyFeedback: async ({ findingId, kind, reason }: GiveAnomalyFeedbackRequest) => {
        await gate();
        const anomaly = find(findingId);
        if (!anomaly?.finding) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, `No finding ${findingId}.`);
        this.asked.push(`feedback ${findingId} ${FeedbackKind[kind]} ${reason}`);
        const changed = clone(AnomalySchema, anomaly);
        const time = timestampFromMs(Date.now());
        changed.finding?.feedback.unshift(create(FeedbackSchema, { kind, reason, actor: "lena", time }));
        this.anomalies = this.anomalies.map((other) => (other === anomaly ? changed : other));
        this.#ports.notify();
        return { anomaly: changed };
      },
      trainHost: async () => {
        await gate();
        this.asked.push("train");
        return { model: this.models[0]?.model };
      },
      backtest: (request: BacktestRequest) => this.#backtest(request),
    };
  }

  async *#backtest({ otherSettings }: BacktestRequest) {
    await this.#ports.gate();
    yield { progress: 0.4, records: 120_000n };
    const all = this.anomalies
      .map((anomaly) => withoutEvidence(anomaly).finding)
      .filter((finding) => finding !== undefined);
    const run = (list: Finding[]) => ({
      findings: list,
      findingCount: BigInt(list.length),
      findingsPerHostDay: list.length / 21,
      byDetector: [{ detector: DetectorKind.BEACON, count: 1n }],
    });
    const fewer = all.slice(0, 2);
    yield {
      progress: 1,
      records: 301_442n,
      run: run(all),
      ...(otherSettings ? { otherRun: run(fewer), onlyFirst: all.slice(2).map(({ id }) => id) } : {}),
      gaps: ["db-1 delivered nothing between 02:10 and 02:40."],
    };
  }

  alertService() {
    const { gate, notify } = this.#ports;
    return {
      putAlertRule: async ({ rule }: PutAlertRuleRequest) => {
        await gate();
        if (!rule) return {};
        this.asked.push(`rule ${rule.name} ${rule.enabled ? "on" : "off"}`);
        this.rules = [...this.rules.filter(({ name }) => name !== rule.name), rule];
        notify();
        return { rule };
      },
      deleteAlertRule: async ({ name }: { name: string }) => {
        this.rules = this.rules.filter((rule) => rule.name !== name);
        notify();
        return {};
      },
      putReceiver: async ({ receiver }: PutReceiverRequest) => {
        await gate();
        const url = receiver?.kind.case === "webhook" ? receiver.kind.value.url : "";
        if (!receiver || url.includes("169.254."))
          throw failure(
            ErrorCode.DESTINATION_REFUSED,
            Code.FailedPrecondition,
            "169.254.169.254 is a link-local address: webhooks do not go there.",
            "Allow local addresses for this receiver when it is meant.",
          );
        this.asked.push(`receiver ${receiver.name}`);
        this.receivers = [...this.receivers.filter(({ name }) => name !== receiver.name), receiver];
        notify();
        return { receiver };
      },
      testReceiver: async () => {
        await gate();
        return {
          delivery: {
            result: DeliveryResult.FAILED,
            detail: "smtp 535 5.7.8 authentication failed",
            attempts: 1,
            receiver: "on-call",
          },
          steps: [
            "mail.example.org is 192.0.2.25",
            "TLS 1.3, certificate of mail.example.org",
            "535 5.7.8 authentication failed",
          ],
        };
      },
      putSilence: async ({ silence, dryRun }: PutSilenceRequest) => {
        await gate();
        if (dryRun)
          return { silence, silencedNow: this.alerts, silencedBefore: 14n, silencedBeforeExamples: this.alerts };
        const kept = Object.assign(clone(SilenceSchema, silence ?? create(SilenceSchema)), {
          id: "s1",
          author: "lena",
        });
        this.silences = [...this.silences, kept];
        this.alerts = this.alerts.map((each) => Object.assign(clone(AlertSchema, each), { silencedBy: "s1" }));
        this.asked.push(`silence ${Object.keys(kept.matches).sort().join(",")}`);
        notify();
        return { silence: kept };
      },
      deleteSilence: async () => {
        this.silences = [];
        this.alerts = this.alerts.map((each) => Object.assign(clone(AlertSchema, each), { silencedBy: "" }));
        notify();
        return {};
      },
      acknowledgeAlert: async ({ id }: { id: string }) => {
        await gate();
        this.alerts = this.alerts.map((each) =>
          each.id === id ? Object.assign(clone(AlertSchema, each), { acknowledgedBy: "lena" }) : each,
        );
        notify();
        return { alert: this.alerts[0] };
      },
      listAlertHistory: async () => {
        await gate();
        return { alerts: [], total: 0n };
      },
    };
  }
}

function withoutEvidence(anomaly: Anomaly): Anomaly {
  const bare = clone(AnomalySchema, anomaly);
  if (bare.finding) Object.assign(bare.finding, { evidence: [], series: [] });
  return bare;
}

function findings(nowMs: number, isHostile: boolean): Anomaly[] {
  const at = (agoMs: number) => timestampFromMs(nowMs - agoMs);
  const make = (hostId: string, finding: MessageInitShape<typeof FindingSchema>) =>
    create(AnomalySchema, {
      hostId,
      finding: create(FindingSchema, {
        host: hostId.replace("host-", ""),
        state: FindingState.OVER,
        isCalibrated: true,
        score: 0.9994,
        falseAlarmsPerDay: 0.02,
        beganAt: at(HOUR_MS),
        lastAt: at(50 * MINUTE_MS),
        detectedAt: at(HOUR_MS - 40_000),
        ...finding,
      }),
    });
  const band = { normalLow: 0, normalHigh: 3, hasBand: true };
  const features = [
    {
      key: "regularity",
      name: "spread of the intervals",
      value: 0.02,
      normalLow: 0.4,
      normalHigh: 2.2,
      hasBand: true,
      unit: "",
      contribution: 0.55,
    },
    { key: "contacts", name: "contacts with one end", value: 36, ...band, unit: "connections", contribution: 0.3 },
    { key: "rarity", name: "hosts that talk to that end", value: 1, hasBand: false, unit: "hosts", contribution: 0.1 },
    {
      key: "sent",
      name: "sent in all",
      value: 5 * 1024 ** 2,
      normalLow: 0,
      normalHigh: 40_000,
      hasBand: true,
      unit: "bytes",
      contribution: 0.05,
    },
  ] as Finding["features"];
  const series = Array.from({ length: 60 }, (_, index) => ({
    time: at((60 - index) * MINUTE_MS),
    value: index < 40 ? (index * 7) % 3 : 6,
    normalLow: 0,
    normalHigh: 3,
  })) as Finding["series"];
  const evidence = Array.from({ length: 12 }, (_, index) => fakeRecord(nowMs - index * 10_000, index));
  return [
    make("host-web-1", {
      id: "f-beacon",
      detector: DetectorKind.BEACON,
      severity: AnomalySeverity.HIGH,
      state: FindingState.ONGOING,
      sentence: isHostile
        ? `<img src=x onerror=alert(1)>${HOSTILE_NAME} contacted 203.0.113.9:4444 every 10.0 s (±0.2 s) for 6 minutes; nothing else on this host talks to it.`
        : "curl on web-1 contacted 203.0.113.9:4444 every 10.0 s (±0.2 s) for 6 minutes; nothing else on this host talks to it.",
      beganAt: at(6 * MINUTE_MS),
      lastAt: at(8_000),
      detectedAt: at(5 * MINUTE_MS),
      features,
      series,
      seriesFeature: "contacts",
      evidence,
      evidenceTotal: 36n,
      evidenceQuery: "host:web-1 dst:203.0.113.9 port:4444",
      actions: [
        { action: { case: "deny", value: { remoteCidr: "203.0.113.9/32", port: 4444, protocol: 6 } } },
        { action: { case: "quarantineSubjectKey", value: "Host/default/web-1" } },
      ] as Finding["actions"],
    }),
    make("host-db-1", {
      id: "f-lateral",
      detector: DetectorKind.LATERAL_MOVEMENT,
      severity: AnomalySeverity.CRITICAL,
      sentence:
        "A session from web-1 on port 22 was followed 40 s later by sessions from db-1 to two hosts that it never reached before.",
      features: features.slice(1, 3),
      evidence: evidence.slice(0, 2),
      evidenceTotal: 2n,
      chainFindingIds: ["f-beacon", "f-lateral"],
    }),
    make("host-web-1", {
      id: "f-scan",
      detector: DetectorKind.PORT_SCAN,
      severity: AnomalySeverity.MEDIUM,
      sentence: "192.0.2.77 tried 512 different ports of web-1 in 20 s; 508 of them were denied.",
      beganAt: at(3 * HOUR_MS),
      lastAt: at(3 * HOUR_MS - 20_000),
      features: features.slice(1),
    }),
    make("host-web-2", {
      id: "f-new",
      detector: DetectorKind.NOVELTY,
      severity: AnomalySeverity.LOW,
      isCalibrated: false,
      sentence: "python3 on web-2 talks to the outside for the first time.",
      beganAt: at(20 * HOUR_MS),
      lastAt: at(20 * HOUR_MS),
    }),
  ];
}

function models(nowMs: number, kind: AnomalyKind): HostModel[] {
  const detectors = [DetectorKind.BASELINE, DetectorKind.ISOLATION_FOREST, DetectorKind.PORT_SCAN].map((detector) => ({
    detector,
    enabled: true,
    isReady: kind !== "none" || detector === DetectorKind.PORT_SCAN,
  }));
  const trained = {
    state: ModelState.TRAINED,
    reason: "9 days seen",
    trainedAt: timestampFromMs(nowMs - HOUR_MS),
    trainedWindows: 12_960n,
    excludedWindows: 41n,
    groupHosts: 3,
    group: "web",
    detectors,
  };
  const learning = { state: ModelState.LEARNING, reason: "2 of 24 hours seen", trainedWindows: 120n, detectors };
  return [
    create(HostModelSchema, { hostId: "host-web-1", host: "web-1", model: kind === "none" ? learning : trained }),
    create(HostModelSchema, { hostId: "host-web-2", host: "web-2", model: learning }),
    create(HostModelSchema, { hostId: "host-db-1", host: "db-1", isOutdated: true }),
  ];
}

function alert(nowMs: number, anomalies: readonly Anomaly[]): Alert {
  const finding = anomalies[0]?.finding;
  return create(AlertSchema, {
    id: "a1",
    rule: "findings",
    state: AlertState.FIRING,
    severity: AnomalySeverity.HIGH,
    sentence: finding?.sentence ?? "",
    host: "web-1",
    hostId: "host-web-1",
    findingId: finding?.id ?? "",
    beganAt: timestampFromMs(nowMs - 5 * MINUTE_MS),
    labels: { rule: "findings", host: "web-1", detector: "beacon", severity: "high" },
    deliveries: [
      { receiver: "desktop", result: DeliveryResult.HANDED_OVER, detail: "handed to the window", attempts: 1 },
      { receiver: "on-call", result: DeliveryResult.RETRYING, detail: "smtp 451 try later", attempts: 2 },
    ],
  });
}
