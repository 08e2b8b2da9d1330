/** A typed double of the console's backend: the whole contract in memory, with scenarios for the states of each view. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowActionsService } from "@wardline/api/wardline/console/v1/flow_actions";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { type Host, HostService, type SetQuarantineRequest } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { NotificationService } from "@wardline/api/wardline/console/v1/notifications";
import { PictureService } from "@wardline/api/wardline/console/v1/picture";
import { FileState, PolicyService, type Version, VersionSchema } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { SettingsService } from "@wardline/api/wardline/console/v1/settings";
import { type Receipt, ReceiptOutcome, ReceiptSchema, ShipService } from "@wardline/api/wardline/console/v1/ship";
import { SupportService } from "@wardline/api/wardline/console/v1/support";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { VocabularyService } from "@wardline/api/wardline/console/v1/vocabulary";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { FakeAnomalies } from "./fake-anomalies.ts";
import { FakeAsk } from "./fake-ask.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { BROKEN_POLICY, fakeHost, HOSTILE_NAME, WEB_POLICY, WORKSPACE_FILES } from "./fake-data.ts";
import { FakeFleet } from "./fake-fleet.ts";
import { FakeFlowActions } from "./fake-flow-actions.ts";
import { FakeHistory } from "./fake-history.ts";
import { fakeLiveFlows } from "./fake-live-flows.ts";
import { FakeMesh } from "./fake-mesh.ts";
import { FakePicture } from "./fake-picture.ts";
import { fakePolicyService } from "./fake-policy-service.ts";
import type { Scenario } from "./fake-scenarios.ts";
import { FakeSettings } from "./fake-settings.ts";
import { FakeShip } from "./fake-ship.ts";
import { FakeVerdicts } from "./fake-verdicts.ts";
import { FakeVersions } from "./fake-versions.ts";
import { fakeVocabularyService } from "./fake-vocabulary.ts";
import { checkText, type FakeFile, failure, summarize } from "./fake-workspace.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class FakeConsole {
  readonly scenario: Scenario;
  readonly files = new Map<string, FakeFile>();
  readonly enforcedFiles = new Map<string, string>();
  readonly host: Host;
  readonly fleet: FakeFleet;
  readonly cluster: FakeCluster;
  readonly anomalies: FakeAnomalies;
  readonly flowActions = new FakeFlowActions();
  /** Hosts and workloads that were cut off, for tests. */
  readonly quarantines: string[] = [];
  /** What the live view asked for, for tests. */
  readonly flowQuestions: string[] = [];
  readonly history: FakeHistory;
  readonly mesh: FakeMesh;
  readonly settings: FakeSettings;
  readonly verdicts: FakeVerdicts;
  readonly picture: FakePicture;
  readonly ask: FakeAsk;
  readonly versions: (Version & { files: { path: string; text: string }[] })[] = [];
  readonly kept: FakeVersions;
  readonly ship: FakeShip;
  readonly transport: Transport;
  /** Set by tests: every call fails as if nobody listened. */
  isOffline = false;
  /** New flows that the stream has brought since it began, over all subscriptions. */
  flowsSent = 0;
  #changed: (() => void)[] = [];

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    const nowMs = Date.now();
    this.host = fakeHost(scenario.host, nowMs);
    this.fleet = new FakeFleet(scenario.fleet ?? "none", { notify: () => this.notify(), gate: () => this.gate() });
    this.ship = new FakeShip(this);
    this.cluster = new FakeCluster(scenario.cluster ?? "none", {
      notify: () => this.notify(),
      gate: () => this.gate(),
    });
    this.anomalies = new FakeAnomalies(scenario.anomalies ?? "none", {
      notify: () => this.notify(),
      gate: () => this.gate(),
    });
    this.mesh = new FakeMesh(scenario.mesh ?? "none", { notify: () => this.notify(), gate: () => this.gate() });
    this.kept = new FakeVersions({
      versions: () => this.versions,
      files: () => [...this.files].map(([path, { text }]) => ({ path, text })),
      write: (path, text) => {
        this.write(path, text);
        this.notify();
      },
      gate: () => this.gate(),
    });
    this.ask = new FakeAsk({
      gate: () => this.gate(),
      draft: () => this.files,
      enforced: () => this.enforcedFiles,
    });
    const usual = scenario.files === "hostile" ? "hostile" : scenario.files === "empty" ? "empty" : "shop";
    this.picture = new FakePicture(scenario.picture ?? usual, { gate: () => this.gate() });
    const verdicts = scenario.files === "hostile" ? "hostile" : scenario.files === "empty" ? "agree" : "changed";
    this.verdicts = new FakeVerdicts(scenario.verdicts ?? verdicts, { gate: () => this.gate() });
    this.settings = new FakeSettings(scenario.settings ?? "well", {
      notify: () => this.notify(),
      gate: () => this.gate(),
    });
    this.history = new FakeHistory({ gate: () => this.gate(), isEmpty: scenario.flowHistory === 0 });
    if (scenario.files !== "empty") {
      for (const [path, text] of Object.entries(WORKSPACE_FILES)) {
        this.files.set(path, { text, revision: 3n, modifiedMs: nowMs - 7_200_000 });
        this.enforcedFiles.set(path, text);
      }
      this.files.set("policies/web.yaml", {
        text: WEB_POLICY.replace("port: 443", "port: 8443"),
        revision: 4n,
        modifiedMs: nowMs - 60_000,
      });
    } else if (this.host.status) {
      delete this.host.status.enforced;
      this.host.status.counters = [];
      this.host.declared = false;
      this.host.labels = {};
    }
    if (scenario.files === "errors")
      this.files.set("policies/office.yaml", { text: BROKEN_POLICY, revision: 1n, modifiedMs: nowMs });
    if (scenario.files === "hostile") {
      this.files.set(`policies/${HOSTILE_NAME}.yaml`, {
        text: WEB_POLICY.replace("name: web", `name: ${HOSTILE_NAME}`),
        revision: 1n,
        modifiedMs: nowMs,
      });
      this.host.name = HOSTILE_NAME;
      this.host.labels = { [HOSTILE_NAME]: "\u0007bell", app: "web" };
    }
    if (scenario.files !== "empty") this.#addHistory(nowMs);
    if (scenario.pendingSeconds)
      this.ship.setPending(EnforcementMode.ENFORCE, scenario.pendingSeconds * 1000, "open 8443 for the new balancer");
    this.transport = createRouterTransport((router) => {
      router.service(HostService, this.#hostService());
      router.service(AskService, this.ask.service());
      router.service(PolicyService, fakePolicyService(this));
      router.service(
        VocabularyService,
        fakeVocabularyService(this.files, () => this.gate()),
      );
      router.service(ShipService, this.ship.service());
      router.service(FlowService, fakeLiveFlows(this));
      router.service(FleetService, this.fleet.fleetService());
      router.service(ClusterService, this.cluster.service());
      router.service(JobService, this.fleet.jobService());
      router.service(RolloutService, this.fleet.rolloutService());
      router.service(ActivityService, this.#activityService());
      router.service(AnomalyService, this.anomalies.anomalyService());
      router.service(AlertService, this.anomalies.alertService());
      router.service(HistoryService, this.history.service());
      router.service(SettingsService, this.settings.settingsService());
      router.service(NotificationService, this.settings.notificationService());
      router.service(AuditService, this.settings.auditService());
      router.service(SupportService, this.settings.supportService());
      router.service(FlowActionsService, this.flowActions.service());
      router.service(VerdictService, this.verdicts.service());
      router.service(VersionService, this.kept.versionService());
      router.service(ConfigurationService, this.kept.configurationService());
      router.service(PictureService, this.picture.service());
      if (scenario.mesh !== "old") router.service(MeshService, this.mesh.service());
    });
  }

  #addHistory(nowMs: number): void {
    const reasons = ["let the balancer reach the web tier", "keep the printer network out", "first policies"];
    reasons.forEach((reason, index) => {
      const number = BigInt(reasons.length - index);
      const version = create(VersionSchema, {
        id: String(number).repeat(64),
        number,
        createdAt: timestampFromMs(nowMs - (index + 1) * 5_400_000),
        author: index === 1 ? "marek" : "lena",
        reason,
        fileCount: 3,
        policyCount: 2,
      });
      const files = Object.entries(WORKSPACE_FILES).map(([path, text]) => ({
        path,
        text: index === 2 ? text.replace("5432", "5433") : text,
      }));
      this.versions.push(Object.assign(version, { files }));
      this.ship.receipts.push(
        create(ReceiptSchema, {
          id: number,
          hostId: "local",
          generation: { number: 38n + number, mode: EnforcementMode.ENFORCE },
          versionId: version.id,
          time: timestampFromMs(nowMs - (index + 1) * 5_400_000),
          author: version.author,
          reason,
          outcome: index === 1 ? ReceiptOutcome.EXPIRED : ReceiptOutcome.CONFIRMED,
          endedAt: timestampFromMs(nowMs - (index + 1) * 5_400_000 + 48_000),
        }),
      );
    });
  }

  get receipts(): readonly Receipt[] {
    return this.ship.receipts;
  }

  notify(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#changed.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async gate(): Promise<void> {
    if (this.scenario.isDown || this.isOffline) throw new ConnectError("Failed to fetch", Code.Unavailable);
    if (this.scenario.isSilent) await new Promise(() => {});
    await sleep(15);
  }

  #hostService() {
    const fake = this;
    return {
      async *watchHosts() {
        await fake.gate();
        for (let sequence = 1n; ; sequence += 1n) {
          fake.ship.touchHost();
          yield { sequence, hosts: [fake.host, ...fake.fleet.hosts], now: timestampFromMs(Date.now()) };
          await fake.#change(1_000);
          // A backend that goes away ends its streams.
          if (fake.isOffline) await fake.gate();
        }
      },
      async setQuarantine({ hostId, subject, managementCidrs, reason }: SetQuarantineRequest) {
        await fake.gate();
        if (managementCidrs.includes("0.0.0.0/0"))
          throw failure(ErrorCode.INVALID_ARGUMENT, Code.InvalidArgument, "Everybody is no management network.", "");
        fake.quarantines.push(`${hostId} ${subject} ${managementCidrs.join(",")} ${reason}`);
        return { hostName: hostId };
      },
      async setHostLabels(request: { labels: Record<string, string> }) {
        await fake.gate();
        fake.host.labels = request.labels;
        const lines = Object.entries(request.labels).map(([key, value]) => `    ${key}: ${value}`);
        fake.write(
          "inventory/atlas.yaml",
          `apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n  name: atlas\n  labels:\n${lines.join("\n")}\n`,
        );
        return { path: "inventory/atlas.yaml" };
      },
      async getSession() {
        await fake.gate();
        return {
          version: "0.1.0",
          build: "3f9c2ab",
          user: "lena",
          consoleHost: "atlas",
          shell: "browser",
          stateDirectory: "/home/lena/.local/state/wardline",
        };
      },
    };
  }

  /** Saves a text; its new revision. */
  write(path: string, text: string): bigint {
    const revision = (this.files.get(path)?.revision ?? 0n) + 1n;
    this.files.set(path, { text, revision, modifiedMs: Date.now() });
    this.notify();
    return revision;
  }

  #workspace(sequence: bigint) {
    const enforced = this.scenario.host === "no-agent" ? null : this.enforcedFiles;
    const files = [...this.files].map(([path, file]) => summarize(path, file, enforced));
    if (enforced) {
      for (const path of enforced.keys()) {
        if (!this.files.has(path))
          files.push(
            Object.assign(summarize(path, { text: "", revision: 0n, modifiedMs: Date.now() }, null), {
              state: FileState.DELETED,
            }),
          );
      }
    }
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    return {
      sequence,
      files,
      diagnostics: [...this.files].flatMap(([path, file]) => checkText(path, file.text)),
      stateDigest: "d".repeat(64),
    };
  }

  #activityService() {
    const fake = this;
    return {
      async *watchActivity() {
        await fake.gate();
        for (let sequence = 1n; ; sequence += 1n) {
          const { jobs, rollouts, questions } = fake.fleet;
          const { clusters, unclusteredHostIds, notes } = fake.cluster;
          const mesh = fake.mesh.summary();
          yield {
            sequence,
            workspace: fake.#workspace(sequence),
            jobs: { jobs },
            rollouts: { rollouts },
            questions: { questions },
            clusters: { clusters, unclusteredHostIds },
            anomalies: fake.anomalies.list(),
            alerts: fake.anomalies.board(),
            ...(mesh ? { mesh } : {}),
            settings: fake.settings.state(),
            notifications: fake.settings.notifications(),
            notes: { clusters: clusters.map(({ status }) => ({ clusterName: status?.clusterName ?? "", notes })) },
          };
          await fake.#change(3_600_000);
        }
      },
    };
  }
}
