// Debian starts the services of a package while it installs it, and at every boot from then on. Set-up wants programs:
// an etcd, a Prometheus or an SSH server that listens on its usual port is nothing that a test may leave on a machine.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** Both `invoke-rc.d` and `deb-systemd-invoke` ask this program before they start anything. */
const POLICY_PATH = "/usr/sbin/policy-rc.d";
const MARK = "# Made by Wardline's set-up while it installs packages; nothing is started meanwhile.";
const REFUSE_ACTION = 101;

/** Runs `install` while no service of any package is started. What somebody else decided there stays as it is. */
export async function withoutStartingServices(install, policyPath = POLICY_PATH) {
  // Of a set-up that was killed.
  if (isOurs(policyPath)) rmSync(policyPath);
  if (existsSync(policyPath)) return install();
  const remove = () => rmSync(policyPath, { force: true });
  process.once("exit", remove);
  try {
    writeFileSync(policyPath, `#!/bin/sh\n${MARK}\nexit ${REFUSE_ACTION}\n`, { mode: 0o755 });
    return await install();
  } finally {
    process.off("exit", remove);
    remove();
  }
}

function isOurs(policyPath) {
  try {
    return readFileSync(policyPath, "utf8").includes(MARK);
  } catch {
    return false;
  }
}
