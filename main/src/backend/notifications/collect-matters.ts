/** What of the console needs a person, from everything that it follows. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type AlertBoard, AlertState } from "@wardline/api/wardline/console/v1/alerts";
import type { AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import type { Question } from "@wardline/api/wardline/console/v1/fleet";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import type { MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import { type Rollout, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { AnomalySeverity, FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import { HealingState } from "@wardline/api/wardline/v1/mesh";
import type { AuditLogRow } from "../audit/audit-tables.ts";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { SettingsSnapshot } from "../settings/settings-files.ts";
import type { Matter, Urgency } from "./matter.ts";

export interface MatterSources {
  readonly hosts: readonly ManagedHost[];
  readonly rollouts: readonly Rollout[];
  readonly questions: readonly Question[];
  readonly anomalies: AnomalyList;
  readonly alerts: AlertBoard | null;
  readonly mesh: MeshSummary;
  readonly settings: SettingsSnapshot;
  /** The newest log of each host and of the console. */
  readonly auditLogs: readonly AuditLogRow[];
  readonly nowMs: number;
}

/** A host that is away for a moment is nobody's matter. */
const AWAY_MS = 30_000;
const LONGEST_TEXT = 400;

export function collectMatters(sources: MatterSources): readonly Matter[] {
  const { settings } = sources;
  return [
    ...pendingMatters(sources),
    ...(settings.values["notifications.hosts"] ? hostMatters(sources) : []),
    ...rolloutMatters(sources),
    ...questionMatters(sources),
    ...(settings.values["notifications.anomalies"] ? anomalyMatters(sources) : []),
    ...alertMatters(sources),
    ...meshMatters(sources),
    ...settingsMatters(sources),
    ...auditMatters(sources),
  ].map((matter) => ({
    ...matter,
    title: matter.title.slice(0, LONGEST_TEXT),
    body: matter.body.slice(0, LONGEST_TEXT),
  }));
}

const NOWHERE = { hostId: "", hostName: "", deadlineMs: null } as const;

function ofHost(host: ManagedHost) {
  return {
    hostId: host.id,
    hostName: hostNameOf(host),
    place: `hosts/${encodeURIComponent(host.id)}`,
    deadlineMs: null,
  };
}

function* pendingMatters({ hosts }: MatterSources): Generator<Matter> {
  for (const host of hosts) {
    const { status } = host.connection.state;
    const { pending } = status ?? {};
    if (!pending?.generation || host.connection.state.reachability !== Reachability.CONNECTED) continue;
    const deadlineMs = pending.deadline ? timestampMs(pending.deadline) : null;
    yield {
      ...ofHost(host),
      ...{ key: `pending/${host.id}/${pending.generation.number}`, source: "pending", urgency: 3, deadlineMs },
      title: `Generation ${pending.generation.number} on ${hostNameOf(host)} waits to be kept`,
      body: "Without a word it goes back to what was enforced before.",
    };
  }
}

function* hostMatters({ hosts, nowMs }: MatterSources): Generator<Matter> {
  for (const host of hosts) {
    const { reachability, problem, status, lastHeardAtMs } = host.connection.state;
    const isConnected = reachability === Reachability.CONNECTED;
    const isAway = reachability !== Reachability.IDLE && reachability !== Reachability.CONNECTING && !isConnected;
    if (isAway && problem && nowMs - lastHeardAtMs > AWAY_MS)
      yield {
        ...ofHost(host),
        ...{ key: `host/${host.id}/away`, source: "host", urgency: 2 },
        title: `${hostNameOf(host)} cannot be reached`,
        body: `${problem.message} ${problem.hint}`.trim(),
      };
    for (const [index, sentence] of (isConnected ? (status?.problems ?? []) : []).slice(0, 5).entries())
      yield {
        ...ofHost(host),
        ...{ key: `host/${host.id}/problem/${index}`, source: "host", urgency: 2 },
        title: `${hostNameOf(host)} has a problem`,
        body: sentence,
      };
  }
}

function* rolloutMatters({ rollouts }: MatterSources): Generator<Matter> {
  for (const { id, state, explanation, stage, stageCount, endedAt } of rollouts) {
    const isWaiting = state === RolloutState.WAITING;
    if (!isWaiting && !(state === RolloutState.HALTED && !endedAt)) continue;
    yield {
      ...NOWHERE,
      ...{ key: `rollout/${id}/${isWaiting ? stage : "halted"}`, source: "rollout", urgency: 2, place: "policies" },
      title: isWaiting ? `A roll-out waits after stage ${stage} of ${stageCount}` : "A roll-out has halted",
      body: explanation,
    };
  }
}

function* questionMatters({ questions, hosts }: MatterSources): Generator<Matter> {
  for (const { id, hostId, subject } of questions) {
    const host = hosts.find((candidate) => candidate.id === hostId);
    yield {
      ...(host ? ofHost(host) : { ...NOWHERE, place: "hosts" }),
      ...{ key: `question/${id}`, source: "question", urgency: 3 },
      title: `${host ? hostNameOf(host) : "A host"} asks before it lets this console in`,
      body: subject,
    };
  }
}

const SEVERITIES: readonly [AnomalySeverity, Urgency][] = [
  [AnomalySeverity.CRITICAL, 3],
  [AnomalySeverity.HIGH, 2],
  [AnomalySeverity.MEDIUM, 2],
];

function* anomalyMatters({ anomalies }: MatterSources): Generator<Matter> {
  for (const { hostId, finding } of anomalies.anomalies) {
    const urgency = SEVERITIES.find(([severity]) => severity === finding?.severity)?.[1];
    const said = finding?.feedback[0]?.kind ?? FeedbackKind.UNDO;
    const isJudged = said !== FeedbackKind.UNDO && said !== FeedbackKind.UNSPECIFIED;
    if (!finding || urgency === undefined || isJudged) continue;
    yield {
      ...{ key: `anomaly/${finding.id}`, source: "anomaly", urgency, deadlineMs: null },
      ...{ hostId, hostName: finding.host, place: `anomalies/${encodeURIComponent(finding.id)}` },
      title: `Unusual on ${finding.host}`,
      body: finding.sentence,
    };
  }
}

function* alertMatters({ alerts }: MatterSources): Generator<Matter> {
  for (const alert of alerts?.alerts ?? []) {
    if (alert.state !== AlertState.FIRING || alert.silencedBy || alert.acknowledgedBy) continue;
    yield {
      ...{ key: `alert/${alert.id}`, source: "alert", urgency: alert.severity >= AnomalySeverity.CRITICAL ? 3 : 2 },
      ...{ hostId: alert.hostId, hostName: alert.host, place: "anomalies", deadlineMs: null },
      title: `Alert: ${alert.rule}`,
      body: alert.sentence,
    };
  }
}

function* meshMatters({ mesh }: MatterSources): Generator<Matter> {
  for (const { run } of mesh.runs) {
    if (!run || run.endedAt) continue;
    const isWaiting = run.state === HealingState.WAITING_FOR_APPROVAL;
    if (!isWaiting && run.state !== HealingState.ESCALATED) continue;
    yield {
      ...NOWHERE,
      ...{ key: `mesh/${run.id}`, source: "mesh", urgency: 2, place: `mesh/${encodeURIComponent(`run/${run.id}`)}` },
      title: isWaiting ? "Healing of the mesh waits for your word" : "Healing of the mesh gave up",
      body: run.cause,
    };
  }
}

function* settingsMatters({ settings }: MatterSources): Generator<Matter> {
  const errors = settings.problems.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (!first) return;
  yield {
    ...NOWHERE,
    ...{ key: "settings/problems", source: "settings", urgency: 2, place: "settings" },
    title: settings.isBroken ? "The settings file cannot be read" : "Something in the settings does not count",
    body: `${first.source.file}, line ${first.source.line}: ${first.message}`,
  };
}

function* auditMatters({ auditLogs }: MatterSources): Generator<Matter> {
  for (const { hostId, hostName, log, state, atSequence } of auditLogs) {
    if (state === "verified") continue;
    yield {
      ...{
        key: `audit/${hostId}/${log}`,
        source: "audit",
        urgency: 3,
        place: "audit",
        hostId,
        hostName,
        deadlineMs: null,
      },
      title: `The audit log of ${hostName} does not verify`,
      body: `It does not continue what was seen of it, at entry ${atSequence}.`,
    };
  }
}
