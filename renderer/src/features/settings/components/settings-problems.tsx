import type { SettingsState } from "@wardline/api/wardline/console/v1/settings";
import { Severity } from "@wardline/api/wardline/v1/error";
import { FileWarning, ShieldAlert } from "lucide-react";
import { Button, formatQuantity, Notice, visibleText } from "../../../ui/index.ts";
import { placeOf } from "../model/rows.ts";

const SHOWN = 20;

/** What does not count, where it stands, and the way to mend it. Above everything else of the view. */
export function SettingsProblems({ state, onOpen }: { state: SettingsState; onOpen: () => void }) {
  if (state.safeMode)
    return (
      <Notice tone="observed" icon={<ShieldAlert size={16} aria-hidden="true" />}>
        <strong>Safe mode.</strong> Your settings file is neither read nor written. Start without --safe-mode to use it.
      </Notice>
    );
  if (state.problems.length === 0) return null;
  const errors = state.problems.filter(({ severity }) => severity === Severity.ERROR).length;
  return (
    <Notice
      tone={errors > 0 ? "deny" : "observed"}
      icon={<FileWarning size={16} aria-hidden="true" />}
      action={
        <Button size="small" onPress={onOpen}>
          {errors > 0 ? "Mend the file" : "Open the file"}
        </Button>
      }
    >
      <strong>
        {state.broken
          ? "The settings file cannot be read. What it said before goes on counting, and nothing writes over it."
          : `${formatQuantity(state.problems.length, "place", "places")} in the settings ${state.problems.length === 1 ? "does" : "do"} not count.`}
      </strong>
      <ul className="settings-problems">
        {state.problems.slice(0, SHOWN).map((problem) => (
          <li key={`${placeOf(problem)} ${problem.code} ${problem.message}`}>
            <code>{problem.code}</code> {visibleText(problem.message)}{" "}
            <code className="faint">{visibleText(placeOf(problem))}</code>
          </li>
        ))}
      </ul>
      {state.problems.length > SHOWN ? (
        <p>and {formatQuantity(state.problems.length - SHOWN, "more", "more")}</p>
      ) : null}
    </Notice>
  );
}
