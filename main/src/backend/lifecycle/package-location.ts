import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { PackageLocation } from "./manifest.ts";

/**
 * What `npm run build:agent` made in the checkout that this console runs from, and the key that only such builds are signed
 * with. WARDLINE_AGENT_PACKAGE names another directory with manifest and files; which keys are trusted, nothing outside says.
 */
export function checkoutPackage(environment: NodeJS.ProcessEnv = process.env): PackageLocation {
  const root = rootOf(import.meta.dirname);
  const checkoutKeyPath = join(root, ".cache/signing/developer.pub.pem");
  return {
    directory: environment.WARDLINE_AGENT_PACKAGE || join(root, "dist"),
    releaseKeysDir: join(root, "assets/keys"),
    ...(existsSync(checkoutKeyPath) ? { checkoutKeyPath } : {}),
  };
}

/** Never looked for: a directory above that somebody else can write must not become the one whose keys are trusted. */
function rootOf(directory: string): string {
  // From main/src/backend/lifecycle, or from main/dist/electron where the desktop shell's bundle lies.
  return join(directory, basename(directory) === "lifecycle" ? "../../../.." : "../../..");
}
