/** `wardline config source` */
import { resolve } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { ProposedAction, type SourceStatus, SourceStatusSchema } from "@wardline/api/wardline/console/v1/configuration";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { ConfigSourceOptions } from "./config.options.ts";

export async function configSource(
  output: Output,
  options: ConfigSourceOptions,
  verb: string,
  where: string,
): Promise<ExitCode> {
  return withSession(options, {}, async ({ configuration }) => {
    const { reason, ticket } = options;
    switch (verb) {
      case "show": {
        return showProposal(output, configuration);
      }
      case "folder": {
        if (where === "") throw new UsageError("Which folder?", "wardline config source folder /srv/policies");
        const kind = { case: "folder", value: { path: resolve(where) } } as const;
        return said(output, (await configuration.setSource({ settings: { kind } })).status);
      }
      case "git": {
        if (where === "")
          throw new UsageError("Which remote?", "wardline config source git git@host:team/policies.git");
        const { branch, folder, every: intervalSeconds } = options;
        const kind = { case: "git", value: { url: where, branch, folder, intervalSeconds } } as const;
        return said(output, (await configuration.setSource({ settings: { kind } })).status);
      }
      case "take": {
        const { proposalId } = await configuration.getProposal({});
        const { version, status } = await configuration.takeProposal({ proposalId, reason, ticket });
        output.note(`Taken over as version ${version?.number}. No host was changed.`);
        return said(output, status);
      }
      case "publish": {
        const { fileCount, revision, status } = await configuration.publishToSource({ reason, ticket });
        output.note(`${fileCount} files published${revision === "" ? "" : ` as ${revision.slice(0, 12)}`}.`);
        return said(output, status);
      }
      case "remove":
        await configuration.removeSource({});
        output.note("Nothing is watched any more. The workspace stays as it is.");
        return EXIT.done;
      default:
        throw new UsageError(`"${visible(verb)}" is not show, folder, git, take, publish or remove.`);
    }
  });
}

async function showProposal(output: Output, configuration: Session["configuration"]): Promise<ExitCode> {
  const status = await refreshed(configuration);
  if (status === null) {
    // That nothing is watched is an answer here; whoever wants to take or publish is refused.
    if (output.format === "json") output.json(null);
    else
      output.text("No folder and no git remote is watched. Set one: `wardline config source folder /srv/policies`.\n");
    return EXIT.done;
  }
  const code = said(output, status);
  if (output.format === "json" || code !== EXIT.done) return code;
  const { files } = await configuration.getProposal({});
  const rows = files.map(({ action, path }) => [ProposedAction[action].toLowerCase(), path]);
  if (rows.length > 0) output.text(formatTable(["WOULD", "FILE"], rows));
  return EXIT.done;
}

async function refreshed(configuration: Session["configuration"]): Promise<SourceStatus | null> {
  try {
    return (await configuration.refreshSource({})).status ?? null;
  } catch (error) {
    if (failureFromConnectError(error)?.code === ErrorCode.NOT_FOUND) return null;
    throw error;
  }
}

/** A source that cannot be read is kept, and said. */
function said(output: Output, status: SourceStatus | undefined): ExitCode {
  if (output.format === "json") output.json(status ? toJson(SourceStatusSchema, status) : null);
  else if (status) {
    const { addedCount, changedCount, removedCount, conflictCount, unpublishedCount, leftOutCount } = status;
    const kind = status.settings?.kind;
    const name =
      kind?.case === "folder" ? kind.value.path : kind?.case === "git" ? `${kind.value.url} ${kind.value.branch}` : "";
    output.text(`${visible(name)} ${visible(status.revision.slice(0, 12))} ${visible(status.revisionText)}`.trimEnd());
    output.text(
      `\n${addedCount} to add, ${changedCount} to change, ${removedCount} to remove, ${conflictCount} in conflict; ${unpublishedCount} only here; ${leftOutCount} left out\n`,
    );
  }
  if (!status?.error) return EXIT.done;
  output.note(visible(status.error.message));
  return EXIT.unreachable;
}
