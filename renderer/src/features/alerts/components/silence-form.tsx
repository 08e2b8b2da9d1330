import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { PutSilenceResponse } from "@wardline/api/wardline/console/v1/alerts";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatQuantity,
  Select,
  TextField,
  visibleText,
} from "../../../ui/index.ts";

const LENGTHS = [
  { value: "3600000", label: "1 hour" },
  { value: "28800000", label: "8 hours" },
  { value: "86400000", label: "1 day" },
  { value: "604800000", label: "7 days" },
] as const;
type Length = (typeof LENGTHS)[number]["value"];

/** Which alerts are kept silent, for how long; what that would have held back is shown before it can be done. */
export function SilenceForm({ labels, onDone }: { labels: Readonly<Record<string, string>>; onDone: () => void }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [chosen, setChosen] = useState<readonly string[]>(
    Object.keys(labels).filter((key) => key === "rule" || key === "host"),
  );
  const [length, setLength] = useState<Length>("3600000");
  const [reason, setReason] = useState("");
  const [preview, setPreview] = useState<PutSilenceResponse | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const put = async (dryRun: boolean) => {
    setFailure(null);
    const matches = Object.fromEntries(Object.entries(labels).filter(([key]) => chosen.includes(key)));
    try {
      const silence = { matches, until: timestampFromMs(nowMs + Number(length)), reason: reason.trim() };
      const answer = await connection.alerts.putSilence({ silence, dryRun });
      if (dryRun) setPreview(answer);
      else onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const toggle = (key: string) => {
    setPreview(null);
    setChosen(chosen.includes(key) ? chosen.filter((other) => other !== key) : [...chosen, key]);
  };
  return (
    <div className="alert-form">
      <fieldset className="silence-labels">
        <legend>Silence alerts whose</legend>
        {Object.entries(labels).map(([key, value]) => (
          <label key={key}>
            <input type="checkbox" checked={chosen.includes(key)} onChange={() => toggle(key)} /> {visibleText(key)} is{" "}
            <strong className="wrap-anywhere">{visibleText(value)}</strong>
          </label>
        ))}
      </fieldset>
      <div className="alert-fields">
        <Select label="For" value={length} onChange={setLength} choices={LENGTHS} />
        <TextField label="Why" value={reason} onChange={setReason} />
      </div>
      {preview ? (
        <p aria-live="polite">
          It holds back {formatQuantity(preview.silencedNow.length, "alert")} now, and would have held back{" "}
          {formatCount(preview.silencedBefore)} in the last 7 days
          {preview.silencedBeforeExamples.length > 0
            ? `, such as: ${preview.silencedBeforeExamples
                .slice(0, 3)
                .map(({ sentence }) => visibleText(sentence))
                .join(" · ")}`
            : "."}
        </p>
      ) : null}
      {failure ? <FailureNotice isCompact failure={failure} title="Nothing is silenced" /> : null}
      <span className="alert-buttons">
        {preview ? (
          <Button tone="primary" onPress={() => void put(false)}>
            Silence them
          </Button>
        ) : (
          <Button tone="primary" isDisabled={chosen.length === 0} onPress={() => void put(true)}>
            See what that would hold back
          </Button>
        )}
        <Button onPress={onDone}>Cancel</Button>
      </span>
    </div>
  );
}
