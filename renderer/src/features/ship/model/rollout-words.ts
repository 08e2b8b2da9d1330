import { formatQuantity, visibleText } from "../../../ui/text.ts";
import type { RolloutDraft } from "./ship-store.ts";

/** The whole choice in one line, so that it is read also by those who leave it as it is. */
export function howInWords(rollout: RolloutDraft, canaryName: string | null): string {
  const first = canaryName === null ? "one host" : visibleText(canaryName);
  const stages = {
    one: `${first} first, then all`,
    tenth: `${first} first, then a tenth, then all`,
    all: "all at once",
  };
  return [
    stages[rollout.stages],
    `watched ${formatQuantity(rollout.watchSeconds, "second")} after each stage`,
    rollout.isAutomatic ? "goes on by itself" : "waits for you between stages",
    rollout.hasCatchUp ? "hosts that are away follow" : "hosts that are away are left out",
  ].join(" · ");
}
