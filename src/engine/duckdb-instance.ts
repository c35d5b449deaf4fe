/** One locked DuckDB instance in memory, opened when it is first wanted; it spills to `tempDir` (PROTOCOL.md T3). */
import { mkdir } from 'node:fs/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { AssertionFailed } from '../base/assert.ts';
import { LoadError } from '../base/errors.ts';
import { registerFunctions } from './cast-functions.ts';
import { RowSources } from './row-source.ts';
import { text } from './sql-text.ts';

/** A path into what is no JSON finds nothing, where DuckDB fails. */
const JSON_MACRO =
  'CREATE MACRO ms_json_text(a, b) AS (CASE WHEN json_valid(a) THEN json_extract_string(a, b) END)';

export interface InstanceOptions {
  readonly threads: number;
  readonly memoryLimitMb: number;
  /** Its own: two instances would write over each other's files. */
  readonly tempDir: string;
  /** With `tempDir` all that it may touch. */
  readonly partDirs: readonly string[];
}

export class LockedInstance {
  readonly sources = new RowSources();
  readonly #options: InstanceOptions;
  readonly #connections = new Set<DuckDBConnection>();
  #opened: Promise<DuckDBInstance> | undefined;
  #closed = false;

  constructor(options: InstanceOptions) {
    this.#options = options;
  }

  async connect(): Promise<DuckDBConnection> {
    this.#checkOpen();
    this.#opened ??= this.#open();
    const opened = this.#opened;
    const instance = await opened.catch((error: unknown) => {
      // Another try may find the folder again.
      if (this.#opened === opened) this.#opened = undefined;
      throw error;
    });
    const connection = await instance.connect();
    if (this.#closed) connection.closeSync();
    this.#checkOpen();
    this.#connections.add(connection);
    return connection;
  }

  disconnect(connection: DuckDBConnection): void {
    if (this.#connections.delete(connection)) connection.closeSync();
  }

  /** Statements end with an error soon; who runs them disconnects. */
  interrupt(): void {
    for (const connection of this.#connections) connection.interrupt();
  }

  /** Nothing may run any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const instance = await this.#opened?.catch(() => undefined);
    for (const connection of [...this.#connections]) this.disconnect(connection);
    instance?.closeSync();
  }

  async #open(): Promise<DuckDBInstance> {
    const { threads, memoryLimitMb, tempDir, partDirs } = this.#options;
    await mkdir(tempDir, { recursive: true });
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${memoryLimitMb}MB`,
      threads: String(threads),
      temp_directory: tempDir,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const first = await instance.connect();
    try {
      registerFunctions(first);
      this.sources.register(first);
      await first.run(JSON_MACRO);
      const dirs = [...partDirs, tempDir].map(text).join(', ');
      await first.run(`SET allowed_directories = [${dirs}]`);
      await first.run('SET enable_external_access = false');
      await first.run('SET lock_configuration = true');
    } finally {
      first.closeSync();
    }
    return instance;
  }

  #checkOpen(): void {
    if (this.#closed) throw engineClosed();
  }
}

export function engineClosed(): LoadError {
  return new LoadError('ENGINE_CLOSED', 'the engine is closed', { transient: true });
}

/** DuckDB's errors as ours; its first line says what happened. */
export function engineError(error: unknown): unknown {
  // A mistake of ours stays one: the process stops.
  if (error instanceof LoadError || error instanceof AssertionFailed) return error;
  if (!(error instanceof Error)) return error;
  if (/interrupt/i.test(error.message))
    return new LoadError('ENGINE_CANCELLED', 'the statement was cancelled', {
      errno: 1317,
      sqlState: '70100',
      cause: error,
    });
  const message = messageOf(error);
  if (/out of memory|could not allocate|failed to (allocate|pin)/i.test(message))
    return new LoadError('ENGINE_MEMORY', `the statement needs more memory: ${message}`, {
      hint: 'ask for less at once, or give the process more memory',
      transient: true,
      cause: error,
    });
  return new LoadError('ENGINE_ERROR', message, { cause: error });
}

/** Its first line says what happened; some come as JSON with the message inside. */
function messageOf(error: Error): string {
  const inner = /"exception_message":"((?:[^"\\]|\\.)*)"/.exec(error.message)?.[1];
  const whole = inner?.replaceAll('\\n', '\n').replaceAll('\\"', '"') ?? error.message;
  return whole.split('\n')[0] ?? 'engine error';
}
