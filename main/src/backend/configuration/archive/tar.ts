/**
 * The archive: POSIX tar, regular files only, written in one way. Times, owners and modes are always the same, names that
 * do not fit a header stand in a pax record before it. Reading accepts what writing makes and nothing else, so there is no
 * room for links, devices, sparse files, or a second meaning.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";

export interface ArchiveEntry {
  readonly name: string;
  readonly content: Uint8Array;
}

export const ARCHIVE_LIMITS = { sizeBytes: 64 * 1024 * 1024, entries: 5_000, nameBytes: 600 } as const;

const BLOCK = 512;
const NAME_BYTES = 100;
const encoder = new TextEncoder();

/** @throws Failure TOO_LARGE */
export function writeTar(entries: readonly ArchiveEntry[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const { name, content } of entries) {
    if (!isPlain(name)) {
      const record = paxRecord(name);
      blocks.push(header("pax", "x", record.length), padded(record));
    }
    blocks.push(header(isPlain(name) ? name : "long-name", "0", content.length), padded(content));
  }
  blocks.push(new Uint8Array(2 * BLOCK));
  const sizeBytes = blocks.reduce((sum, { length }) => sum + length, 0);
  if (sizeBytes > ARCHIVE_LIMITS.sizeBytes)
    throw tooLarge(`The archive would have ${sizeBytes.toLocaleString("en")} bytes`);
  const archive = new Uint8Array(sizeBytes);
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}

/** @throws Failure TOO_LARGE, INVALID_ARGUMENT with the place; the archive is looked through once and never unpacked */
export function readTar(archive: Uint8Array): ArchiveEntry[] {
  if (archive.length > ARCHIVE_LIMITS.sizeBytes) {
    throw tooLarge(`The archive has ${archive.length.toLocaleString("en")} bytes`);
  }
  if (archive[0] === 0x1f && archive[1] === 0x8b) {
    throw refused("The archive is compressed, which a configuration never is.", "Unpack it first: gunzip FILE.tar.gz");
  }
  const entries: ArchiveEntry[] = [];
  const names = new Set<string>();
  let longName: string | null = null;
  let at = 0;
  for (;;) {
    const place = `at byte ${at.toLocaleString("en")}`;
    const block = archive.subarray(at, at + BLOCK);
    if (block.length < BLOCK) throw refused(`The archive is cut off ${place}.`);
    if (block.every((byte) => byte === 0)) break;
    const { name, type, sizeBytes } = readHeader(block, place);
    const start = at + BLOCK;
    const end = start + sizeBytes;
    if (end > archive.length) throw refused(`The archive is cut off in ${quoted(name)} ${place}.`);
    const content = archive.subarray(start, end);
    at = start + Math.ceil(sizeBytes / BLOCK) * BLOCK;
    if (type === "x") {
      if (longName !== null) throw refused(`Two names stand behind each other ${place}.`);
      longName = readPax(content, place);
      continue;
    }
    if (type !== "0")
      throw refused(`${quoted(name)} ${place} is ${kindOf(type)}; a configuration holds regular files only.`);
    const fullName: string = longName ?? name;
    longName = null;
    requireName(fullName, place);
    if (names.has(fullName)) throw refused(`${quoted(fullName)} is in the archive twice, the second time ${place}.`);
    if (entries.length >= ARCHIVE_LIMITS.entries) {
      throw tooLarge(`The archive has more than ${ARCHIVE_LIMITS.entries.toLocaleString("en")} files`);
    }
    names.add(fullName);
    entries.push({ name: fullName, content });
  }
  requireSameBytes(archive, writeTar(entries));
  return entries;
}

/** What could mean two things to two readers is not written by us, and not read. */
function requireSameBytes(given: Uint8Array, wanted: Uint8Array): void {
  const most = Math.max(given.length, wanted.length);
  for (let at = 0; at < most; at++) {
    if (given[at] === wanted[at]) continue;
    throw refused(
      `The archive is not written as Wardline writes it, from byte ${at.toLocaleString("en")} on.`,
      "Import the file as it was exported; archives that another program packed anew are not taken.",
    );
  }
}

function isPlain(name: string): boolean {
  return name.length <= NAME_BYTES && /^[\x20-\x7e]*$/.test(name);
}

function header(name: string, type: string, sizeBytes: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => block.set(encoder.encode(text), at);
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${sizeBytes.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function readHeader(block: Uint8Array, place: string) {
  const text = (start: number, length: number) => {
    const bytes = block.subarray(start, start + length);
    const end = bytes.indexOf(0);
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
  };
  if (text(257, 5) !== "ustar") throw refused(`There is no tar header ${place}: this is not a configuration archive.`);
  const size = text(124, 12).trim();
  if (!/^[0-7]{1,11}$/.test(size)) throw refused(`The size ${place} is not a number.`);
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (Number.parseInt(text(148, 8).trim(), 8) !== sum) throw refused(`The header ${place} is damaged.`);
  return { name: text(0, NAME_BYTES), type: text(156, 1) || "0", sizeBytes: Number.parseInt(size, 8) };
}

function padded(content: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.ceil(content.length / BLOCK) * BLOCK);
  all.set(content);
  return all;
}

function paxRecord(name: string): Uint8Array {
  const body = encoder.encode(` path=${name}\n`);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

function readPax(content: Uint8Array, place: string): string {
  const text = Buffer.from(content).toString("utf8");
  const match = /^\d{1,4} path=([^\n\0]+)\n$/.exec(text);
  if (!match?.[1]) throw refused(`The extended header ${place} says something else than a name.`);
  return match[1];
}

function requireName(name: string, place: string): void {
  const refuse = (why: string) => refused(`The name ${quoted(name)} ${place} ${why}.`);
  if (Buffer.byteLength(name) > ARCHIVE_LIMITS.nameBytes) throw refuse("is too long");
  if (name.startsWith("/") || name.includes("\\") || name.includes("\0"))
    throw refuse("is not a name inside the archive");
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) throw refuse("leads out of the archive");
}

function kindOf(type: string): string {
  const kinds: Record<string, string> = {
    "1": "a link",
    "2": "a symbolic link",
    "3": "a device",
    "4": "a device",
    "5": "a folder",
    "6": "a pipe",
    S: "a sparse file",
  };
  return kinds[type] ?? "of another kind";
}

function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function refused(message: string, hint = "Nothing was changed. Ask for the archive anew."): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}

function tooLarge(what: string): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${what}; a configuration has up to ${ARCHIVE_LIMITS.entries.toLocaleString("en")} files with 64 MiB. Nothing was changed.`,
  });
}
