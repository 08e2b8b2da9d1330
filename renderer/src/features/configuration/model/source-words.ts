import { type GitSource, ProposedAction, type SourceSettings } from "@wardline/api/wardline/console/v1/configuration";
import type { NoticeTone } from "../../../ui/index.ts";

/** As a person would write it down. */
export function sourceName({ kind }: Pick<SourceSettings, "kind">): string {
  if (kind.case === "folder") return kind.value.path;
  return kind.case === "git" ? gitName(kind.value) : "";
}

function gitName({ url, branch, folder }: GitSource): string {
  return `${url} ${branch === "" ? "" : `(${branch})`} ${folder}`.trim();
}

export const ACTION_WORDS: Record<ProposedAction, { readonly word: string; readonly tone: NoticeTone }> = {
  [ProposedAction.UNSPECIFIED]: { word: "?", tone: "unknown" },
  [ProposedAction.ADD]: { word: "add", tone: "allow" },
  [ProposedAction.REPLACE]: { word: "replace", tone: "observed" },
  [ProposedAction.REMOVE]: { word: "remove", tone: "deny" },
  [ProposedAction.MERGE]: { word: "merge", tone: "info" },
  [ProposedAction.CONFLICT]: { word: "conflict", tone: "deny" },
};

/** Why an address cannot be one; empty = it may. The backend has the last word. */
export function addressProblem(kind: "folder" | "git", address: string): string {
  const text = address.trim();
  if (kind === "folder") return text.startsWith("/") ? "" : "The whole path, from / on, on the machine of the console.";
  if (/^https:\/\/[^/@\s]+\/\S+$/.test(text) || /^ssh:\/\/\S+$/.test(text)) return "";
  return /^[^@\s/]+@[^:\s]+:\S+$/.test(text) ? "" : "https://…, ssh://… or user@host:path, without a password.";
}
