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
import {
  type DroppedFile,
  FileState,
  ImportAction,
  PolicyService,
  type SimulatePoliciesRequest,
  type Version,
  VersionSchema,
} from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { SettingsService } from "@wardline/api/wardline/console/v1/settings";
import {
  ApplyStep,
  type Receipt,
  ReceiptOutcome,
  ReceiptSchema,
  ShipService,
} from "@wardline/api/wardline/console/v1/ship";
import { SupportService } from "@wardline/api/wardline/console/v1/support";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { VocabularyService } from "@wardline/api/wardline/console/v1/vocabulary";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { type Generation, GenerationSchema } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { FakeAnomalies } from "./fake-anomalies.ts";
import { FakeAsk } from "./fake-ask.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { BROKEN_POLICY, fakeHost, HOSTILE_NAME, WEB_POLICY, WORKSPACE_FILES } from "./fake-data.ts";
import { explain, planHost } from "./fake-engine.ts";
import { FakeFleet } from "./fake-fleet.ts";
import { FakeFlowActions } from "./fake-flow-actions.ts";
import { FakeHistory } from "./fake-history.ts";
import { previewOf } from "./fake-import.ts";
import { fakeLiveFlows } from "./fake-live-flows.ts";
import { FakeMesh } from "./fake-mesh.ts";
import { FakePicture } from "./fake-picture.ts";
import type { Scenario } from "./fake-scenarios.ts";
import { FakeSettings } from "./fake-settings.ts";
import { FakeVerdicts } from "./fake-verdicts.ts";
import { FakeVersions } from "./fake-versions.ts";
import { fakeVocabularyService } from "./fake-vocabulary.ts";
import { checkText, documentsOf, type FakeFile, failure, summarize } from "./fake-workspace.ts";

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
  readonly receipts: Receipt[] = [];
  readonly transport: Transport;
  /** Set by tests: every call fails as if nobody listened. */
  isOffline = false;
  /** New flows that the stream has brought since it began, over all subscriptions. */
  flowsSent = 0;
  #previous: { files: Map<string, string>; generation: Generation | undefined } = {
    files: new Map(),
    generation: undefined,
  };
  #deadlineMs: number | null = null;
  #planCount = 0;
  #changed: (() => void)[] = [];

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    const nowMs = Date.now();
    this.host = fakeHost(scenario.host, nowMs);
    this.fleet = new FakeFleet(scenario.fleet ?? "none", { notify: () => this.notify(), gate: () => this.gate() });
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
        this.#write(path, text);
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
      this.#setPending(EnforcementMode.ENFORCE, scenario.pendingSeconds * 1000, "open 8443 for the new balancer");
    this.transport = createRouterTransport((router) => {
      router.service(HostService, this.#hostService());
      router.service(AskService, this.ask.service());
      router.service(PolicyService, this.#policyService());
      router.service(
        VocabularyService,
        fakeVocabularyService(this.files, () => this.gate()),
      );
      router.service(ShipService, this.#shipService());
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
      this.receipts.push(
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

  #touchHost(): void {
    const nowMs = Date.now();
    const { status } = this.host;
    if (this.scenario.host === "lost" || this.scenario.host === "no-agent" || !status) return;
    this.host.lastHeardAt = timestampFromMs(nowMs - 300);
    status.observedAt = timestampFromMs(nowMs - 300);
    if (this.#deadlineMs === null || !status.pending) return;
    const remainingMs = this.#deadlineMs - nowMs;
    if (remainingMs <= 0) this.#end(ReceiptOutcome.EXPIRED);
    else
      status.pending.remaining = {
        $typeName: "google.protobuf.Duration",
        seconds: BigInt(Math.floor(remainingMs / 1000)),
        nanos: Math.floor(remainingMs % 1000) * 1_000_000,
      };
  }

  #setPending(mode: EnforcementMode, withinMs: number, reason: string): void {
    const status = this.host.status;
    if (!status) return;
    const nowMs = Date.now();
    this.#previous = { files: new Map(this.enforcedFiles), generation: status.enforced };
    const generation = create(GenerationSchema, {
      number: (status.enforced?.number ?? 0n) + 1n,
      programDigest: "c".repeat(64),
      mode,
      appliedAt: timestampFromMs(nowMs),
      appliedBy: "lena",
      policyCount: 2,
      ruleCount: 6,
    });
    this.#deadlineMs = nowMs + withinMs;
    status.pending = {
      $typeName: "wardline.v1.PendingConfirmation",
      generation,
      deadline: timestampFromMs(this.#deadlineMs),
      ...(status.enforced ? { previous: status.enforced } : {}),
    };
    status.enforced = generation;
    this.enforcedFiles.clear();
    for (const [path, file] of this.files) this.enforcedFiles.set(path, file.text);
    this.receipts.unshift(
      create(ReceiptSchema, {
        id: BigInt(this.receipts.length + 1),
        hostId: "local",
        generation,
        time: timestampFromMs(nowMs),
        author: "lena",
        reason,
        outcome: ReceiptOutcome.PENDING,
      }),
    );
    this.#touchHost();
    this.notify();
  }

  #end(outcome: ReceiptOutcome): Generation {
    const status = this.host.status;
    const receipt = this.receipts[0];
    if (receipt) {
      receipt.outcome = outcome;
      receipt.endedAt = timestampFromMs(Date.now());
    }
    this.#deadlineMs = null;
    if (status) {
      delete status.pending;
      if (outcome !== ReceiptOutcome.CONFIRMED) {
        if (this.#previous.generation) status.enforced = this.#previous.generation;
        else delete status.enforced;
        this.enforcedFiles.clear();
        for (const [path, text] of this.#previous.files) this.enforcedFiles.set(path, text);
      }
    }
    this.notify();
    return status?.enforced ?? create(GenerationSchema);
  }

  #hostService() {
    const fake = this;
    return {
      async *watchHosts() {
        await fake.gate();
        for (let sequence = 1n; ; sequence += 1n) {
          fake.#touchHost();
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
        fake.#write(
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

  #write(path: string, text: string): bigint {
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

  #policyService() {
    const fake = this;
    const mustHave = (path: string) => {
      const file = fake.files.get(path);
      if (!file)
        throw failure(
          ErrorCode.NOT_FOUND,
          Code.NotFound,
          `There is no file ${path} in the workspace.`,
          "It may have been renamed or deleted.",
        );
      return file;
    };
    return {
      simulatePolicies: (request: SimulatePoliciesRequest, { signal }: { readonly signal: AbortSignal }) =>
        fake.verdicts.simulate(request, signal),
      async getFile({ path }: { path: string }) {
        await fake.gate();
        const { text, revision } = mustHave(path);
        return { path, text, revision };
      },
      async saveFile({ path, text, baseRevision }: { path: string; text: string; baseRevision: bigint }) {
        await fake.gate();
        const current = fake.files.get(path)?.revision ?? 0n;
        if (current !== baseRevision)
          throw failure(
            ErrorCode.REVISION_CONFLICT,
            Code.Aborted,
            `${path} was changed elsewhere since you opened it.`,
            "Compare both texts and choose.",
          );
        return { revision: fake.#write(path, text), diagnostics: checkText(path, text) };
      },
      async renameFile({ path, newPath }: { path: string; newPath: string }) {
        await fake.gate();
        if (fake.files.has(newPath))
          throw failure(
            ErrorCode.ALREADY_EXISTS,
            Code.AlreadyExists,
            `${newPath} exists already.`,
            "Choose another name.",
          );
        fake.files.set(newPath, mustHave(path));
        fake.files.delete(path);
        fake.notify();
        return {};
      },
      async deleteFile({ path }: { path: string }) {
        await fake.gate();
        mustHave(path);
        fake.files.delete(path);
        fake.notify();
        return {};
      },
      async previewImport({ files }: { files: DroppedFile[] }) {
        await fake.gate();
        return { files: files.map((file) => previewOf(file, fake.files.get(file.path))) };
      },
      async importFiles({ files }: { files: DroppedFile[] }) {
        await fake.gate();
        const previews = files.map((file) => previewOf(file, fake.files.get(file.path)));
        previews.forEach((preview, index) => {
          const content = files[index]?.content;
          if (content && (preview.action === ImportAction.ADD || preview.action === ImportAction.REPLACE))
            fake.#write(preview.path, new TextDecoder().decode(content));
        });
        return { files: previews };
      },
      async check({ files }: { files: { path: string; text: string }[] }) {
        await fake.gate();
        const texts = new Map([...fake.files].map(([path, file]) => [path, file.text] as const));
        for (const file of files) texts.set(file.path, file.text);
        return {
          diagnostics: [...texts].flatMap(([path, text]) => checkText(path, text)),
          documents: [...texts].flatMap(([path, text]) => documentsOf(path, text)),
        };
      },
      async explain(request: { from: string; to: string; protocol: number; port: number }) {
        await fake.gate();
        return explain(request);
      },
      async listVersions() {
        await fake.gate();
        return { versions: fake.versions };
      },
      async getVersion({ id }: { id: string }) {
        await fake.gate();
        const version = fake.versions.find((candidate) => candidate.id === id);
        if (!version) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, "There is no such version.");
        return { version, files: version.files };
      },
      async restoreVersion({ id }: { id: string; reason: string }) {
        await fake.gate();
        const version = fake.versions.find((candidate) => candidate.id === id);
        if (!version) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, "There is no such version.");
        for (const file of version.files) fake.#write(file.path, file.text);
        return { version };
      },
    };
  }

  #shipService() {
    const fake = this;
    return {
      async plan() {
        await fake.gate();
        await sleep(120);
        const diagnostics = [...fake.files].flatMap(([path, file]) => checkText(path, file.text));
        fake.#planCount += 1;
        const plan = planHost({
          planId: `plan-${fake.#planCount}`,
          host: fake.host,
          files: fake.files,
          enforced: fake.enforcedFiles,
          diagnostics,
          hasFailingTest: fake.scenario.hasFailingTest ?? false,
        });
        const [own] = plan.hosts;
        // The same policies on every other machine that is there.
        for (const { id, problem } of fake.fleet.hosts)
          if (own) plan.hosts.push({ ...own, hostId: id, ...(problem ? { error: problem, accessChanges: [] } : {}) });
        return plan;
      },
      async *apply(request: {
        mode: EnforcementMode;
        confirmWithin?: { seconds: bigint } | undefined;
        reason: string;
        overrideFailedTestsReason: string;
      }) {
        await fake.gate();
        const { reason, overrideFailedTestsReason: override } = request;
        if (fake.scenario.hasFailingTest && override === "")
          throw failure(ErrorCode.POLICY_TESTS_FAILED, Code.FailedPrecondition, "1 policy test fails.");
        yield { hostId: "local", step: ApplyStep.SENDING };
        await sleep(250);
        if (fake.host.status?.pending)
          throw failure(
            ErrorCode.CONFIRMATION_PENDING,
            Code.FailedPrecondition,
            "Generation 42 is waiting for confirmation.",
            "Keep it or roll it back first.",
          );
        const kept = override === "" ? reason : `${reason} [applied although 1 policy test fails: ${override}]`;
        fake.#setPending(request.mode, Number(request.confirmWithin?.seconds ?? 60n) * 1000, kept);
        yield {
          hostId: "local",
          step: ApplyStep.PENDING,
          ...(fake.host.status?.pending ? { pending: fake.host.status.pending } : {}),
          timings: { readUs: 410, compileUs: 1_930, fillUs: 620, selfTestUs: 380, flipUs: 3, totalUs: 3_343 },
        };
      },
      async confirm() {
        await fake.gate();
        return { generation: fake.#end(ReceiptOutcome.CONFIRMED) };
      },
      async rollback() {
        await fake.gate();
        return { generation: fake.#end(ReceiptOutcome.ROLLED_BACK) };
      },
      async listReceipts() {
        await fake.gate();
        return { receipts: fake.receipts };
      },
    };
  }
}
