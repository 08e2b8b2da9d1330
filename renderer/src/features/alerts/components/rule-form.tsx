import { clone, create } from "@bufbuild/protobuf";
import {
  type AlertBoard,
  type AlertRule,
  AlertRuleSchema,
  AlertSource,
  ClusterCondition,
  EscalationStepSchema,
  HostCondition,
  MeshCondition,
} from "@wardline/api/wardline/console/v1/alerts";
import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, SEVERITY_NAMES, Select, TextField } from "../../../ui/index.ts";

const SOURCES = [
  { value: String(AlertSource.FINDING), label: "a finding" },
  { value: String(AlertSource.DENIES), label: "denied packets" },
  { value: String(AlertSource.HOST), label: "the state of a host" },
  { value: String(AlertSource.CLUSTER), label: "the state of a cluster" },
  { value: String(AlertSource.MESH), label: "the state of a mesh" },
];
const SEVERITIES = [AnomalySeverity.LOW, AnomalySeverity.MEDIUM, AnomalySeverity.HIGH, AnomalySeverity.CRITICAL].map(
  (severity) => ({ value: String(severity), label: SEVERITY_NAMES[severity] }),
);
const HOST_CONDITIONS = [
  { value: String(HostCondition.UNREACHABLE), label: "is not reachable" },
  { value: String(HostCondition.DRIFTED), label: "enforces something else than it should" },
  { value: String(HostCondition.ROLLED_BACK), label: "rolled back by itself" },
  { value: String(HostCondition.NOT_ENFORCING), label: "enforces nothing" },
  { value: String(HostCondition.EVENTS_LOST), label: "loses flow events" },
];
const CLUSTER_CONDITIONS = [
  { value: String(ClusterCondition.NO_LEADER), label: "has no leader" },
  { value: String(ClusterCondition.STORE_UNAVAILABLE), label: "has no store to write to" },
  { value: String(ClusterCondition.MEMBER_UNHEALTHY), label: "has an unhealthy member" },
  { value: String(ClusterCondition.SET_REFUSED), label: "has a member that refused the set" },
];

const MESH_CONDITIONS = [
  { value: String(MeshCondition.ESCALATED), label: "has a fault that could not be healed" },
  { value: String(MeshCondition.WAITING_FOR_APPROVAL), label: "has healing that waits for approval" },
  { value: String(MeshCondition.PARTITIONED), label: "fell apart" },
];

const NEW_RULE = {
  enabled: true,
  source: AlertSource.FINDING,
  minSeverity: AnomalySeverity.HIGH,
  severity: AnomalySeverity.HIGH,
  threshold: 100n,
  windowSeconds: 60,
  hostCondition: HostCondition.UNREACHABLE,
  clusterCondition: ClusterCondition.NO_LEADER,
  meshCondition: MeshCondition.ESCALATED,
  groupBy: ["rule", "host"],
  groupWaitSeconds: 10,
  repeatSeconds: 3600,
};

interface RuleFormProps {
  /** `null` = a new one. */
  readonly rule: AlertRule | null;
  readonly board: AlertBoard;
  readonly onDone: () => void;
}

/** When it fires, for whom, and who is told at once and who when nobody has seen it. */
export function RuleForm({ rule, board, onDone }: RuleFormProps) {
  const { connection } = useConsole();
  const [draft, setDraft] = useState(() => (rule ? clone(AlertRuleSchema, rule) : create(AlertRuleSchema, NEW_RULE)));
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const change = (fields: Partial<AlertRule>) => setDraft(Object.assign(clone(AlertRuleSchema, draft), fields));
  const numberOf = (text: string) => Math.max(0, Math.floor(Number(text) || 0));
  const act = async (action: () => Promise<unknown>) => {
    setFailure(null);
    try {
      await action();
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const [first, later] = draft.steps;
  const setSteps = (now: readonly string[], laterNames: readonly string[], afterSeconds: number) =>
    change({
      steps: [
        ...(now.length > 0 ? [create(EscalationStepSchema, { afterSeconds: 0, receivers: [...now] })] : []),
        ...(laterNames.length > 0 ? [create(EscalationStepSchema, { afterSeconds, receivers: [...laterNames] })] : []),
      ],
    });
  const nowNames = first?.afterSeconds === 0 ? first.receivers : [];
  const laterStep = first && first.afterSeconds > 0 ? first : later;
  const laterNames = laterStep?.receivers ?? [];
  const afterSeconds = laterStep?.afterSeconds ?? 900;
  return (
    <div className="alert-form">
      <div className="alert-fields">
        {rule ? null : <TextField label="Name" isCode value={draft.name} onChange={(name) => change({ name })} />}
        <Select
          label="Fires on"
          value={String(draft.source)}
          onChange={(source) => change({ source: Number(source) })}
          choices={SOURCES}
        />
        {draft.source === AlertSource.FINDING ? (
          <Select
            label="At least"
            value={String(draft.minSeverity)}
            onChange={(minSeverity) => change({ minSeverity: Number(minSeverity) })}
            choices={SEVERITIES}
          />
        ) : null}
        {draft.source === AlertSource.DENIES ? (
          <>
            <TextField
              label="Packets"
              value={String(draft.threshold)}
              onChange={(text) => change({ threshold: BigInt(numberOf(text)) })}
            />
            <TextField
              label="In seconds"
              value={String(draft.windowSeconds)}
              onChange={(text) => change({ windowSeconds: numberOf(text) })}
            />
            <TextField
              label="That match"
              placeholder="dst:10.0.0.0/8 port:22"
              isCode
              value={draft.query}
              onChange={(query) => change({ query })}
            />
          </>
        ) : null}
        {draft.source === AlertSource.HOST ? (
          <Select
            label="A host"
            value={String(draft.hostCondition)}
            onChange={(hostCondition) => change({ hostCondition: Number(hostCondition) })}
            choices={HOST_CONDITIONS}
          />
        ) : null}
        {draft.source === AlertSource.CLUSTER ? (
          <Select
            label="A cluster"
            value={String(draft.clusterCondition)}
            onChange={(clusterCondition) => change({ clusterCondition: Number(clusterCondition) })}
            choices={CLUSTER_CONDITIONS}
          />
        ) : null}
        {draft.source === AlertSource.MESH ? (
          <Select
            label="A mesh"
            value={String(draft.meshCondition)}
            onChange={(meshCondition) => change({ meshCondition: Number(meshCondition) })}
            choices={MESH_CONDITIONS}
          />
        ) : null}
        <TextField
          label="For at least seconds"
          value={String(draft.forSeconds)}
          onChange={(text) => change({ forSeconds: numberOf(text) })}
        />
        <TextField
          label="On hosts"
          placeholder="all, or group:web"
          isCode
          value={draft.hostSelector}
          onChange={(hostSelector) => change({ hostSelector })}
        />
        <Select
          label="Severity"
          value={String(draft.severity)}
          onChange={(severity) => change({ severity: Number(severity) })}
          choices={SEVERITIES}
        />
      </div>
      <Receivers
        legend="Told at once"
        board={board}
        chosen={nowNames}
        onChange={(names) => setSteps(names, laterNames, afterSeconds)}
      />
      <Receivers
        legend="Told when nobody has seen it"
        board={board}
        chosen={laterNames}
        onChange={(names) => setSteps(nowNames, names, afterSeconds)}
      />
      {laterNames.length > 0 ? (
        <TextField
          label="After seconds"
          value={String(afterSeconds)}
          onChange={(text) => setSteps(nowNames, laterNames, Math.max(1, numberOf(text)))}
        />
      ) : null}
      {failure ? <FailureNotice isCompact failure={failure} title="The rule is as it was" /> : null}
      <span className="alert-buttons">
        <Button
          tone="primary"
          isDisabled={draft.name.trim() === ""}
          onPress={() => void act(() => connection.alerts.putAlertRule({ rule: draft }))}
        >
          {rule ? "Keep the rule" : "Add the rule"}
        </Button>
        <Button onPress={onDone}>Cancel</Button>
        {rule ? (
          <Button onPress={() => void act(() => connection.alerts.deleteAlertRule({ name: rule.name }))}>
            Remove the rule
          </Button>
        ) : null}
      </span>
    </div>
  );
}

interface ReceiversProps {
  readonly legend: string;
  readonly board: AlertBoard;
  readonly chosen: readonly string[];
  readonly onChange: (names: readonly string[]) => void;
}

function Receivers({ legend, board, chosen, onChange }: ReceiversProps) {
  return (
    <fieldset className="silence-labels">
      <legend>{legend}</legend>
      {board.receivers.map(({ name }) => (
        <label key={name}>
          <input
            type="checkbox"
            checked={chosen.includes(name)}
            onChange={() =>
              onChange(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name])
            }
          />{" "}
          {name}
        </label>
      ))}
    </fieldset>
  );
}
