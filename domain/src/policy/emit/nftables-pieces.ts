/** The parts of an nftables table, and how they are written. */

export interface NftablesCounterPiece {
  readonly kind: "counter";
  readonly name: string;
  readonly comment: string;
}

export interface NftablesChainPiece {
  readonly kind: "chain";
  readonly name: string;
  /** `type filter hook …`; `null` for a chain that packets reach only from another one. */
  readonly hook: string | null;
  /** One rule each, in order. */
  readonly rules: readonly string[];
}

/** A verdict map: every element leads to a chain. */
export interface NftablesMapPiece {
  readonly kind: "map";
  readonly name: string;
  /** What is looked up, as nft declares it: `type ipv4_addr`. */
  readonly key: string;
  readonly isInterval: boolean;
  readonly elements: readonly NftablesMapElement[];
}

export interface NftablesMapElement {
  /** As nft reads it: `10.0.0.0/8`, `80-90`. */
  readonly text: string;
  /** The same, inclusive, as numbers in network order. */
  readonly low: bigint;
  readonly high: bigint;
  readonly target: string;
}

export type NftablesPiece = NftablesCounterPiece | NftablesChainPiece | NftablesMapPiece;

/** The lines of a piece inside `table … { }`, without the indentation of the table. */
export function* pieceLines(piece: NftablesPiece): Iterable<string> {
  yield `${piece.kind} ${piece.name} {`;
  if (piece.kind === "counter") yield `\tcomment "${piece.comment}"`;
  if (piece.kind === "chain") {
    if (piece.hook !== null) yield `\t${piece.hook}`;
    for (const rule of piece.rules) yield `\t${rule}`;
  }
  if (piece.kind === "map") yield* mapLines(piece);
  yield "}";
}

function* mapLines({ key, isInterval, elements }: NftablesMapPiece): Iterable<string> {
  yield `\t${key} : verdict`;
  if (isInterval) yield "\tflags interval";
  if (elements.length === 0) return;
  yield "\telements = {";
  for (const [position, { text, target }] of elements.entries()) {
    yield `\t\t${text} : goto ${target}${position + 1 < elements.length ? "," : ""}`;
  }
  yield "\t}";
}
