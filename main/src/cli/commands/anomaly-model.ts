/** `wardline anomaly train|settings` */
import { toJson } from "@bufbuild/protobuf";
import { type HostModel, HostModelSchema } from "@wardline/api/wardline/console/v1/anomalies";
import { type AnomalyModelStatus, AnomalyModelStatusSchema, ModelState } from "@wardline/api/wardline/v1/anomaly";
import { LOCAL_HOST_ID } from "../../backend/hosts/managed-host.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { AnomalySettingsOptions, AnomalyTrainOptions } from "./anomaly.options.ts";
import { hostsOf } from "./anomaly.ts";
import { detectorOf, detectorWord } from "./anomaly-view.ts";

/** `wardline anomaly train` */
export async function anomalyTrain(output: Output, options: AnomalyTrainOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    const hostId = session.backend.registry.byIdOrName(options.host ?? LOCAL_HOST_ID).id;
    const { days, leaveOutFindings } = options;
    const { model } = await session.anomalies.trainHost({ hostId, days, leaveOutFindings });
    if (output.format === "json") output.json(model ? toJson(AnomalyModelStatusSchema, model) : {});
    else output.text(`Learned anew: ${model ? modelText(model) : "the host says nothing of it"}.\n`);
    return EXIT.done;
  });
}

/** `wardline anomaly settings`. Exit code 1 when detection does not run on a host. */
export async function anomalySettings(output: Output, options: AnomalySettingsOptions): Promise<ExitCode> {
  const isChange =
    options.falseAlarms !== undefined ||
    options.learningHours !== undefined ||
    options.disable.length + options.enable.length > 0;
  if (isChange && options.host === undefined) throw new UsageError("Say of which host: --host NAME.");
  if (isChange) requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    const hostIds = await hostsOf(output, session, options);
    const read = () => {
      const { models } = session.backend.services.anomalies.feed.list();
      return models.filter(({ hostId }) => hostIds.length === 0 || hostIds.includes(hostId));
    };
    const [hostId = ""] = hostIds;
    const before = read()[0]?.settings;
    if (isChange) {
      const disabled = new Set([...(before?.disabled ?? []), ...options.disable.map(detectorOf)]);
      for (const word of options.enable) disabled.delete(detectorOf(word));
      const settings = {
        targetFalseAlarmsPerDay: options.falseAlarms ?? before?.targetFalseAlarmsPerDay ?? 0,
        learningHours: options.learningHours ?? before?.learningHours ?? 0,
        disabled: [...disabled],
      };
      await session.anomalies.configureHost({ hostId, settings });
    }
    const models = read();
    if (output.format === "json") output.json({ models: models.map((model) => toJson(HostModelSchema, model)) });
    else if (models.length === 0) output.text("Nothing is known of the detectors of any host.\n");
    else output.text(formatModels(models));
    for (const { host, model } of models)
      if (model?.problem) output.note(`${visible(host)}: ${visible(model.problem)}`);
    return models.some(({ model, isOutdated }) => isOutdated || model?.problem) ? EXIT.problems : EXIT.done;
  });
}

function formatModels(models: readonly HostModel[]): string {
  return formatTable(
    ["HOST", "MODEL", "FALSE ALARMS A DAY", "LEARNING", "OFF", "FINDINGS", "SUPPRESSED"],
    models.map(({ host, model, settings, isOutdated }) => [
      host,
      isOutdated ? "the agent is older than detection" : model ? modelText(model) : "",
      String(settings?.targetFalseAlarmsPerDay ?? ""),
      settings ? `${settings.learningHours} h` : "",
      (settings?.disabled ?? []).map(detectorWord).join(", "),
      String(model?.detectors.reduce((sum, { findings }) => sum + findings, 0n) ?? ""),
      String(model?.detectors.reduce((sum, { suppressed }) => sum + suppressed, 0n) ?? ""),
    ]),
  );
}

function modelText({ state, reason }: AnomalyModelStatus): string {
  return `${(ModelState[state] ?? "").toLowerCase()} (${reason})`;
}
