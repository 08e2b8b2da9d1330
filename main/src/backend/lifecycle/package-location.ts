import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { PackageLocation } from "./manifest.ts";

/**
 * What `npm run build:agent` made in the checkout that this console runs from, and the key that only such builds are signed
 * with. WARDLINE_AGENT_PACKAGE names another directory.
 */
export function checkoutPackage(environment: NodeJS.ProcessEnv = process.env): PackageLocation {
  const path = (name: string) => fileURLToPath(new URL(`../../../../${name}`, import.meta.url));
  const checkoutKeyPath = path(".cache/signing/developer.pub.pem");
  return {
    directory: environment.WARDLINE_AGENT_PACKAGE || path("dist"),
    releaseKeysDir: path("assets/keys"),
    ...(existsSync(checkoutKeyPath) ? { checkoutKeyPath } : {}),
  };
}
