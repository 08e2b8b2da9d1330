import type { MeshHealingStatus } from "@wardline/api/wardline/console/v1/mesh";
import { type HealingAction, HealingMode } from "@wardline/api/wardline/v1/mesh";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { durationMs } from "../../../data/hosts-snapshot.ts";
import { Button, ChoiceCards, FailureNotice, formatQuantity, Notice, Sheet, TextField } from "../../../ui/index.ts";
import { ACTION_NAMES, MODES, SETTABLE_ACTIONS } from "../model/healing-words.ts";
import { wholeNumber } from "../model/settings.ts";

const CHOICES = [HealingMode.OBSERVE, HealingMode.SUGGEST, HealingMode.ACT].map((mode) => ({
  value: String(mode),
  label: MODES[mode].name,
  detail: MODES[mode].sentence,
}));

interface DialogProps {
  readonly hostId: string;
  readonly status: MeshHealingStatus;
  readonly onDone: () => void;
}

/** What is done about faults, by whom it is asked first, and the brakes. */
export function HealingSettingsDialog({ hostId, status, onDone }: DialogProps) {
  const { connection } = useConsole();
  const { settings } = status;
  const [mode, setMode] = useState(String(settings?.mode || HealingMode.SUGGEST));
  const [asked, setAsked] = useState<ReadonlySet<HealingAction>>(new Set(settings?.askBefore ?? []));
  const [hold, setHold] = useState(String((durationMs(settings?.hold) || 5_000) / 1000));
  const [cooldown, setCooldown] = useState(String((durationMs(settings?.cooldown) || 60_000) / 1000));
  const [perHour, setPerHour] = useState(String(settings?.actionsPerHour || 12));
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const numbers = {
    hold: wholeNumber(hold, 1, 3_600),
    cooldown: wholeNumber(cooldown, 1, 86_400),
    perHour: wholeNumber(perHour, 1, 1_000),
  };
  const isValid = numbers.hold !== null && numbers.cooldown !== null && numbers.perHour !== null;
  const isAct = mode === String(HealingMode.ACT);
  const save = async () => {
    if (isBusy || !isValid) return;
    setBusy(true);
    setFailure(null);
    try {
      await connection.mesh.configureMeshHealing({
        hostId,
        settings: {
          mode: Number(mode),
          askBefore: [...asked],
          hold: { seconds: BigInt(numbers.hold ?? 5) },
          cooldown: { seconds: BigInt(numbers.cooldown ?? 60) },
          actionsPerHour: numbers.perHour ?? 12,
        },
      });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
      setBusy(false);
    }
  };
  const toggle = (action: HealingAction) => {
    const next = new Set(asked);
    if (!next.delete(action)) next.add(action);
    setAsked(next);
  };
  return (
    <Sheet
      shape="dialog"
      isOpen
      onClose={onDone}
      title={`Healing for ${formatQuantity(status.hostIds.length, "host")}`}
      footer={
        <>
          <Button onPress={onDone}>Cancel</Button>
          <span className="mesh-footer-space" />
          <Button tone={isAct ? "danger" : "primary"} isDisabled={!isValid} onPress={() => void save()}>
            {isAct ? "Let it act" : MODES[Number(mode) as HealingMode].name} on{" "}
            {formatQuantity(status.hostIds.length, "host")}
          </Button>
        </>
      }
    >
      <div className="mesh-form">
        <ChoiceCards label="What is done about a fault" value={mode} onChange={setMode} choices={CHOICES} />
        {isAct ? (
          <Notice tone="observed">
            Hosts will restart their mesh daemon and change peers by themselves, within the brakes below. They never
            touch routes, firewalls, policies, keys or the store, and nothing is done without a majority.
          </Notice>
        ) : null}
        <fieldset className="healing-asked">
          <legend className="field-label">Never without a person, whatever the mode</legend>
          {SETTABLE_ACTIONS.map((action) => (
            <label key={action} className="check-line">
              <input type="checkbox" checked={asked.has(action)} onChange={() => toggle(action)} />
              {ACTION_NAMES[action]}
            </label>
          ))}
        </fieldset>
        <div className="healing-numbers">
          <TextField
            label="Seconds without the symptom until it counts as healed"
            value={hold}
            onChange={setHold}
            isInvalid={numbers.hold === null}
          />
          <TextField
            label="Seconds between two actions on one target"
            value={cooldown}
            onChange={setCooldown}
            isInvalid={numbers.cooldown === null}
          />
          <TextField
            label="Actions in an hour, over all"
            value={perHour}
            onChange={setPerHour}
            isInvalid={numbers.perHour === null}
          />
        </div>
        {isValid ? null : <p className="soft">Whole numbers: 1 to 3,600 s, 1 to 86,400 s, 1 to 1,000 actions.</p>}
        {failure ? <FailureNotice isCompact failure={failure} title="Nothing was changed" /> : null}
      </div>
    </Sheet>
  );
}
