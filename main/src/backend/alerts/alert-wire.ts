/** Alerts, rules, receivers, silences and deliveries on the wire. What comes from there is judged as it is read. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import { ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import {
  type Alert,
  type AlertRule,
  CLUSTER_CONDITIONS,
  type EscalationStep,
  GROUP_KEYS,
  type GroupKey,
  HOST_CONDITIONS,
  MESH_CONDITIONS,
  type RuleSource,
  type Silence,
} from "@wardline/domain/alerts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fromWireDetector, fromWireSeverity, timestampOf, toWireDetector, toWireSeverity } from "@wardline/domain/wire";
import type { DeliveryRecord } from "./alert-tables.ts";
import type { KeptReceiver } from "./receivers.ts";

/** The enumerations are numbered in the order of the words, from 1. */
const conditionOf = <Word>(words: readonly Word[], wire: number): Word => {
  const word = words[wire - 1];
  if (word === undefined) throw invalid("The rule names no condition.");
  return word;
};

export function toWireRule(rule: AlertRule): api.AlertRule {
  const { source } = rule;
  const wire = create(api.AlertRuleSchema, {
    ...{ name: rule.name, description: rule.description, enabled: rule.enabled, hostSelector: rule.hostSelector },
    severity: rule.severity === null ? AnomalySeverity.UNSPECIFIED : toWireSeverity(rule.severity),
    ...{ forSeconds: rule.forSeconds, groupBy: [...rule.groupBy], groupWaitSeconds: rule.groupWaitSeconds },
    repeatSeconds: rule.repeatSeconds,
    steps: rule.steps.map(({ afterSeconds, receivers }) => ({ afterSeconds, receivers: [...receivers] })),
  });
  if (source.kind === "finding") {
    wire.source = api.AlertSource.FINDING;
    wire.minSeverity = toWireSeverity(source.minSeverity);
    wire.detectors = source.detectors.map(toWireDetector);
  } else if (source.kind === "denies") {
    wire.source = api.AlertSource.DENIES;
    Object.assign(wire, {
      query: source.query,
      threshold: BigInt(source.threshold),
      windowSeconds: source.windowSeconds,
    });
  } else if (source.kind === "host") {
    wire.source = api.AlertSource.HOST;
    wire.hostCondition = HOST_CONDITIONS.indexOf(source.condition) + 1;
  } else if (source.kind === "mesh") {
    wire.source = api.AlertSource.MESH;
    wire.meshCondition = MESH_CONDITIONS.indexOf(source.condition) + 1;
  } else {
    wire.source = api.AlertSource.CLUSTER;
    wire.clusterCondition = CLUSTER_CONDITIONS.indexOf(source.condition) + 1;
  }
  return wire;
}

/** Times that are 0 are the usual ones, but for those that can be 0. @throws Failure INVALID_ARGUMENT */
export function fromWireRule(wire: api.AlertRule | undefined): AlertRule {
  if (!wire) throw invalid("There is no rule in the request.");
  if (wire.steps.length > 100 || wire.groupBy.length > 20 || wire.detectors.length > 100)
    throw invalid("The rule is too long.");
  const groupBy = wire.groupBy.map((key) => {
    if ((GROUP_KEYS as readonly string[]).includes(key)) return key as GroupKey;
    throw invalid(`Alerts are grouped by ${GROUP_KEYS.join(", ")}, not by "${key.slice(0, 50)}".`);
  });
  return {
    ...{ name: wire.name, description: wire.description, enabled: wire.enabled, source: fromWireSource(wire) },
    ...{ forSeconds: wire.forSeconds, hostSelector: wire.hostSelector },
    severity: wire.severity === AnomalySeverity.UNSPECIFIED ? null : fromWireSeverity(wire.severity),
    groupBy: groupBy.length === 0 ? ["rule"] : groupBy,
    groupWaitSeconds: wire.groupWaitSeconds,
    repeatSeconds: wire.repeatSeconds || 3_600,
    steps: wire.steps.map(
      ({ afterSeconds, receivers }): EscalationStep => ({ afterSeconds, receivers: [...new Set(receivers)] }),
    ),
  };
}

function fromWireSource(wire: api.AlertRule): RuleSource {
  switch (wire.source) {
    case api.AlertSource.FINDING:
      return {
        kind: "finding",
        minSeverity: fromWireSeverity(wire.minSeverity),
        detectors: wire.detectors.flatMap((detector) => fromWireDetector(detector) ?? []),
      };
    case api.AlertSource.DENIES: {
      const threshold = Number(wire.threshold);
      return { kind: "denies", query: wire.query, threshold, windowSeconds: wire.windowSeconds };
    }
    case api.AlertSource.HOST:
      return { kind: "host", condition: conditionOf(HOST_CONDITIONS, wire.hostCondition) };
    case api.AlertSource.CLUSTER:
      return { kind: "cluster", condition: conditionOf(CLUSTER_CONDITIONS, wire.clusterCondition) };
    case api.AlertSource.MESH:
      return { kind: "mesh", condition: conditionOf(MESH_CONDITIONS, wire.meshCondition) };
    default:
      throw invalid("The rule has no source: findings, denies, hosts, clusters or meshes.");
  }
}

/** @param secretPlace empty = it has no secret */
export function toWireReceiver(receiver: KeptReceiver, secretPlace: string, last: DeliveryRecord | null): api.Receiver {
  const wire = create(api.ReceiverSchema, { name: receiver.name, secretKeptIn: secretPlace });
  const has = secretPlace !== "";
  if (receiver.kind === "desktop") wire.kind = { case: "desktop", value: create(api.DesktopReceiverSchema) };
  else if (receiver.kind === "email") {
    const { server, port, user, from, to } = receiver;
    const security = api.EmailSecurity[receiver.security.toUpperCase() as "TLS" | "STARTTLS" | "NONE"];
    const value = create(api.EmailReceiverSchema, {
      server,
      port,
      security,
      user,
      from,
      to: [...to],
      hasPassword: has,
    });
    wire.kind = { case: "email", value };
  } else if (receiver.kind === "webhook") {
    const { url, allowLocal } = receiver;
    wire.kind = { case: "webhook", value: create(api.WebhookReceiverSchema, { url, allowLocal, hasSecret: has }) };
  } else {
    const { url, allowLocal } = receiver;
    wire.kind = { case: "alertmanager", value: create(api.AlertmanagerReceiverSchema, { url, allowLocal }) };
  }
  if (last) wire.last = toWireDelivery(last);
  return wire;
}

/** Without its secret, and the secret that was given with it; empty = none was. @throws Failure INVALID_ARGUMENT */
export function fromWireReceiver(wire: api.Receiver | undefined): { receiver: KeptReceiver; secret: string } {
  if (!wire) throw invalid("There is no receiver in the request.");
  const { name, kind } = wire;
  switch (kind.case) {
    case "desktop":
      return { receiver: { name, kind: "desktop" }, secret: "" };
    case "email": {
      const { server, port, user, from, to, password } = kind.value;
      const security = SECURITIES.get(kind.value.security);
      if (!security) throw invalid("The receiver does not say how its connection is encrypted: tls, starttls or none.");
      return {
        receiver: { name, kind: "email", server, port, security, user, from, to: [...new Set(to)] },
        secret: password,
      };
    }
    case "webhook": {
      const { url, allowLocal, secret } = kind.value;
      return { receiver: { name, kind: "webhook", url, allowLocal }, secret };
    }
    case "alertmanager": {
      const { url, allowLocal } = kind.value;
      return { receiver: { name, kind: "alertmanager", url, allowLocal }, secret: "" };
    }
    default:
      throw invalid("The receiver is none of desktop, email, webhook and alertmanager.");
  }
}

const SECURITIES = new Map([
  [api.EmailSecurity.TLS, "tls" as const],
  [api.EmailSecurity.STARTTLS, "starttls" as const],
  [api.EmailSecurity.NONE, "none" as const],
]);

const RESULTS: Record<DeliveryRecord["result"], api.DeliveryResult> = {
  waiting: api.DeliveryResult.RETRYING,
  accepted: api.DeliveryResult.ACCEPTED,
  "handed-over": api.DeliveryResult.HANDED_OVER,
  failed: api.DeliveryResult.FAILED,
  retry: api.DeliveryResult.RETRYING,
};

export function toWireDelivery(record: DeliveryRecord): api.Delivery {
  const { triedAtMs, result, detail, attempts, errorWire, receiver } = record;
  return create(api.DeliverySchema, {
    ...{ time: timestampOf(triedAtMs), result: RESULTS[result], attempts, receiver },
    detail: detail === "" ? "It waits for its first attempt." : detail,
    ...(errorWire ? { error: fromBinary(ErrorDetailSchema, errorWire) } : {}),
  });
}

const STATES: Record<Alert["state"], api.AlertState> = {
  pending: api.AlertState.PENDING,
  firing: api.AlertState.FIRING,
  resolved: api.AlertState.RESOLVED,
};

export function toWireAlert(alert: Alert, deliveries: readonly DeliveryRecord[] = []): api.Alert {
  const { id, rule, sentence, hostId, host, findingId, silencedBy, acknowledgedBy, escalationStep } = alert;
  return create(api.AlertSchema, {
    ...{ id, rule, sentence, hostId, host, findingId, silencedBy, acknowledgedBy, escalationStep },
    ...{ state: STATES[alert.state], severity: toWireSeverity(alert.severity), labels: { ...alert.labels } },
    beganAt: timestampOf(alert.firedAtMs ?? alert.beganAtMs),
    ...(alert.endedAtMs === null ? {} : { endedAt: timestampOf(alert.endedAtMs) }),
    ...(alert.acknowledgedAtMs === null ? {} : { acknowledgedAt: timestampOf(alert.acknowledgedAtMs) }),
    deliveries: deliveries.map(toWireDelivery),
  });
}

export function toWireSilence({ id, matches, untilMs, reason, author, createdAtMs }: Silence): api.Silence {
  return create(api.SilenceSchema, {
    ...{ id, matches: { ...matches }, reason, author },
    ...{ until: timestampOf(untilMs), createdAt: timestampOf(createdAtMs) },
  });
}

/** @throws Failure INVALID_ARGUMENT */
export function fromWireSilence(
  wire: api.Silence | undefined,
  about: Pick<Silence, "id" | "author" | "createdAtMs">,
): Silence {
  if (!wire) throw invalid("There is no silence in the request.");
  if (!wire.until)
    throw invalid("The silence has no end.", "Give one: a silence that nobody remembers hides what matters.");
  return { ...about, matches: { ...wire.matches }, untilMs: timestampMs(wire.until), reason: wire.reason };
}

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
