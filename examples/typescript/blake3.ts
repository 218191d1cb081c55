// BLAKE3 as its paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020) defines it: the hash mode,
// 32 bytes of output. Node's own crypto has none; bundles are small, so speed is no matter.

const IV = new Uint32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const ROUNDS = 7;
const BLOCK = 64;
const CHUNK = 1024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

// The words that each quarter round mixes: first the columns, then the diagonals.
const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

/** Returns the 32 bytes of BLAKE3 over `data`. */
export function blake3(data: Uint8Array): Uint8Array {
  const words = subtree(data, 0, ROOT);
  const out = new DataView(new ArrayBuffer(32));
  words.forEach((word, at) => out.setUint32(4 * at, word, true));
  return new Uint8Array(out.buffer);
}

/** Returns the chaining value of all chunks of `data`; the first of them is number `chunk`. */
function subtree(data: Uint8Array, chunk: number, root: number): Uint32Array {
  if (data.length <= CHUNK) return chunkValue(data, chunk, root);
  // The left side is the largest full tree that leaves something for the right side.
  let left = 1;
  while (2 * left * CHUNK < data.length) left *= 2;
  const both = new Uint32Array(16);
  both.set(subtree(data.subarray(0, left * CHUNK), chunk, 0), 0);
  both.set(subtree(data.subarray(left * CHUNK), chunk + left, 0), 8);
  return compress(IV, both, 0, BLOCK, PARENT | root);
}

/** Returns the chaining value of one chunk of at most 1,024 bytes. */
function chunkValue(data: Uint8Array, chunk: number, root: number): Uint32Array {
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK));
  let value: Uint32Array = IV;
  for (let at = 0; at < blocks; at++) {
    const block = data.subarray(at * BLOCK, (at + 1) * BLOCK);
    const start = at === 0 ? CHUNK_START : 0;
    const end = at === blocks - 1 ? CHUNK_END | root : 0;
    value = compress(value, wordsOf(block), chunk, block.length, start | end);
  }
  return value;
}

/** Returns a block as 16 words, the lowest byte first, filled up with zeros. */
function wordsOf(block: Uint8Array): Uint32Array {
  const words = new Uint32Array(16);
  block.forEach((byte, at) => (words[at >> 2] |= byte << (8 * (at & 3))));
  return words;
}

/** Returns the first eight words of the compression function's output. */
function compress(
  value: Uint32Array,
  block: Uint32Array,
  counter: number,
  length: number,
  flags: number,
): Uint32Array {
  const state = new Uint32Array(16);
  state.set(value, 0);
  state.set(IV.subarray(0, 4), 8);
  state.set([counter, counter / 2 ** 32, length, flags], 12);
  let message = block;
  for (let round = 0; round < ROUNDS; round++) {
    QUARTERS.forEach((places, at) => mix(state, places, message[2 * at], message[2 * at + 1]));
    message = Uint32Array.from(PERMUTATION, (from) => message[from]);
  }
  return state.slice(0, 8).map((word, at) => word ^ state[at + 8]);
}

/** Mixes two words of the message into four words of the state. */
function mix(state: Uint32Array, places: number[], first: number, second: number): void {
  const [a, b, c, d] = places;
  state[a] += state[b] + first;
  state[d] = turned(state[d] ^ state[a], 16);
  state[c] += state[d];
  state[b] = turned(state[b] ^ state[c], 12);
  state[a] += state[b] + second;
  state[d] = turned(state[d] ^ state[a], 8);
  state[c] += state[d];
  state[b] = turned(state[b] ^ state[c], 7);
}

/** Returns a word with its bits turned to the right. */
function turned(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
