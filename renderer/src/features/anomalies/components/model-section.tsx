import type { HostModel } from "@wardline/api/wardline/console/v1/anomalies";
import { ModelState } from "@wardline/api/wardline/v1/anomaly";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, formatAge, formatCount, formatQuantity, Tag, visibleText } from "../../../ui/index.ts";
import { DETECTOR_EXPLANATIONS, DETECTOR_NAMES, MODEL_STATE_NAMES } from "../model/words.ts";

/** How far each host's detection can be trusted: what has not learned enough says so. */
export function ModelSection({ models }: { models: readonly HostModel[] }) {
  if (models.length === 0) return null;
  const trained = models.filter(({ model }) => model?.state === ModelState.TRAINED).length;
  const troubled = models.filter(({ model, isOutdated }) => isOutdated || (model?.problem ?? "") !== "").length;
  return (
    <details className="model-section">
      <summary>
        {formatQuantity(models.length, "host looks", "hosts look")} for anomalies ·{" "}
        {trained === models.length
          ? models.length === 1
            ? "trained"
            : "all trained"
          : `${formatCount(models.length - trained)} still learning what is usual`}
        {troubled > 0 ? ` · ${formatQuantity(troubled, "host does", "hosts do")} not` : ""}
      </summary>
      <ul className="model-list">
        {models.map((model) => (
          <HostModelItem key={model.hostId} host={model} />
        ))}
      </ul>
    </details>
  );
}

function HostModelItem({ host }: { host: HostModel }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const { model } = host;
  const trainedMs = optionalMs(model?.trainedAt);
  const train = async () => {
    setFailure(null);
    setBusy(true);
    try {
      await connection.anomalies.trainHost({ hostId: host.hostId, days: 0, leaveOutFindings: true });
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setBusy(false);
    }
  };
  if (host.isOutdated || !model) {
    return (
      <li className="model-item">
        <strong>{visibleText(host.host)}</strong>{" "}
        <span className="soft">its agent is older than anomaly detection: upgrade it, in Hosts.</span>
      </li>
    );
  }
  const off = model.detectors.filter(({ enabled }) => !enabled);
  const notReady = model.detectors.filter(({ enabled, isReady }) => enabled && !isReady);
  return (
    <li className="model-item">
      <p className="model-line">
        <strong>{visibleText(host.host)}</strong>
        <Tag tone={model.state === ModelState.TRAINED ? "allow" : "unknown"}>{MODEL_STATE_NAMES[model.state]}</Tag>
        <span className="soft">{visibleText(model.reason)}</span>
        <span className="faint">
          {trainedMs === null ? "" : `learned ${formatAge(nowMs - trainedMs)} ago from `}
          {formatQuantity(model.trainedWindows, "window")}
          {model.excludedWindows > 0n ? `, ${formatCount(model.excludedWindows)} left out because of findings` : ""}
          {model.groupHosts > 0
            ? ` · compared with ${formatQuantity(model.groupHosts, "host")} of ${visibleText(model.group)}`
            : " · no group to compare with"}
        </span>
        <Button size="small" isDisabled={isBusy} onPress={() => void train()}>
          {isBusy ? "Learning…" : "Learn anew from its records"}
        </Button>
      </p>
      {model.problem ? <p className="model-problem">{visibleText(model.problem)}</p> : null}
      {notReady.length > 0 ? (
        <p className="soft">
          Silent until it has learned:{" "}
          {notReady.map(({ detector }) => (
            <span key={detector} title={DETECTOR_EXPLANATIONS[detector]} className="model-detector">
              {DETECTOR_NAMES[detector]}
            </span>
          ))}
        </p>
      ) : null}
      {off.length > 0 ? (
        <p className="soft">Turned off: {off.map(({ detector }) => DETECTOR_NAMES[detector]).join(", ")}</p>
      ) : null}
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
    </li>
  );
}
