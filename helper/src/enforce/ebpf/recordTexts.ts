/**
 * Texts that record after record repeats: addresses of 16 bytes, and the process at one end. Each is made once and found again
 * at a place that its own bytes name; what comes to the same place takes it over, so a flood of others costs time and no
 * memory.
 */
import { formatAddress } from "@wardline/domain/policy";
import type { FlowProcess } from "../enforcer.ts";
import { OWNER } from "./layout.ts";

/** A power of two. */
const PLACES = 1024;
const WORDS_OF_ADDRESS = 4;
const WORDS_OF_PROCESS = OWNER.size / 4;
/** In network order, as a word that is read with its lowest byte first. */
const MAPPED_MARK = 0xffff_0000;
const MULTIPLIER = 0x9e37_79b1;

/** Values by some words of a record, at most {@link PLACES} of them. */
class Places<Value> {
  readonly #width: number;
  readonly #words: Uint32Array;
  readonly #values: (Value | null)[];

  constructor(width: number) {
    this.#width = width;
    this.#words = new Uint32Array(PLACES * width);
    this.#values = Array.from({ length: PLACES }, () => null);
  }

  /** Where the words at `offset` belong. */
  placeOf(view: DataView, offset: number): number {
    let hash = 0;
    for (let word = 0; word < this.#width; word++)
      hash = Math.imul(hash ^ view.getUint32(offset + word * 4, true), MULTIPLIER) ^ (hash >>> 15);
    return (hash ^ (hash >>> 16)) & (PLACES - 1);
  }

  /** `null` when something else is there. */
  get(place: number, view: DataView, offset: number): Value | null {
    for (let word = 0; word < this.#width; word++)
      if (this.#words[place * this.#width + word] !== view.getUint32(offset + word * 4, true)) return null;
    return this.#values[place] ?? null;
  }

  set(place: number, view: DataView, offset: number, value: Value): Value {
    for (let word = 0; word < this.#width; word++)
      this.#words[place * this.#width + word] = view.getUint32(offset + word * 4, true);
    this.#values[place] = value;
    return value;
  }
}

const addresses = new Places<string>(WORDS_OF_ADDRESS);
const processes = new Places<FlowProcess>(WORDS_OF_PROCESS);

/** Address of 16 bytes as canonical text, IPv4-mapped as IPv4. */
export function readAddress(view: DataView, offset: number): string {
  const place = addresses.placeOf(view, offset);
  return addresses.get(place, view, offset) ?? addresses.set(place, view, offset, addressText(view, offset));
}

function addressText(view: DataView, offset: number): string {
  const isMapped =
    view.getUint32(offset, true) === 0 &&
    view.getUint32(offset + 4, true) === 0 &&
    view.getUint32(offset + 8, true) === MAPPED_MARK;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, 16);
  if (isMapped) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  return formatAddress(Uint8Array.from(bytes));
}

/** `null` when nobody knows it. The same object for the same process and name: it must not be changed. */
export function readProcess(view: DataView, offset: number): FlowProcess | null {
  if (view.getUint32(offset + OWNER.pid, true) === 0) return null;
  const place = processes.placeOf(view, offset);
  return processes.get(place, view, offset) ?? processes.set(place, view, offset, decodeProcess(view, offset));
}

function decodeProcess(view: DataView, offset: number): FlowProcess {
  let command = "";
  for (let at = OWNER.command; at < OWNER.size; at++) {
    const byte = view.getUint8(offset + at);
    if (byte === 0) break;
    // A process names itself: nothing in it may act on a terminal or a page.
    command += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "?";
  }
  const pid = view.getUint32(offset + OWNER.pid, true);
  return Object.freeze({ pid, userId: view.getUint32(offset + OWNER.userId, true), command });
}
