/**
 * Figures of up to 256 links in one block, column by column, so that what hardly changes from link to link packs well.
 * Latency and throughput are kept to 0.05 % of their value, loss and quality to 0.0001, scores to 0.5.
 */
import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { LinkClass } from "@wardline/api/wardline/console/v1/mesh";
import type { GraphDirection, GraphLink } from "@wardline/domain/mesh";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

export interface SampledDirection {
  readonly latencyMs: number | null;
  readonly loss: number | null;
  readonly quality: number | null;
  readonly throughputBitsPerSecond: number | null;
  readonly score: number | null;
  readonly linkClass: LinkClass;
}

export interface SampledLink {
  readonly isUp: boolean;
  readonly aToB: SampledDirection;
  readonly bToA: SampledDirection;
}

const NONE_16 = 0xffff;
const NONE_8 = 0xff;
const STEPS = 65_534;
/** 1 µs to an hour, and 1 bit/s to 10^15. */
const LOG_OF_MOST_US = Math.log(3.6e9);
const LOG_OF_MOST_BITS = Math.log(1e15);
/** Number in its block, class and state, and of each direction four wide and one narrow figure. */
const BYTES_OF_LINK = 1 + 2 + 2 * (4 * 2 + 1);
const UP = 0x80;
const MAX_BLOCK_BYTES = 256 * BYTES_OF_LINK;

/** @param links by their place in the block, 0 to 255 */
export async function packFigures(links: ReadonlyMap<number, GraphLink>): Promise<Uint8Array> {
  const count = links.size;
  const bytes = Buffer.alloc(count * BYTES_OF_LINK);
  let row = 0;
  for (const [place, link] of links) {
    const write = columns(bytes, count, row);
    write.byte(place);
    for (const direction of [link.aToB, link.bToA]) {
      write.byte(direction.linkClass | (link.isUp ? UP : 0));
      write.wide(logarithm(scaled(direction.latencyMs, 1_000), LOG_OF_MOST_US));
      write.wide(logarithm(direction.throughputBitsPerSecond, LOG_OF_MOST_BITS));
      write.wide(share(direction.loss));
      write.wide(share(direction.quality));
      write.byte(direction.score === null ? NONE_8 : Math.min(200, Math.max(0, Math.round(direction.score * 2))));
    }
    row++;
  }
  return deflate(bytes, { level: 6 });
}

/** By their place in the block. @throws Error where the bytes are no block */
export async function unpackFigures(packed: Uint8Array): Promise<ReadonlyMap<number, SampledLink>> {
  const bytes = await inflate(packed, { maxOutputLength: MAX_BLOCK_BYTES });
  const count = Math.floor(bytes.length / BYTES_OF_LINK);
  const links = new Map<number, SampledLink>();
  for (let row = 0; row < count; row++) {
    const read = columns(bytes, count, row);
    const place = read.byte();
    const [first, aToB] = readDirection(read);
    const [, bToA] = readDirection(read);
    links.set(place, { isUp: (first & UP) !== 0, aToB, bToA });
  }
  return links;
}

function readDirection(read: Columns): [number, SampledDirection] {
  const flags = read.byte();
  const microseconds = exponential(read.wide(), LOG_OF_MOST_US);
  const throughputBitsPerSecond = exponential(read.wide(), LOG_OF_MOST_BITS);
  const [loss, quality, score] = [read.wide(), read.wide(), read.byte()];
  const direction: SampledDirection = {
    latencyMs: microseconds === null ? null : microseconds / 1_000,
    throughputBitsPerSecond,
    loss: loss === NONE_16 ? null : loss / 10_000,
    quality: quality === NONE_16 ? null : quality / 10_000,
    score: score === NONE_8 ? null : score / 2,
    linkClass: (flags & ~UP) as LinkClass,
  };
  return [flags, LinkClass[direction.linkClass] ? direction : { ...direction, linkClass: LinkClass.UNMEASURED }];
}

interface Columns {
  /** Writes what is given; else reads. */
  byte(value?: number): number;
  wide(value?: number): number;
}

/** Goes through the columns of one row, from the first to the last. */
function columns(bytes: Buffer, count: number, row: number): Columns {
  let begin = 0;
  const place = (width: number) => {
    const offset = begin + row * width;
    begin += count * width;
    return offset;
  };
  return {
    byte(value) {
      const offset = place(1);
      if (value !== undefined) bytes.writeUInt8(value, offset);
      return bytes.readUInt8(offset);
    },
    wide(value) {
      const offset = place(2);
      if (value !== undefined) bytes.writeUInt16LE(value, offset);
      return bytes.readUInt16LE(offset);
    },
  };
}

function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}

/** 0 stays 0; the rest from 1 on. */
function logarithm(value: number | null, logOfMost: number): number {
  if (value === null || !(value >= 0)) return NONE_16;
  if (value < 1) return 0;
  return Math.min(STEPS, 1 + Math.round((Math.log(value) / logOfMost) * (STEPS - 1)));
}

function exponential(step: number, logOfMost: number): number | null {
  if (step === NONE_16) return null;
  return step === 0 ? 0 : Math.exp(((step - 1) / (STEPS - 1)) * logOfMost);
}

function share(value: number | null): number {
  return value === null ? NONE_16 : Math.min(10_000, Math.max(0, Math.round(value * 10_000)));
}

/** As it was when it was sampled: what is not sampled stays as it is known. */
export function withFigures(direction: GraphDirection, sampled: SampledDirection, atMs: number): GraphDirection {
  return { ...direction, ...sampled, measuredAtMs: sampled.score === null ? null : atMs };
}
