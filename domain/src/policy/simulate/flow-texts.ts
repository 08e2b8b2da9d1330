/** The texts of flows as small numbers, each with what is known of it: a name of an enum, or an address. */
import { canonicalAddress } from "../address.ts";
import { DIRECTION_CODES, KIND_CODES, VERDICT_CODES } from "./flow-columns.ts";
import { DIRECTIONS, KINDS, VERDICTS } from "./recorded-flow.ts";

/** From here on the list is started anew with the next batch. */
const MAX_TEXTS = 200_000;
const NOT_ASKED = -2;
/** For numbers of addresses and codes: there is none. */
export const NONE = -1;

export class FlowTexts {
  /** Number 0 is the empty text. */
  texts: string[] = [];
  /** By number of the text; {@link NONE} where it is no name of that enum. */
  readonly kinds: number[] = [];
  readonly directions: number[] = [];
  readonly verdicts: number[] = [];
  readonly #addresses: number[] = [];
  readonly #ids = new Map<string, number>();

  constructor() {
    this.idOf("");
  }

  idOf(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.texts.length;
      this.#ids.set(text, id);
      this.texts.push(text);
      this.kinds.push(codeOf(KINDS.get(text), KIND_CODES));
      this.directions.push(codeOf(DIRECTIONS.get(text), DIRECTION_CODES));
      this.verdicts.push(codeOf(VERDICTS.get(text), VERDICT_CODES));
      this.#addresses.push(NOT_ASKED);
    }
    return id;
  }

  /** The number of the canonical text of an address; {@link NONE} when the text is no address. */
  addressOf(id: number): number {
    let address = this.#addresses[id]!;
    if (address === NOT_ASKED) {
      const canonical = canonicalAddress(this.texts[id]!);
      address = canonical === null ? NONE : this.idOf(canonical);
      this.#addresses[id] = address;
    }
    return address;
  }

  /** Starts anew when there are too many; true when it did. Numbers given before belong to the former list. */
  renewWhenFull(): boolean {
    if (this.texts.length < MAX_TEXTS) return false;
    this.texts = [];
    for (const list of [this.kinds, this.directions, this.verdicts, this.#addresses]) list.length = 0;
    this.#ids.clear();
    this.idOf("");
    return true;
  }
}

/** Unspecified is a name too, with code 0. */
function codeOf<Value>(value: Value | undefined, codes: readonly Value[]): number {
  return value === undefined ? NONE : codes.indexOf(value);
}
