import type { MeshHealingStatus } from "@wardline/api/wardline/console/v1/mesh";
import { HealingMode } from "@wardline/api/wardline/v1/mesh";
import { useState } from "react";
import { useHostsStream } from "../../../data/context.tsx";
import { durationMs } from "../../../data/hosts-snapshot.ts";
import { Button, formatAge, formatQuantity, Notice, Tag, visibleText } from "../../../ui/index.ts";
import { usePermission } from "../hooks/use-permission.ts";
import { ACTION_NAMES, MODES } from "../model/healing-words.ts";
import { hostToAsk } from "../model/settings.ts";
import { HealingSettingsDialog } from "./healing-settings-dialog.tsx";

/** How healing stands for the hosts that one coordinator decides for. */
export function HealingSettingsLine({ status }: { status: MeshHealingStatus }) {
  const hosts = useHostsStream().value?.hosts ?? [];
  const [isEditing, setEditing] = useState(false);
  const hostId = hostToAsk(status, hosts);
  const { refusal } = usePermission(hostId, "admin");
  const { settings } = status;
  const mode = settings?.mode ?? HealingMode.UNSPECIFIED;
  const holdMs = durationMs(settings?.hold) || 5_000;
  const cooldownMs = durationMs(settings?.cooldown) || 60_000;
  return (
    <section
      className="healing-settings"
      aria-label={`Healing decided by ${visibleText(status.coordinator) || "nobody"}`}
    >
      <div className="healing-settings-text">
        <p className="mesh-line">
          <Tag tone={mode === HealingMode.ACT ? "observed" : "info"}>{MODES[mode].name}</Tag>
          <span>{MODES[mode].sentence}</span>
        </p>
        <p className="soft wrap-anywhere">
          {status.coordinator ? `${visibleText(status.coordinator)} decides` : "Nobody decides now"} for{" "}
          {formatQuantity(status.hostIds.length, "host")} · healed means {formatAge(holdMs)} without the symptom · at
          most {formatQuantity(settings?.actionsPerHour || 12, "action")} an hour, {formatAge(cooldownMs)} apart on one
          target
          {settings && settings.askBefore.length > 0
            ? ` · never without a person: ${settings.askBefore.map((action) => ACTION_NAMES[action].toLowerCase()).join(", ")}`
            : ""}
        </p>
        {status.problem ? <Notice tone="deny">{visibleText(status.problem)}</Notice> : null}
        {refusal ? <p className="faint">{refusal}</p> : null}
      </div>
      <Button isDisabled={refusal !== ""} onPress={() => setEditing(true)}>
        Change…
      </Button>
      {isEditing ? <HealingSettingsDialog hostId={hostId} status={status} onDone={() => setEditing(false)} /> : null}
    </section>
  );
}
