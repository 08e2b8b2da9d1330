/** The words that a person types before a change of many hosts, or of hosts that are marked as dangerous. */
import { ErrorCode, Failure } from "../errors/index.ts";

export interface TypedSubject {
  readonly name: string;
  /** The colour of its environment is red. */
  readonly isRed: boolean;
}

/** `apply to`, `quarantine`, … */
export type TypedVerb = "apply to" | "roll back" | "confirm" | "quarantine" | "lift the quarantine of";

/** `apply to 12 hosts`, `apply to web-1`; `null` when nothing needs to be typed. */
export function requiredWords(verb: TypedVerb, hosts: readonly TypedSubject[]): string | null {
  if (hosts.length > 1) return `${verb} ${hosts.length} hosts`;
  const [only] = hosts;
  return only?.isRed ? `${verb} ${only.name}` : null;
}

/** Case and spaces do not matter. @throws Failure CONFIRMATION_REQUIRED, which names the words */
export function requireTyped(verb: TypedVerb, hosts: readonly TypedSubject[], typed: string): void {
  const words = requiredWords(verb, hosts);
  if (words === null || normal(typed) === normal(words)) return;
  const reds = hosts.filter(({ isRed }) => isRed).length;
  const why =
    hosts.length > 1
      ? `This changes ${hosts.length} hosts${reds > 0 ? `, ${reds} of them in a red environment` : ""}.`
      : "This host is in a red environment.";
  throw new Failure({
    code: ErrorCode.CONFIRMATION_REQUIRED,
    message: `${why} It needs the words “${words}”${typed.trim() === "" ? "" : ", and other words were given"}. Nothing was changed.`,
    hint: `Type: ${words}`,
  });
}

function normal(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ").toLowerCase();
}
