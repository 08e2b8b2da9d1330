import { visibleText } from "./text.ts";
import "./environment-tag.css";

export const ENVIRONMENT_COLORS = ["red", "amber", "blue", "green", "grey"] as const;
export type EnvironmentTone = (typeof ENVIRONMENT_COLORS)[number];

/** The safety colour of an environment, always with its name. */
export function EnvironmentTag({ name, color }: { name: string; color: EnvironmentTone }) {
  return (
    <span className="environment-tag" data-color={color}>
      <span className="truncate">{visibleText(name)}</span>
    </span>
  );
}
