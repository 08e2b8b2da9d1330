import { useSetting } from "../../../data/settings.ts";
import "./environment-name.css";

const NAMES = { none: null, lab: "Lab", staging: "Staging", production: "Production" } as const;

/** Name and colour of the environment, as the person chose them. On every confirmation. */
export function EnvironmentName() {
  const environment = useSetting("display.environment");
  const name = NAMES[environment];
  if (name === null) return null;
  return (
    <span className="environment-name" data-environment={environment}>
      {name}
    </span>
  );
}
