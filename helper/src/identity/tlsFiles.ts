/** Key and certificates as plain PEM files, for another program on the same host. */
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../files/atomicFile.ts";

export interface ExportTarget {
  readonly directory: string;
  /** May read the files beside root; `null` = nobody. */
  readonly groupId: number | null;
}

type Name = "ca.pem" | "cert.pem" | "key.pem";

/**
 * Each file is replaced as a whole, the key right after the certificate: a program that reads both at a handshake can find the
 * new one of one and the old one of the other for less than a millisecond, and has to try again then.
 */
export async function exportTlsFiles(target: ExportTarget, files: Readonly<Record<Name, string>>): Promise<void> {
  const { directory, groupId } = target;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (groupId !== null) {
    await chown(directory, process.getuid?.() ?? 0, groupId);
    await chmod(directory, 0o750);
  }
  const names: readonly Name[] = ["ca.pem", "cert.pem", "key.pem"];
  const prepared: { readonly path: string; readonly temporaryPath: string }[] = [];
  try {
    for (const name of names) {
      const path = join(directory, name);
      const temporaryPath = `${path}.${randomBytes(6).toString("hex")}.new`;
      prepared.push({ path, temporaryPath });
      await writePrivately(temporaryPath, files[name], groupId);
    }
    for (const { path, temporaryPath } of prepared) await rename(temporaryPath, path);
  } finally {
    for (const { temporaryPath } of prepared) await rm(temporaryPath, { force: true });
  }
  await syncDirectory(directory);
}

async function writePrivately(path: string, text: string, groupId: number | null): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    if (groupId !== null) {
      await handle.chown(process.getuid?.() ?? 0, groupId);
      await handle.chmod(0o640);
    }
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
