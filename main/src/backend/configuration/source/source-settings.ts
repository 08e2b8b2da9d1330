/** Where the policies come from, checked before it is kept: these words go to git and to the file system. */

import { isAbsolute, normalize } from "node:path";
import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type SourceSettings, SourceSettingsSchema } from "@wardline/api/wardline/console/v1/configuration";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";
import type { SettingsTable } from "../../store/settings-table.ts";

const SETTING = "configuration_source";
const USUAL_INTERVAL_SECONDS = 300;
const LEAST_INTERVAL_SECONDS = 30;
const HOST = "[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?";
const PATH = "[A-Za-z0-9._~/+%@-]{1,400}";
const URLS = [
  new RegExp(`^https://${HOST}(?::\\d{1,5})?/${PATH}$`),
  new RegExp(`^ssh://(?:[A-Za-z0-9._-]{1,64}@)?${HOST}(?::\\d{1,5})?/${PATH}$`),
  new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@${HOST}:(?!-)${PATH}$`),
];
const BRANCH = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,198}[A-Za-z0-9_-])?$/;

/** @param allowsFiles tests only: a repository on this machine. @throws Failure INVALID_ARGUMENT */
export function checkedSource(given: SourceSettings | undefined, allowsFiles = false): SourceSettings {
  const kind = given?.kind;
  if (kind?.case === "folder") {
    const { path } = kind.value;
    if (!isAbsolute(path) || normalize(path) !== path || path.length > 1_000 || hasInvisible(path)) {
      throw invalid("The folder has to be an absolute path without `..`.", "Give it as /srv/policies.");
    }
    return create(SourceSettingsSchema, { kind: { case: "folder", value: { path } } });
  }
  if (kind?.case !== "git") throw invalid("The request names neither a folder nor a git remote.");
  const { url, branch, folder, intervalSeconds } = kind.value;
  const isLocal = allowsFiles && url.startsWith("/");
  if (!isLocal && !URLS.some((pattern) => pattern.test(url))) {
    throw invalid(
      "The address is not one of a git remote over https or ssh, or has a password in it.",
      "Write https://host/team/policies.git or git@host:team/policies.git; keys come from your ssh agent.",
    );
  }
  const isBranch = BRANCH.test(branch) && !/\.\.|\/\/|\.lock(?:\/|$)|\/\./.test(branch);
  if (!isBranch) throw invalid(`${JSON.stringify(branch.slice(0, 80))} is not the name of a branch.`, "Such as main.");
  if (folder !== "" && (folder.length > 300 || !folder.split("/").every(isPlainPart))) {
    throw invalid(
      `${JSON.stringify(folder.slice(0, 80))} is not a folder of a repository.`,
      "Such as policies/production.",
    );
  }
  const seconds = intervalSeconds || USUAL_INTERVAL_SECONDS;
  if (seconds < LEAST_INTERVAL_SECONDS || seconds > 86_400) {
    throw invalid(`A remote is fetched every ${LEAST_INTERVAL_SECONDS} s to once a day.`);
  }
  return create(SourceSettingsSchema, {
    kind: { case: "git", value: { url, branch, folder, intervalSeconds: seconds } },
  });
}

function isPlainPart(part: string): boolean {
  return (
    part !== "" &&
    part !== "." &&
    part !== ".." &&
    !part.startsWith("-") &&
    !hasInvisible(part) &&
    !/[\\:*?[\]]/.test(part)
  );
}

export function readSource(settings: SettingsTable): SourceSettings | null {
  try {
    const text = settings.text(SETTING) ?? "";
    return text === "" ? null : fromJsonString(SourceSettingsSchema, text);
  } catch {
    return null;
  }
}

export function keepSource(settings: SettingsTable, source: SourceSettings | null): void {
  settings.set(SETTING, source ? toJsonString(SourceSettingsSchema, source) : "");
}

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
