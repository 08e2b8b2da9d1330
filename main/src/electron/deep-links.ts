/**
 * `wardline://flows`, `wardline://policies/web.yaml?line=12` (or `?version=DIGEST`), `wardline://hosts/ID`: links of tickets and chats to a place of
 * the console. A link opens a view and never acts; what it names is looked up by the page, which knows it or says that it does not.
 */

export const LINK_SCHEME = "wardline";

const LONGEST_LINK = 2_000;
const VIEWS: ReadonlySet<string> = new Set([
  ...["overview", "policies", "flows", "anomalies", "hosts", "cluster", "mesh", "audit", "settings", "changes"],
]);
const LINK =
  /^wardline:\/\/([a-z]{1,20})(?:\/([^?#\s]{0,1500}))?(?:\?line=(\d{1,7})|\?version=(\d{1,9}|[0-9a-f]{12,64}))?$/i;

/**
 * The place as the page's address has it (`#/policies/web.yaml?line=12`); `null` = it is no link of ours.
 * The rest of the link is taken apart and written anew, so that nothing else than a place can be in it.
 */
export function placeOfLink(link: string): string | null {
  if (link.length > LONGEST_LINK) return null;
  const match = LINK.exec(link);
  const view = match?.[1]?.toLowerCase() ?? "";
  if (!match || !VIEWS.has(view)) return null;
  const argument = decoded(match[2] ?? "");
  if (argument === null) return null;
  if (match[4] && view !== "policies") return null;
  const rest = match[3] ? `?line=${Number(match[3])}` : match[4] ? `?version=${match[4].toLowerCase()}` : "";
  // Some desktops add a slash to a link without a path.
  const path = argument.replace(/\/+$/, "");
  return `#/${view}${path === "" ? "" : `/${encodeURIComponent(path)}`}${rest}`;
}

/** The link among the arguments of a start, as Linux and Windows hand it over. */
export function linkInArguments(argumentsOfStart: readonly string[]): string | null {
  return argumentsOfStart.find((argument) => argument.toLowerCase().startsWith(`${LINK_SCHEME}://`)) ?? null;
}

function decoded(text: string): string | null {
  try {
    const plain = decodeURIComponent(text);
    // Half of a character cannot be written again.
    if (!plain.isWellFormed()) return null;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
    return /[\u0000-\u001f\u007f]/.test(plain) ? null : plain;
  } catch {
    return null;
  }
}
