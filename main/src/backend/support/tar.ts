/** A tar archive (ustar) of a few small text files, without owners or times of this machine. */
const BLOCK = 512;

export function tarOf(files: readonly { readonly path: string; readonly text: string }[], timeMs: number): Buffer {
  const parts: Buffer[] = [];
  for (const { path, text } of files) {
    const content = Buffer.from(text);
    parts.push(header(path, content.length, timeMs), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(path: string, sizeBytes: number, timeMs: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  block.write(path.slice(0, 99), 0);
  block.write(octal(0o600, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(Math.floor(timeMs / 1_000), 11), 136);
  block.write("        0", 148);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
