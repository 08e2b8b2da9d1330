import { EnvironmentColor } from "@wardline/api/wardline/console/v1/hosts";
import { requiredWords } from "@wardline/domain/fleet";
import { useHostsStream } from "../../../data/context.tsx";
import { Select, TextField, visibleText } from "../../../ui/index.ts";
import { howInWords } from "../model/rollout-words.ts";
import { type RolloutDraft, useShip } from "../model/ship-store.ts";

/** What has to be typed before such a change; `null` when nothing has to. */
export function useTypedWords(hostIds: readonly string[]): string | null {
  const hosts = useHostsStream().value?.hosts ?? [];
  const subjects = hosts
    .filter(({ id }) => hostIds.includes(id))
    .map(({ name, environment }) => ({ name, isRed: environment?.color === EnvironmentColor.RED }));
  return requiredWords("apply to", subjects);
}

/** In which steps several hosts change, what has to hold in between, and the words that such a change needs. */
export function RolloutFields({ hostIds, words }: { hostIds: readonly string[]; words: string | null }) {
  const hosts = useHostsStream().value?.hosts ?? [];
  const { rollout, set } = useShip();
  const change = (part: Partial<RolloutDraft>) => set({ rollout: { ...rollout, ...part } });
  const chosen = hosts.filter(({ id }) => hostIds.includes(id));
  const canary = chosen.find(({ id }) => id === rollout.canaryHostId);
  return (
    <div className="rollout-form">
      <details className="rollout-how">
        <summary>
          <span className="soft">Roll-out</span> {howInWords(rollout, canary?.name ?? null)}
        </summary>
        <div className="rollout-fields">
          <Select<RolloutDraft["stages"]>
            label="Stages"
            value={rollout.stages}
            onChange={(stages) => change({ stages })}
            choices={[
              { value: "one", label: "One host, then all", detail: "the first one shows whether it works" },
              { value: "tenth", label: "One host, a tenth, all", detail: "for many hosts" },
              { value: "all", label: "All at once", detail: "no host is tried first" },
            ]}
          />
          {rollout.stages === "all" ? null : (
            <Select
              label="First host"
              value={chosen.some(({ id }) => id === rollout.canaryHostId) ? rollout.canaryHostId : "any"}
              onChange={(id) => change({ canaryHostId: id === "any" ? "" : id })}
              choices={[
                { value: "any", label: "Any" },
                ...chosen.map(({ id, name }) => ({ value: id, label: visibleText(name) })),
              ]}
            />
          )}
          <Select
            label="Watched after each stage"
            value={String(rollout.watchSeconds)}
            onChange={(seconds) => change({ watchSeconds: Number(seconds) })}
            choices={[
              { value: "5", label: "5 seconds" },
              { value: "10", label: "10 seconds" },
              { value: "30", label: "30 seconds" },
              { value: "120", label: "2 minutes" },
            ]}
          />
          <Select
            label="Between two stages"
            value={rollout.isAutomatic ? "automatic" : "by-hand"}
            onChange={(value) => change({ isAutomatic: value === "automatic" })}
            choices={[
              { value: "automatic", label: "Goes on by itself", detail: "when every host of the stage passed" },
              { value: "by-hand", label: "Waits for you" },
            ]}
          />
          <label className="check-line rollout-catch-up">
            <input
              type="checkbox"
              checked={rollout.hasCatchUp}
              onChange={(event) => change({ hasCatchUp: event.target.checked })}
            />
            Hosts that are away get it when they return
          </label>
        </div>
      </details>
      {words === null ? null : (
        <TextField
          label={`Type “${visibleText(words)}”`}
          value={rollout.typed}
          onChange={(typed) => change({ typed })}
          placeholder={visibleText(words)}
        />
      )}
    </div>
  );
}
