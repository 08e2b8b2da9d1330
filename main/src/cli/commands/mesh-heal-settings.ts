/** `wardline mesh heal settings|knowledge|reset-knowledge` */
import { create, toJson } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import { type MeshHealingStatus, MeshHealingStatusSchema } from "@wardline/api/wardline/console/v1/mesh";
import {
  HealingAction,
  HealingMode,
  type HealingSettings,
  HealingSettingsSchema,
} from "@wardline/api/wardline/v1/mesh";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import type { HealSettingsOptions, MeshOptions } from "./mesh.options.ts";
import { askHosts } from "./mesh-hosts.ts";
import { actionWord, durationText, faultWord, modeWord, UNKNOWN } from "./mesh-view.ts";

export async function healSettings(output: Output, options: HealSettingsOptions): Promise<ExitCode> {
  const { host, mode, hold, cooldown, actionsPerHour, askBefore } = options;
  const isChange = [mode, hold, cooldown, actionsPerHour, askBefore].some((each) => each !== undefined);
  if (isChange && host === undefined)
    throw new UsageError(
      "Settings are changed at one host.",
      "Name it with --host; in a cluster they count for all members.",
    );
  if (isChange) requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    const { hostIds, isIncomplete } = await askHosts(output, session, options);
    const [hostId] = hostIds;
    if (isChange && hostId !== undefined) {
      const before = statuses(session, [hostId])[0]?.settings;
      await session.mesh.configureMeshHealing({ hostId, settings: changed(before, options) });
      await session.backend.services.mesh.refresh([hostId]);
    }
    const shown = statuses(session, hostIds);
    if (output.format === "json") output.json({ healing: shown.map((each) => toJson(MeshHealingStatusSchema, each)) });
    else output.text(settingsTable(shown));
    return isIncomplete ? EXIT.unreachable : EXIT.done;
  });
}

export async function healKnowledge(output: Output, options: MeshOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { hostIds, isIncomplete } = await askHosts(output, session, options);
    const shown = statuses(session, hostIds);
    const rows = shown.flatMap(({ coordinator, knowledge }) =>
      knowledge.map(({ fault, action, tried, healed, medianTimeToRepair }) => [
        ...[coordinator || "nobody", faultWord(fault), actionWord(action), String(tried), String(healed)],
        tried === 0 ? UNKNOWN : `${Math.round((healed / tried) * 100)} %`,
        durationText(medianTimeToRepair),
      ]),
    );
    const header = ["DECIDES", "FAULT", "ACTION", "TRIED", "HEALED", "RATE", "MEDIAN"];
    if (output.format === "json") output.json({ healing: shown.map((each) => toJson(MeshHealingStatusSchema, each)) });
    else output.text(rows.length === 0 ? "Nothing was tried yet.\n" : formatTable(header, rows));
    return isIncomplete ? EXIT.unreachable : EXIT.done;
  });
}

export async function healReset(output: Output, options: MeshOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    const hostId = session.backend.registry.byIdOrName(options.host ?? "").id;
    await session.mesh.resetMeshHealingKnowledge({ hostId });
    if (output.format === "json") output.json({ reset: true });
    else output.text("What worked is forgotten; runs stay in the list.\n");
    return EXIT.done;
  });
}

function statuses({ backend }: Session, hostIds: readonly string[]): MeshHealingStatus[] {
  const { healing } = backend.services.mesh.feed.summary();
  return healing.filter((each) => hostIds.length === 0 || each.hostIds.some((id) => hostIds.includes(id)));
}

function changed(before: HealingSettings | undefined, options: HealSettingsOptions): HealingSettings {
  const { mode, hold, cooldown, actionsPerHour, askBefore } = options;
  const settings = create(HealingSettingsSchema, before ?? { mode: HealingMode.SUGGEST });
  if (mode !== undefined) settings.mode = HealingMode[mode.toUpperCase() as keyof typeof HealingMode];
  if (hold !== undefined) settings.hold = durationFromMs(hold);
  if (cooldown !== undefined) settings.cooldown = durationFromMs(cooldown);
  if (actionsPerHour !== undefined) settings.actionsPerHour = actionsPerHour;
  if (askBefore !== undefined) settings.askBefore = askBefore.filter((each) => each !== "none").map(actionOf);
  return settings;
}

function actionOf(word: string): HealingAction {
  return HealingAction[word.toUpperCase().replaceAll("-", "_") as keyof typeof HealingAction];
}

const USUAL_HOLD: Duration = durationFromMs(5_000);
const USUAL_COOLDOWN: Duration = durationFromMs(60_000);
const USUAL_ACTIONS = 12;

function settingsTable(shown: readonly MeshHealingStatus[]): string {
  if (shown.length === 0) return "No host says how healing stands.\n";
  const rows = shown.map(({ coordinator, hostIds, settings, problem }) => [
    ...[coordinator || "nobody", String(hostIds.length), settings ? modeWord(settings.mode) : UNKNOWN],
    ...[durationText(settings?.hold ?? USUAL_HOLD), durationText(settings?.cooldown ?? USUAL_COOLDOWN)],
    String(settings?.actionsPerHour || USUAL_ACTIONS),
    settings?.askBefore.map(actionWord).join(", ") || "none",
    problem,
  ]);
  return formatTable(["DECIDES", "HOSTS", "MODE", "HOLD", "COOLDOWN", "PER HOUR", "ASKS BEFORE", "PROBLEM"], rows);
}
