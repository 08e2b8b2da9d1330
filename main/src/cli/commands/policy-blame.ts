/** `wardline policy blame FILE[:LINE]` */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { VersionEntry } from "@wardline/api/wardline/console/v1/versions";
import { splitLines } from "@wardline/domain/lines";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { BlameOptions } from "./policy-blame.options.ts";

const MAX_REASON_CHARACTERS = 40;

export async function policyBlame(output: Output, options: BlameOptions, place: string): Promise<ExitCode> {
  const match = /^(.+?\.(?:ya?ml|json))(?::(\d{1,7}))?$/i.exec(place);
  if (!match?.[1]) throw new UsageError(`"${visible(place)}" is not a file of the workspace.`, "policies/web.yaml:12");
  const [, path] = match;
  const onlyLine = match[2] === undefined ? null : Number(match[2]);
  return withSession(options, {}, async ({ versions }) => {
    const side = sideOf(options.at);
    const { text } = await versions.readVersion({ side, path });
    const blame = await versions.getBlame({ path, side });
    const lines = splitLines(text).map((line) => line.replace(/\r?\n$/, ""));
    if (onlyLine !== null && (onlyLine < 1 || onlyLine > lines.length)) {
      throw new UsageError(`${visible(path)} has ${lines.length} lines.`);
    }
    const byNumber = new Map(blame.versions.map((version) => [version.number, version]));
    const rows = blame.runs.flatMap(({ firstLine, lineCount, number }) =>
      Array.from({ length: lineCount }, (_, index) => ({
        line: firstLine + index,
        version: byNumber.get(number) ?? null,
      })),
    );
    const shown = rows.filter(({ line }) => onlyLine === null || line === onlyLine);
    if (output.format === "json") {
      output.json({
        path,
        lines: shown.map(({ line, version }) => ({ line, text: lines[line - 1] ?? "", ...dataOf(version) })),
      });
      return EXIT.done;
    }
    const header = ["LINE", "VERSION", "TIME", "AUTHOR", "TICKET", "ENFORCED", "REASON", "TEXT"];
    output.text(
      formatTable(
        header,
        shown.map(({ line, version }) => rowOf(line, version, lines[line - 1] ?? "")),
      ),
    );
    if (blame.cutAtNumber > 0n)
      output.note(`Lines of version ${blame.cutAtNumber} may be older: only so many versions are compared.`);
    return EXIT.done;
  });
}

function sideOf(at: string | undefined) {
  if (at === undefined) return { side: { case: "draft", value: true } } as const;
  if (/^\d{1,5}$/.test(at)) return { side: { case: "number", value: BigInt(at) } } as const;
  return { side: { case: "id", value: at } } as const;
}

function rowOf(line: number, version: VersionEntry | null, text: string): string[] {
  if (!version) return [String(line), "draft", "", "", "", "", "not kept yet", text];
  const { number, createdAt, author, ticket, reason } = version;
  const time = createdAt ? timestampDate(createdAt).toISOString().slice(0, 16).replace("T", " ") : "";
  const shortReason = reason.length > MAX_REASON_CHARACTERS ? `${reason.slice(0, MAX_REASON_CHARACTERS)}…` : reason;
  return [String(line), String(number), time, author, ticket, enforcedOf(version), shortReason, text];
}

function enforcedOf({ enforcedOn }: VersionEntry): string {
  const now = enforcedOn.filter(({ until }) => !until);
  const [first] = now;
  if (!first) return "nowhere";
  const since = first.since ? timestampDate(first.since).toISOString().slice(0, 10) : "?";
  return `since ${since} on ${now.length === 1 ? first.hostName || "this machine" : `${now.length} hosts`}`;
}

function dataOf(version: VersionEntry | null): object {
  if (!version) return { version: null };
  const { number, id, createdAt, author, ticket, reason, enforcedOn } = version;
  return {
    version: Number(number),
    id,
    time: createdAt ? timestampDate(createdAt).toISOString() : null,
    ...{ author, ticket, reason },
    enforcedOn: enforcedOn.map(({ hostId, since, until }) => ({
      hostId,
      since: since ? timestampDate(since).toISOString() : null,
      until: until ? timestampDate(until).toISOString() : null,
    })),
  };
}
