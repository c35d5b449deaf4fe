/** The ordered store on LevelDB. */
import { mkdir } from 'node:fs/promises';
import { Level } from 'level';
import { DamageError, LoadError } from '../base/errors.ts';
import type { OrderedStore, StoreOp } from './ordered-store.types.ts';

/** Entries, if they are small: LevelDB gives 16 KiB at a time. */
const READ_AHEAD = 1_000;

export async function openLevelStore(path: string): Promise<OrderedStore> {
  const db = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'view',
    valueEncoding: 'view',
  });
  try {
    await mkdir(path, { recursive: true });
    await db.open();
  } catch (error) {
    throw openError(path, error);
  }
  return new LevelStore(path, db);
}

class LevelStore implements OrderedStore {
  readonly #path: string;
  readonly #db: Level<Uint8Array, Uint8Array>;
  #failure: LoadError | undefined;
  #closing: Promise<void> | undefined;

  constructor(path: string, db: Level<Uint8Array, Uint8Array>) {
    this.#path = path;
    this.#db = db;
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#check();
    try {
      return await this.#db.get(key);
    } catch (error) {
      throw readError(this.#path, error);
    }
  }

  async *range(options: {
    from: Uint8Array;
    to: Uint8Array;
    limit?: number;
    reverse?: boolean;
  }): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#check();
    const { from, to, limit = -1, reverse = false } = options;
    if (limit === 0) return;
    try {
      const iterator = this.#db.iterator({ gte: from, lt: to, limit, reverse });
      try {
        // Many at a time: asked one by one, the iterator's own promises are half of what a read costs.
        let found = await iterator.nextv(READ_AHEAD);
        while (found.length > 0) {
          yield* found;
          found = await iterator.nextv(READ_AHEAD);
        }
      } finally {
        await iterator.close();
      }
    } catch (error) {
      throw readError(this.#path, error);
    }
  }

  async write(ops: readonly StoreOp[], options: { sync: boolean }): Promise<void> {
    this.#check();
    try {
      await this.#db.batch([...ops], options);
    } catch (error) {
      // After a failed write LevelDB goes on to acknowledge writes that a reopen does not find (D3).
      const code = causeOf(error).code;
      this.#failure ??= new LoadError(
        'STORE_WRITE_FAILED',
        `could not write to "${this.#path}": ${causeOf(error).message}`,
        { details: { path: this.#path, cause: code }, hint: 'look at the disk, then start again' },
      );
      throw this.#failure;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#db.close();
    return this.#closing;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing === undefined) return;
    throw new LoadError('STORE_CLOSED', `the store "${this.#path}" was closed`);
  }
}

function openError(path: string, error: unknown): LoadError {
  const cause = causeOf(error);
  if (cause.code === 'LEVEL_LOCKED') {
    return new LoadError('STORE_LOCKED', `"${path}" is in use by another process`, {
      details: { path },
      hint: 'stop the other millrace first, or start this one with another data directory',
      cause: error,
    });
  }
  if (cause.code === 'LEVEL_CORRUPTION' || /^Corruption/i.test(cause.message)) {
    const message = `the store "${path}" is damaged: ${cause.message}`;
    return new DamageError('STORE_DAMAGED', { path }, message);
  }
  return new LoadError('STORE_OPEN_FAILED', `could not open "${path}": ${cause.message}`, {
    details: { path, cause: cause.code },
    cause: error,
  });
}

function readError(path: string, error: unknown): LoadError {
  if (error instanceof LoadError) return error;
  const message = `could not read from "${path}": ${causeOf(error).message}`;
  return new DamageError('STORE_READ_FAILED', { path, cause: causeOf(error).code }, message);
}

function causeOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: String(error) };
  if (error.cause instanceof Error) return causeOf(error.cause);
  const code = (error as { code?: unknown }).code;
  return { code: typeof code === 'string' ? code : 'UNKNOWN', message: error.message };
}
