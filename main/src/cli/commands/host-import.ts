import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type NewHostSchema, ReadInventoryResponseSchema } from "@wardline/api/wardline/console/v1/fleet";
import { type Diagnostic, Severity } from "@wardline/api/wardline/v1/error";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { HostImportOptions } from "./host.options.ts";

type NewHost = MessageInitShape<typeof NewHostSchema>;

interface Found {
  readonly hosts: readonly NewHost[];
  readonly knownCount: number;
  readonly isWhole: boolean;
}

/** `wardline host import`: shows what a file would add, asks, and adds all or none. */
export async function hostImport(
  output: Output,
  options: HostImportOptions,
  file: string | undefined,
): Promise<ExitCode> {
  if ((file === undefined) === !options.sshConfig) {
    throw new UsageError("Give a file or --ssh-config, one of them.", "wardline host import --help");
  }
  const inventory =
    file === undefined ? null : { name: file === "-" ? "inventory" : basename(file), text: await textOf(file) };
  return withSession(options, {}, async (session) => {
    const found = inventory ? await fromInventory(output, session, inventory) : await fromSshConfig(output, session);
    const { hosts, knownCount } = found;
    if (!found.isWhole && !options.skipBad) {
      output.note("Nothing was added. Correct the file, or add what is good with --skip-bad.");
      return EXIT.problems;
    }
    if (output.format === "text") {
      if (hosts.length > 0)
        output.text(formatTable(["ALIAS", "ADDRESS", "USER", "GROUPS", "ENVIRONMENT"], hosts.map(toRow)));
      if (knownCount > 0) output.note(`${knownCount} of them are managed already and are left out.`);
    }
    if (hosts.length === 0) {
      if (output.format === "json") output.json({ added: [], known: knownCount });
      else output.note("There is nothing to add.");
      return EXIT.done;
    }
    const question = `Manage ${hosts.length === 1 ? "this host" : `these ${hosts.length} hosts`}?`;
    if (!options.yes && !(await confirmOnTerminal(question))) {
      output.note("Nothing was added.");
      return EXIT.problems;
    }
    const { hostIds } = await session.fleet.addHosts({ hosts: [...hosts] });
    const added = hosts.map(({ alias = "" }, index) => ({ hostId: hostIds[index], alias }));
    if (output.format === "json") output.json({ added, known: knownCount });
    else output.text(`${hostIds.length === 1 ? "1 host is" : `${hostIds.length} hosts are`} managed now.\n`);
    return EXIT.done;
  });
}

async function fromInventory(output: Output, session: Session, file: { name: string; text: string }): Promise<Found> {
  const reading = create(ReadInventoryResponseSchema, await session.fleet.readInventory(file));
  for (const diagnostic of reading.diagnostics) output.note(formatDiagnostic(diagnostic));
  const fresh = reading.entries.filter(({ known }) => !known);
  return {
    hosts: fresh.map(({ alias, access, groups, labels, environment }) => ({
      alias,
      groups,
      labels,
      ...(access ? { access } : {}),
      ...(environment ? { environment } : {}),
    })),
    knownCount: reading.entries.length - fresh.length,
    isWhole: reading.diagnostics.every(({ severity }) => severity !== Severity.ERROR),
  };
}

async function fromSshConfig(output: Output, session: Session): Promise<Found> {
  const { candidates, problems } = await session.fleet.listCandidates({});
  for (const problem of problems) output.note(visible(problem));
  const hosts = candidates.map(({ alias, access }) => (access ? { alias, access } : { alias }));
  return { hosts, knownCount: 0, isWhole: true };
}

async function textOf(file: string): Promise<string> {
  if (file === "-") return readAll(process.stdin);
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new UsageError(`${file} could not be read (${code}).`);
  }
}

function formatDiagnostic({ code, message, source }: Diagnostic): string {
  return `${visible(source?.file ?? "")}:${source?.line ?? 0}: ${code}: ${visible(message)}`;
}

function toRow({ alias = "", access, groups = [], environment }: NewHost): string[] {
  const port = access?.port ? `:${access.port}` : "";
  return [alias, `${access?.address ?? ""}${port}`, access?.user ?? "", groups.join(" "), environment?.name ?? ""];
}
