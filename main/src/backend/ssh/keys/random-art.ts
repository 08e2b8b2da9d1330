/**
 * The picture that ssh-keygen -lv draws of a key: a walk of two bits a step over a field of 17 × 9, from D. Loss,
 * T. Limmer, A. von Gernler, "The drunken bishop: An analysis of the OpenSSH fingerprint visualization algorithm" (2009).
 */
const WIDTH = 17;
const HEIGHT = 9;
/** By how often a square was visited; the last two are the start and the end. */
const SYMBOLS = " .o+=*BOX@%&#/^SE";

/** @param title for example `ED25519 256` */
export function randomArt(digest: Uint8Array, title: string): string {
  const visits = walk(digest);
  const rows = [border(`[${title}]`, `[${title.split(" ")[0]}]`)];
  for (let y = 0; y < HEIGHT; y++) {
    const squares = visits.slice(y * WIDTH, (y + 1) * WIDTH);
    rows.push(`|${squares.map((count) => SYMBOLS[count]).join("")}|`);
  }
  rows.push(border("[SHA256]", "[SHA256]"));
  return rows.join("\n");
}

function walk(digest: Uint8Array): number[] {
  const visits = new Array<number>(WIDTH * HEIGHT).fill(0);
  const most = SYMBOLS.length - 3;
  let x = Math.floor(WIDTH / 2);
  let y = Math.floor(HEIGHT / 2);
  const start = y * WIDTH + x;
  for (const byte of digest) {
    for (let step = 0; step < 4; step++) {
      const bits = (byte >> (step * 2)) & 3;
      x = Math.min(WIDTH - 1, Math.max(0, x + (bits & 1 ? 1 : -1)));
      y = Math.min(HEIGHT - 1, Math.max(0, y + (bits & 2 ? 1 : -1)));
      const square = y * WIDTH + x;
      visits[square] = Math.min(most, visits[square]! + 1);
    }
  }
  visits[start] = SYMBOLS.length - 2;
  visits[y * WIDTH + x] = SYMBOLS.length - 1;
  return visits;
}

/** A title that does not fit gives way to the short one, and that to nothing. */
function border(title: string, short: string): string {
  const shown = [title, short].find((text) => text.length <= WIDTH) ?? "";
  const before = Math.floor((WIDTH - shown.length) / 2);
  return `+${"-".repeat(before)}${shown}${"-".repeat(WIDTH - before - shown.length)}+`;
}
