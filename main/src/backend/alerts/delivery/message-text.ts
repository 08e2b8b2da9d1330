/** What people read: a title, plain text, and the same as HTML in which nothing of what hosts say is markup. */
import type { Alert, AlertMessage } from "@wardline/domain/alerts";
import { told } from "./outcome.ts";

const LISTED_IN_MAIL = 20;
const LISTED_ON_DESKTOP = 3;

export function titleOf({
  kind,
  isReminder,
  severity,
  firingCount,
  resolvedCount,
  firing,
  resolved,
  rules,
}: AlertMessage) {
  const count = kind === "firing" ? firingCount + resolvedCount : resolvedCount;
  const hosts = [...new Set([...firing, ...resolved].map(({ host }) => host))].filter((host) => host !== "");
  const where =
    hosts.length === 1
      ? ` on ${told(hosts[0] ?? "").slice(0, 80)}`
      : hosts.length > 1
        ? ` on ${hosts.length} hosts`
        : "";
  const what = rules.length === 1 ? rules[0] : `${rules.length} rules`;
  const number = count === 1 ? "" : ` (${count.toLocaleString("en")} alerts)`;
  if (kind === "resolved") return `Over: ${what}${where}${number}`;
  return `${isReminder ? "Still " : ""}${severity}: ${what}${where}${number}`;
}

export function desktopText(message: AlertMessage): string {
  const all = [...message.firing, ...message.resolved];
  const lines = all.slice(0, LISTED_ON_DESKTOP).map(({ sentence }) => told(sentence));
  const more = message.firingCount + message.resolvedCount - lines.length;
  return [...lines, ...(more > 0 ? [`and ${more.toLocaleString("en")} more`] : [])].join("\n");
}

export function plainText(message: AlertMessage): string {
  const parts = sections(message).map(({ heading, alerts, more }) =>
    [heading, ...alerts.map((alert) => `- ${lineOf(alert)}`), ...(more ? [more] : [])].join("\n"),
  );
  return `${titleOf(message)}\n\n${parts.join("\n\n")}\n\nMessage ${message.id} of Wardline.\n`;
}

export function htmlText(message: AlertMessage): string {
  const parts = sections(message).map(
    ({ heading, alerts, more }) =>
      `<p><b>${escaped(heading)}</b></p><ul>${alerts.map((alert) => `<li>${escaped(lineOf(alert))}</li>`).join("")}</ul>${
        more ? `<p>${escaped(more)}</p>` : ""
      }`,
  );
  return `<!doctype html><html><body><h3>${escaped(titleOf(message))}</h3>${parts.join("")}<p><small>Message ${escaped(message.id)} of Wardline.</small></p></body></html>`;
}

export function escaped(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? "");
}

function sections({ firing, firingCount, resolved, resolvedCount, groupCount }: AlertMessage) {
  const section = (heading: string, alerts: readonly Alert[], count: number) => {
    const listed = alerts.slice(0, LISTED_IN_MAIL);
    const left = count - listed.length;
    return {
      heading,
      alerts: listed,
      more: left > 0 ? `and ${left.toLocaleString("en")} more, which are in the console` : "",
    };
  };
  const groups =
    groupCount > 1 ? `, ${groupCount.toLocaleString("en")} groups put together because there were too many` : "";
  return [
    ...(firingCount > 0 ? [section(`Now (${firingCount.toLocaleString("en")}${groups})`, firing, firingCount)] : []),
    ...(resolvedCount > 0 ? [section(`Over (${resolvedCount.toLocaleString("en")})`, resolved, resolvedCount)] : []),
  ];
}

function lineOf({ severity, rule, sentence, firedAtMs, beganAtMs, endedAtMs }: Alert): string {
  const since = new Date(firedAtMs ?? beganAtMs).toISOString();
  const until = endedAtMs === null ? "" : ` to ${new Date(endedAtMs).toISOString()}`;
  return `[${severity}] ${told(sentence)} (rule ${rule}, since ${since}${until})`;
}
