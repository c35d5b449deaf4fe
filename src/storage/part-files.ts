/**
 * The bytes of parts: inline under a key of the store, or files in `parts/`.
 *
 *   W1. A file has a name that was never used before: <boot's random id>-<counter> (I1).
 *   W2. When `keep` resolves, file and folder have been synced (D5); a vote may name it.
 *   W3. Bytes are given to readers only after length and CRC32C were compared: files at their first use in this
 *       process, inline bytes at each.
 */
import { join } from 'node:path';
import { DamageError, LoadError } from '../base/errors.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { BuiltPart, PartBytes } from '../engine/engine.types.ts';
import type { PartFact } from './be-facts.ts';
import { digestHex, digestOf } from './digest.ts';
import type { FileDigest, Files } from './files.ts';
import { partKey } from './keys.ts';
import type { OrderedStore, StoreOp } from './ordered-store.types.ts';

export interface KeptPart extends FileDigest {
  readonly partId: string;
  readonly kind: 'inline' | 'file';
  /** Goes into the write of the entry that names the part. */
  readonly extra: readonly StoreOp[];
}

export class PartFiles {
  readonly #store: OrderedStore;
  readonly #files: Files;
  readonly #boot: string;
  readonly #parts: string;
  readonly #staging: string;
  readonly #tmp: string;
  #counter = 0;
  /** Files whose bytes were compared, or are being compared, in this process. */
  readonly #checked = new Map<string, Promise<void>>();

  constructor(options: { store: OrderedStore; files: Files; dir: string; boot: string }) {
    this.#store = options.store;
    this.#files = options.files;
    this.#boot = options.boot;
    this.#parts = join(options.dir, 'parts');
    this.#staging = join(options.dir, 'staging');
    this.#tmp = join(options.dir, 'tmp');
  }

  async open(): Promise<void> {
    for (const path of [this.#parts, this.#staging, this.#tmp]) {
      await this.#files.makeDirectory(path);
    }
  }

  stagingPath(): string {
    return join(this.#staging, `${this.#nextName()}.parquet`);
  }

  /** W2. What fails here fails the transaction alone (D3). */
  async keep(data: PartBytes): Promise<KeptPart> {
    const partId = this.#nextName();
    if (data.kind === 'inline') {
      const { bytes } = data;
      const digest = digestHex(digestOf(bytes));
      const extra = [{ type: 'put', key: partKey(partId), value: bytes } as const];
      return { partId, kind: 'inline', length: bytes.length, digest, extra };
    }
    const path = this.#pathOf(partId);
    try {
      await this.#files.adopt(data.path, path);
      await this.#files.syncFile(path);
      await this.#files.syncDirectory(this.#parts);
      const found = await this.#files.digest(path);
      if (found.length !== data.length) {
        throw new Error(`it has ${found.length} bytes, ${data.length} were written`);
      }
      this.#checked.set(partId, Promise.resolve());
      return { partId, kind: 'file', ...found, extra: [] };
    } catch (error) {
      await this.#files.remove(path).catch(() => {});
      await this.#files.remove(data.path).catch(() => {});
      throw new LoadError('PART_WRITE_FAILED', `could not keep a part: ${messageOf(error)}`, {
        details: { path, cause: codeOf(error) },
        hint: 'look at the disk of this backend; the load will be tried again',
        transient: true,
        cause: error,
      });
    }
  }

  /** W3. A DamageError where the bytes are not those that were voted for. */
  async read(part: PartFact): Promise<PartBytes> {
    if (part.kind === 'inline') {
      const bytes = await this.#store.get(partKey(part.partId));
      const found = bytes && { length: bytes.length, digest: digestHex(digestOf(bytes)) };
      compare(part, found);
      return { kind: 'inline', bytes: bytes! };
    }
    let check = this.#checked.get(part.partId);
    if (check === undefined) {
      check = this.#check(part);
      this.#checked.set(part.partId, check);
      // A disk that could not be read may be readable again; damage is found again.
      check.catch(() => this.#checked.delete(part.partId));
    }
    await check;
    return { kind: 'file', path: this.#pathOf(part.partId), length: part.length };
  }

  async #check(part: PartFact): Promise<void> {
    let found: FileDigest;
    try {
      found = await this.#files.digest(this.#pathOf(part.partId));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return compare(part, undefined);
      if (codeOf(error) === 'EIO') {
        const details = { partId: part.partId };
        throw new DamageError('PART_DAMAGED', details, `part "${part.partId}" is unreadable`);
      }
      throw new LoadError('PART_READ_FAILED', `could not read a part: ${messageOf(error)}`, {
        details: { partId: part.partId, cause: codeOf(error) },
        transient: true,
        cause: error,
      });
    }
    compare(part, found);
  }

  /** Removes the bytes of parts that nothing refers to; inline ones by the operations that it returns. */
  async remove(parts: readonly PartFact[]): Promise<StoreOp[]> {
    const ops: StoreOp[] = [];
    for (const part of parts) {
      this.#checked.delete(part.partId);
      if (part.kind === 'inline') ops.push({ type: 'del', key: partKey(part.partId) });
      else await this.#files.remove(this.#pathOf(part.partId));
    }
    return ops;
  }

  /** A file that was built and is not wanted. */
  async discard(data: PartBytes): Promise<void> {
    if (data.kind === 'file') await this.#files.remove(data.path);
  }

  async discardKept(kept: KeptPart): Promise<void> {
    this.#checked.delete(kept.partId);
    if (kept.kind === 'file') await this.#files.remove(this.#pathOf(kept.partId));
  }

  /** Files of earlier boots that no entry names (C4). Returns how many went. */
  async removeOrphans(named: (partId: string) => boolean): Promise<number> {
    let removed = 0;
    for (const folder of [this.#parts, this.#staging]) {
      for (const name of await this.#files.list(folder)) {
        const partId = name.replace(/\.parquet$/, '');
        const ours = name.startsWith(`${this.#boot}-`);
        if (ours || (folder === this.#parts && named(partId))) continue;
        await this.#files.remove(join(folder, name));
        removed += 1;
      }
    }
    return removed;
  }

  freeBytes(): Promise<number> {
    return this.#files.freeBytes(this.#parts);
  }

  #nextName(): string {
    this.#counter += 1;
    return `${this.#boot}-${this.#counter}`;
  }

  #pathOf(partId: string): string {
    return join(this.#parts, `${partId}.parquet`);
  }
}

export function partFact(
  kept: KeptPart,
  { rows, ranges }: Pick<BuiltPart, 'rows' | 'ranges'>,
  schema: TableSchema,
  merged: boolean,
): PartFact {
  return {
    partId: kept.partId,
    kind: kept.kind,
    length: kept.length,
    digest: kept.digest,
    rows,
    ...(ranges === undefined || ranges.length === 0 ? {} : { ranges }),
    tableId: schema.tableId,
    schemaId: schema.schemaId,
    fieldIds: schema.columns.map((column) => column.id),
    merged,
  };
}

function compare(part: PartFact, found: FileDigest | undefined): void {
  const { partId, length, digest } = part;
  if (found?.length === length && found.digest === digest) return;
  const message =
    found === undefined
      ? `the bytes of part "${partId}" are gone`
      : `the bytes of part "${partId}" are not those that were written`;
  throw new DamageError('PART_DAMAGED', { partId, expected: { length, digest }, found }, message);
}

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? 'UNKNOWN';
const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
