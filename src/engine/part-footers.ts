/**
 * Footers of parts that we wrote, kept while they are asked for. A part never changes and its path is never used again
 * (PROTOCOL.md I1, P1), so none of them can be out of date.
 */

import { FOOTER_TAIL, type PartFooter, readFooter } from './parquet/part-footer.ts';
import { ReadFile } from './read-file.ts';

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
  const file = new ReadFile(path);
  try {
    const tail = await file.at(Math.max(0, length - TAIL_READ), Math.min(length, TAIL_READ));
    const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
    const size = view.getUint32(tail.length - FOOTER_TAIL, true);
    const isWhole = size + FOOTER_TAIL <= tail.length;
    if (isWhole) return tail.slice(tail.length - FOOTER_TAIL - size, tail.length - FOOTER_TAIL);
    return await file.at(length - FOOTER_TAIL - size, size);
  } finally {
    file.close();
  }
}
