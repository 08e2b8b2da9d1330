/** `wardline config export|import|verify|show-key|trust-key` */
import { open, readFile } from "node:fs/promises";
import { toJson } from "@bufbuild/protobuf";
import {
  type ConfigurationPart,
  GetConfigurationKeysResponseSchema,
  type PreviewConfigurationResponse,
  PreviewConfigurationResponseSchema,
  SignerState,
} from "@wardline/api/wardline/console/v1/configuration";
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type SessionOptions, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { ConfigExportOptions, ConfigImportOptions, ConfigTrustOptions } from "./config.options.ts";

const MAX_BYTES = 64 * 1024 * 1024;
const SHOWN_CHANGES = 200;
const KINDS: Record<ChangeKind, string> = {
  [ChangeKind.UNSPECIFIED]: "?",
  [ChangeKind.ADDED]: "add",
  [ChangeKind.REMOVED]: "remove",
  [ChangeKind.CHANGED]: "replace",
};

export async function configExport(output: Output, options: ConfigExportOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { archive, fileName, parts, keyFingerprint } = await session.configuration.exportConfiguration({});
    const name = options.output ?? fileName;
    if (name === "-") process.stdout.write(archive);
    else await writeNew(name, archive);
    if (output.format === "json" && name !== "-") {
      output.json({
        file: name,
        sizeBytes: archive.length,
        keyFingerprint,
        parts: parts.map(({ name: part, count }) => ({ part, count })),
      });
    } else {
      output.note(`${name === "-" ? "Written" : `Written to ${visible(name)}`}: ${partsOf(parts)}`);
      output.note(`Signed by this console, ${keyFingerprint}`);
    }
    return EXIT.done;
  });
}

export async function configVerify(output: Output, options: ConfigImportOptions, name: string): Promise<ExitCode> {
  const archive = await readArchive(name);
  return withSession(options, {}, async (session) => {
    const preview = await session.configuration.previewConfiguration({ archive, removesMissing: options.replaceAll });
    show(output, preview);
    return preview.signer?.state === SignerState.UNKNOWN ? EXIT.problems : EXIT.done;
  });
}

export async function configImport(output: Output, options: ConfigImportOptions, name: string): Promise<ExitCode> {
  const archive = await readArchive(name);
  return withSession(options, {}, async (session) => {
    const removesMissing = options.replaceAll;
    const preview = await session.configuration.previewConfiguration({ archive, removesMissing });
    if (output.format === "text") show(output, preview);
    if (preview.changeCount === 0) {
      output.note("This configuration is here already: there is nothing to import.");
      if (output.format === "json") output.json({ changedCount: 0 });
      return EXIT.done;
    }
    if (!options.yes && !(await confirmOnTerminal("Import it?"))) {
      output.note("Nothing was changed.");
      return EXIT.problems;
    }
    const { version, changedCount, leftToDo } = await session.configuration.importConfiguration({
      ...{ archive, removesMissing, previewId: preview.previewId, acceptFingerprint: options.acceptKey },
      ...{ reason: options.reason, ticket: options.ticket },
    });
    if (output.format === "json") output.json({ changedCount, version: Number(version?.number ?? 0n), leftToDo });
    else output.text(`Imported: ${changedCount} changes, version ${version?.number}. No host was changed.\n`);
    for (const sentence of leftToDo) output.note(visible(sentence));
    return EXIT.done;
  });
}

export async function configShowKey(output: Output, options: SessionOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    let keys = await session.configuration.getConfigurationKeys({});
    if (!keys.own?.fingerprint) {
      // The first export makes it.
      await session.configuration.exportConfiguration({});
      keys = await session.configuration.getConfigurationKeys({});
    }
    if (output.format === "json") {
      output.json(toJson(GetConfigurationKeysResponseSchema, keys));
      return EXIT.done;
    }
    const rows = [...(keys.own ? [keys.own] : []), ...keys.trusted].map(({ name, fingerprint, publicKey }) => [
      name,
      fingerprint,
      publicKey,
    ]);
    output.text(formatTable(["WHOSE", "FINGERPRINT", "KEY"], rows));
    return EXIT.done;
  });
}

export async function configTrustKey(output: Output, options: ConfigTrustOptions, key: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    if (options.remove) {
      await session.configuration.distrustConfigurationKey({ fingerprint: key });
      output.note("The key is not known here any more.");
      return EXIT.done;
    }
    if (options.name === "") throw new UsageError("Say whose key it is.", "--name 'office console'");
    const { key: known } = await session.configuration.trustConfigurationKey({ publicKey: key, name: options.name });
    if (output.format === "json") output.json({ fingerprint: known?.fingerprint ?? "", name: known?.name ?? "" });
    else output.text(`${visible(known?.name ?? "")}: ${known?.fingerprint}\n`);
    return EXIT.done;
  });
}

function show(output: Output, preview: PreviewConfigurationResponse): void {
  if (output.format === "json") {
    output.json(toJson(PreviewConfigurationResponseSchema, preview));
    return;
  }
  const { signer, changes, changeCount, meaning } = preview;
  const whose = signer?.state === SignerState.UNKNOWN ? "a key that nobody here knows" : visible(signer?.name ?? "");
  output.text(`Signed by ${whose}, ${signer?.fingerprint}\nHolds ${partsOf(preview.parts)}\n`);
  const rows = changes.slice(0, SHOWN_CHANGES).map(({ kind, part, name }) => [KINDS[kind], part, name]);
  if (rows.length > 0) output.text(formatTable(["CHANGE", "PART", "NAME"], rows));
  if (changeCount > rows.length) output.text(`and ${changeCount - rows.length} more\n`);
  for (const { gained, from, to, ports } of meaning?.changes.slice(0, SHOWN_CHANGES) ?? []) {
    output.text(`${gained ? "gains" : "loses"}  ${visible(`${from} → ${to} on ${ports}`)}\n`);
  }
  if (meaning?.unknownBecause) output.note(meaning.unknownBecause);
  for (const sentence of preview.leftToDo) output.note(visible(sentence));
}

function partsOf(parts: readonly ConfigurationPart[]): string {
  return parts.map(({ name, count }) => `${count} ${name}`).join(", ");
}

async function readArchive(name: string): Promise<Uint8Array> {
  if (name !== "-") {
    try {
      const file = await open(name);
      try {
        const { size } = await file.stat();
        if (size > MAX_BYTES) throw tooLarge(name);
      } finally {
        await file.close();
      }
      return await readFile(name);
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new UsageError(
        `${visible(name)} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`,
      );
    }
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BYTES) throw tooLarge("The archive");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(name: string): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${visible(name)} is larger than a configuration may be (64 MiB).`,
  });
}

/** Never over a file that is there. */
async function writeNew(name: string, content: Uint8Array): Promise<void> {
  try {
    const file = await open(name, "wx", 0o600);
    await file.writeFile(content);
    await file.close();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === "EEXIST")
      throw new UsageError(`There is already a file ${visible(name)}.`, "Choose another name with --output.");
    throw new UsageError(`${visible(name)} cannot be written (${code}).`);
  }
}
