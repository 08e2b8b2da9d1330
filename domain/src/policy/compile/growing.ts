/** Typed arrays with room to grow. */

/** Room for `length` numbers: the array itself while it has it, else a copy of twice the size or more, filled up with `fill`. */
export function withRoom(array: Int32Array<ArrayBuffer>, length: number, fill: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Int32Array(Math.max(length, 2 * array.length, 64)).fill(fill, array.length);
  larger.set(array);
  return larger;
}

/** As {@link withRoom}, filled up with zeros. */
export function withRoomUnsigned(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Uint32Array(Math.max(length, 2 * array.length, 64));
  larger.set(array);
  return larger;
}

/** As {@link withRoom}, filled up with zeros. */
export function withRoomForBytes(array: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Uint8Array(Math.max(length, 2 * array.length, 64));
  larger.set(array);
  return larger;
}
