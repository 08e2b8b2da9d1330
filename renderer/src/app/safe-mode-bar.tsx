import { ShieldAlert } from "lucide-react";
import { useSettings } from "../data/settings.ts";

/** Says what this console leaves alone, for as long as it runs so. */
export function SafeModeBar() {
  const isSafe = useSettings((store) => store.state?.safeMode ?? false);
  if (!isSafe) return null;
  return (
    <div className="safe-mode-bar" role="status">
      <ShieldAlert size={16} aria-hidden="true" />
      <span>
        <strong>Safe mode.</strong> Your settings file is left alone, and no agent is contacted until you connect to a
        host.
      </span>
    </div>
  );
}
