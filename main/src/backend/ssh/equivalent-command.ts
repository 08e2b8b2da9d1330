/** The `ssh` command that a person would type for the same connection. */
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";

/** @param configPath given only where it is not `~/.ssh/config` */
export function equivalentCommand(access: HostAccess, configPath: string | null): string {
  const args = ["ssh"];
  if (configPath !== null) args.push("-F", configPath);
  if (access.port !== 0) args.push("-p", String(access.port));
  for (const path of access.identityFiles) args.push("-i", path);
  if (access.jump !== "") args.push("-J", access.jump);
  if (access.user !== "") args.push("-l", access.user);
  return [...args.map(shellWord), shellWord(access.address)].join(" ");
}

/** For a POSIX shell. `~/` stays bare, or it would not be expanded. */
function shellWord(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  const [, home = "", rest = ""] = /^(~\/)?(.*)$/s.exec(text) ?? [];
  if (/^[A-Za-z0-9_@%+=:,./-]*$/.test(rest)) return home + rest;
  return `${home}'${rest.replaceAll("'", "'\\''")}'`;
}
