/**
 * Footers of parts that we wrote, kept while they are asked for. A part never changes and its path is never used again
 * (PROTOCOL.md I1, P1), so none of them can be out of date.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { FOOTER_TAIL, type PartFooter, readFooter } from './parquet/part-footer.ts';

/** Of all footers together: a chunk is a column in a row group, and takes some 200 bytes. */
const CHUNKS_MAX = 64 * 1024;
/** Most footers are shorter, and come with the first read. */
const TAIL_READ = 64 * 1024;

interface Kept {
  readonly footer: PartFooter | null;
  readonly chunks: number;
}

export class PartFooters {
  readonly #kept = new Map<string, Kept>();
  readonly #chunksMax: number;
  #chunks = 0;

  constructor(chunksMax = CHUNKS_MAX) {
    this.#chunksMax = chunksMax;
  }

  /** Chunks of all that are kept. */
  get size(): number {
    return this.#chunks;
  }

  /** Undefined: another wrote the file. */
  async get(path: string, length: number): Promise<PartFooter | undefined> {
    const known = this.#kept.get(path);
    if (known !== undefined) {
      // The newest stand last.
      this.#kept.delete(path);
      this.#kept.set(path, known);
      return known.footer ?? undefined;
    }
    const footer = readFooter(await footerBytes(path, length));
    this.#keep(path, footer);
    return footer;
  }

  #keep(path: string, footer: PartFooter | undefined): void {
    if (this.#kept.has(path)) return;
    const groups = footer?.groups ?? [];
    const chunks = 1 + groups.reduce((sum, group) => sum + group.chunks.length, 0);
    if (chunks > this.#chunksMax) return;
    this.#kept.set(path, { footer: footer ?? null, chunks });
    this.#chunks += chunks;
    for (const [oldest, one] of this.#kept) {
      if (this.#chunks <= this.#chunksMax) return;
      this.#kept.delete(oldest);
      this.#chunks -= one.chunks;
    }
  }
}

async function footerBytes(path: string, length: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const tail = await readAt(file, Math.max(0, length - TAIL_READ), Math.min(length, TAIL_READ));
    const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
    const size = view.getUint32(tail.length - FOOTER_TAIL, true);
    const isWhole = size + FOOTER_TAIL <= tail.length;
    if (isWhole) return tail.slice(tail.length - FOOTER_TAIL - size, tail.length - FOOTER_TAIL);
    return await readAt(file, length - FOOTER_TAIL - size, size);
  } finally {
    await file.close();
  }
}

/** Exactly so many bytes, at an address that any value may have. */
export async function readAt(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  if (at < 0 || length < 0) throw new RangeError('outside of the file');
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw new RangeError('the file ends too early');
    done += bytesRead;
  }
  return bytes;
}
