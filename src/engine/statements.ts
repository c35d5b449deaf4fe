/** Statements on one instance: a slot each while it runs, a connection each, closed on every path. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Clock } from '../base/clock.ts';
import type { ColumnBatch } from '../base/column-batch.ts';
import type { LockedInstance } from './duckdb-instance.ts';
import { formOf, type NamedColumn } from './duckdb-types.ts';
import { engineError } from './engine-errors.ts';
import { readColumns } from './result-read.ts';
import type { RowSource } from './row-source.ts';
import type { Slots } from './slots.ts';

const INTERRUPT_AGAIN_MS = 20;

export class Statements {
  readonly #instance: LockedInstance;
  readonly #slots: Slots;
  readonly #clock: Clock;

  constructor(instance: LockedInstance, slots: Slots, clock: Clock) {
    this.#instance = instance;
    this.#slots = slots;
    this.#clock = clock;
  }

  /** For what outlives one statement; the caller disconnects. */
  async connect(): Promise<DuckDBConnection> {
    try {
      return await this.#instance.connect();
    } catch (error) {
      throw engineError(error);
    }
  }

  disconnect(connection: DuckDBConnection): void {
    this.#instance.disconnect(connection);
  }

  /** Something that runs on a connection, in a slot; an abort interrupts it. */
  async inSlot<R>(
    connection: DuckDBConnection,
    act: () => Promise<R>,
    signal?: AbortSignal,
  ): Promise<R> {
    const give = await this.#slots.take(signal);
    let again: unknown;
    // A call that comes before the statement has begun is forgotten by DuckDB, so it is repeated.
    const stop = () => {
      connection.interrupt();
      again = this.#clock.setTimeout(stop, INTERRUPT_AGAIN_MS);
    };
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const result = await act();
      this.#instance.checkFunctions();
      return result;
    } catch (error) {
      throw engineError(error);
    } finally {
      signal?.removeEventListener('abort', stop);
      if (again !== undefined) this.#clock.clearTimeout(again);
      give();
    }
  }

  async on(connection: DuckDBConnection, sql: string, signal?: AbortSignal): Promise<void> {
    await this.inSlot(connection, () => connection.run(sql), signal);
  }

  /** One statement on a connection of its own. */
  async run(sql: string, signal?: AbortSignal): Promise<void> {
    await this.using((connection) => this.on(connection, sql, signal));
  }

  /** A small result as a whole, of exactly these types. */
  async read(
    sql: string,
    columns: readonly NamedColumn[],
    signal?: AbortSignal,
  ): Promise<ColumnBatch> {
    const forms = columns.map(({ type }) => formOf(type));
    return this.using((connection) =>
      this.inSlot(connection, async () => readColumns(await connection.stream(sql), forms), signal),
    );
  }

  async using<R>(act: (connection: DuckDBConnection) => Promise<R>): Promise<R> {
    const connection = await this.connect();
    try {
      return await act(connection);
    } finally {
      this.disconnect(connection);
    }
  }

  openRows(columns: readonly NamedColumn[], batches: readonly ColumnBatch[]): RowSource {
    return this.#instance.sources.open(columns, batches);
  }

  openLists(columns: readonly NamedColumn[]): RowSource {
    return this.#instance.sources.openLists(columns);
  }
}
