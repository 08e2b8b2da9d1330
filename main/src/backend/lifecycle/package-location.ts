import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PackageLocation } from "./manifest.ts";

/**
 * What `npm run build:agent` made in the checkout that this console runs from, and the key that only such builds are signed
 * with. WARDLINE_AGENT_PACKAGE names another directory with manifest and files; which keys are trusted, nothing outside says.
 */
export function checkoutPackage(environment: NodeJS.ProcessEnv = process.env): PackageLocation {
  const root = findRoot(import.meta.dirname);
  const checkoutKeyPath = join(root, ".cache/signing/developer.pub.pem");
  return {
    directory: environment.WARDLINE_AGENT_PACKAGE || join(root, "dist"),
    releaseKeysDir: join(root, "assets/keys"),
    ...(existsSync(checkoutKeyPath) ? { checkoutKeyPath } : {}),
  };
}

/** Sources and the bundle of the desktop shell lie at different depths. */
function findRoot(start: string): string {
  for (let directory = start; directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, "assets/keys"))) return directory;
  }
  return start;
}
