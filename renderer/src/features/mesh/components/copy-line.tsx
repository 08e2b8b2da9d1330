import { useState } from "react";
import { Button } from "../../../ui/index.ts";

/** The same as a command, to copy. */
export function CopyLine({ command }: { command: string | null }) {
  const [said, setSaid] = useState("");
  if (command === null) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      setSaid("Copied");
    } catch {
      setSaid("It could not be copied: select the line instead");
    }
  };
  return (
    <p className="mesh-copy">
      <code className="wrap-anywhere">{command}</code>
      <Button size="small" tone="quiet" onPress={() => void copy()}>
        Copy as CLI
      </Button>
      <span role="status" className="faint">
        {said}
      </span>
    </p>
  );
}
