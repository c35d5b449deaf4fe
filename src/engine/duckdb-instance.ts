/** One locked DuckDB instance in memory, opened when it is first wanted; it spills to `tempDir` (PROTOCOL.md T3). */
import { mkdir, rm, statfs } from 'node:fs/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { registerFunctions } from './cast-functions.ts';
import { engineClosed } from './engine-errors.ts';
import { RowSources } from './row-source.ts';
import { text } from './sql-text.ts';

/** A path into what is no JSON finds nothing, where DuckDB fails. */
const JSON_MACRO =
  'CREATE MACRO ms_json_text(a, b) AS (CASE WHEN json_valid(a) THEN json_extract_string(a, b) END)';

const IDLE_MAX = 4;
const MB = 1_000_000;

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
  /** Open, and used by nobody: to open one takes longer than a small statement. */
  readonly #idle: DuckDBConnection[] = [];
  #opened: Promise<DuckDBInstance> | undefined;
  #closed = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: InstanceOptions) {
    this.#options = options;
  }

  async connect(): Promise<DuckDBConnection> {
    this.#checkOpen();
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#connections.add(idle);
      return idle;
    }
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

  /** Its statement is over. */
  disconnect(connection: DuckDBConnection): void {
    if (!this.#connections.delete(connection)) return;
    if (this.#closed || this.#idle.length >= IDLE_MAX) connection.closeSync();
    else this.#idle.push(connection);
  }

  /** Throws what one of our own functions has failed with, in whatever statement. */
  checkFunctions(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
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
    for (const connection of this.#idle.splice(0)) connection.closeSync();
    instance?.closeSync();
    // A result that nobody has read to its end keeps what it spilled.
    if (instance !== undefined) await rm(this.#options.tempDir, { recursive: true, force: true });
  }

  async #open(): Promise<DuckDBInstance> {
    const { threads, memoryLimitMb, tempDir, partDirs } = this.#options;
    await mkdir(tempDir, { recursive: true });
    const { bavail, bsize } = await statfs(tempDir);
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${memoryLimitMb}MB`,
      threads: String(threads),
      temp_directory: tempDir,
      // Loads refuse to go below a floor of free space: queries may not take all that is above it.
      max_temp_directory_size: `${Math.floor((bavail * bsize) / 2 / MB)}MB`,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const first = await instance.connect();
    try {
      registerFunctions(first, (error) => {
        this.#failure ??= { error };
      });
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
