/** SSH keys of a fleet, made anew for each. */
import { readFileSync } from "node:fs";
import { mustRun } from "./run-program.ts";

export interface KeyPair {
  readonly path: string;
  readonly privateText: string;
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicText: string;
}

export async function makeKey(path: string, passphrase = ""): Promise<KeyPair> {
  await mustRun("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path]);
  const publicText = readFileSync(`${path}.pub`, "utf8").trim();
  return { path, privateText: readFileSync(path, "utf8"), publicText };
}
