/** Export and import of the whole configuration; Settings mounts the panel. */
import { lazy } from "react";

export const ConfigurationPanel = lazy(() =>
  import("./components/configuration-panel.tsx").then(({ ConfigurationPanel: Panel }) => ({ default: Panel })),
);
export const ImportConfigurationSheet = lazy(() =>
  import("./components/import-configuration-sheet.tsx").then(({ ImportConfigurationSheet: Panel }) => ({
    default: Panel,
  })),
);
export const SourcePanel = lazy(() =>
  import("./components/source-panel.tsx").then(({ SourcePanel: Panel }) => ({ default: Panel })),
);

const FIRST_NAME = "wardline-configuration/manifest.json";

/** Whether dropped bytes are an exported configuration: its first entry has always the same name. */
export function isConfigurationArchive(content: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(content.subarray(0, FIRST_NAME.length)) === FIRST_NAME;
}
