/**
 * Common names of certificates. An etcd that authenticates by certificate takes its users from there, so no two identities
 * may share one, and nobody but a candidate may ever be its administrator.
 */
import { createHash } from "node:crypto";

/** What etcd calls the user that may do everything. */
export const STORE_ADMINISTRATOR = "root";
/** The field's own limit. */
const MAX_CHARACTERS = 64;

/** Text that no member's name can be: names have no `:`. */
function marked(mark: string, name: string): string {
  const text = `${mark}:${name}`;
  if (text.length <= MAX_CHARACTERS) return text;
  const digest = createHash("sha256").update(name).digest("hex");
  return `${mark}:sha256:${digest}`.slice(0, MAX_CHARACTERS);
}

/** The member's name itself, where it fits and is not that of the administrator. */
export function storeUserOf(memberName: string): string {
  const isItself = memberName.length <= MAX_CHARACTERS && memberName !== STORE_ADMINISTRATOR;
  return isItself ? memberName : marked("member", memberName);
}

export function serverUserOf(serverName: string): string {
  return marked("server", serverName);
}
