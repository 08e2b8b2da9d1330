/** Which build of the agent, and which of two is newer. */

export interface AgentIdentity {
  readonly version: string;
  readonly build: string;
}

const VERSION = /^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9A-Za-z.-]{1,50})?$/;
const BUILD = /^[0-9A-Za-z._-]{1,100}$/;

/** What `wardline-agent --version --json` prints, or `null` when it is something else. */
export function parseIdentity(text: string): AgentIdentity | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof json !== "object" || json === null) return null;
  const { version, build } = json as Record<string, unknown>;
  if (typeof version !== "string" || typeof build !== "string") return null;
  return VERSION.test(version) && BUILD.test(build) ? { version, build } : null;
}

export function formatIdentity({ version, build }: AgentIdentity): string {
  return `${version} (${build})`;
}

/**
 * Negative when `a` is older than `b`, 0 when neither is. A pre-release is older than its release (semver.org, 11).
 * Builds have no order.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  for (const [index, number] of left.numbers.entries()) {
    const difference = number - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.pre === right.pre) return 0;
  if (left.pre === "" || right.pre === "") return left.pre === "" ? 1 : -1;
  return comparePreReleases(left.pre.split("."), right.pre.split("."));
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) return 1;
    if (left === right) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (isNumber && isOtherNumber) return Number(left) - Number(right);
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

function split(version: string): { numbers: readonly number[]; pre: string } {
  const dash = version.indexOf("-");
  const [core, pre] = dash < 0 ? [version, ""] : [version.slice(0, dash), version.slice(dash + 1)];
  return { numbers: core.split(".").map(Number), pre };
}
