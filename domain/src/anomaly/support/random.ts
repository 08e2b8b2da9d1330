/** Randomness that is the same on every run: the state is plain data, so that it is saved with the rest. */

export interface RandomState {
  word: number;
}

export function seededRandom(seed: number): RandomState {
  return { word: (Math.trunc(seed) ^ 0x9e3779b9) >>> 0 };
}

/** 0 inclusive to 1 exclusive. */
export function nextRandom(state: RandomState): number {
  state.word = (state.word + 0x6d2b79f5) >>> 0;
  let mixed = state.word;
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}

export function nextBelow(state: RandomState, limit: number): number {
  return Math.floor(nextRandom(state) * limit);
}

/** 32 well mixed bits of a text. */
export function hashText(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mixBits(hash);
}

export function mixBits(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
