import { useWindow } from "../../../data/window-store.ts";
import { Sheet } from "../../../ui/index.ts";
import { SuggestionsPanel } from "./suggestions-panel.tsx";

/** Suggestions over whatever view is open, for those who begin with nothing. */
export function SuggestionsSheet() {
  const { overlay, show } = useWindow();
  return (
    <Sheet shape="drawer" title="Suggested policies" isOpen={overlay === "suggestions"} onClose={() => show("none")}>
      <SuggestionsPanel />
    </Sheet>
  );
}
