/** Statements over rows that change: prepared once for what they ask, and run again for each batch. */
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';
import type { ColumnBatch } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { formOf, type NamedColumn } from './duckdb-types.ts';
import { readWhole } from './result-read.ts';
import type { RowSource } from './row-source.ts';
import type { Statements } from './statements.ts';

const IDLE_MAX = 8;

/** What is asked, and how the answer is read. */
export interface Question {
  readonly sql: (rows: string) => string;
  readonly input: readonly NamedColumn[];
  readonly outputs: readonly SqlType[];
}

interface Session {
  readonly connection: DuckDBConnection;
  readonly rows: RowSource;
  readonly prepared: DuckDBPreparedStatement;
}

export class PreparedRows {
  readonly #statements: Statements;
  /** Sessions that nobody uses now, by what they were prepared for, the longest unused first. */
  readonly #idle: { readonly key: string; readonly session: Session }[] = [];

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** The batch has the columns of `question.input`. */
  async ask(question: Question, batch: ColumnBatch, signal?: AbortSignal): Promise<ColumnBatch> {
    const types = question.input.map(({ type }) => JSON.stringify(type));
    const key = `${question.sql('')}\n${types.join()}`;
    const session = this.#take(key) ?? (await this.#begin(question));
    try {
      session.rows.set([batch]);
      const answer = await this.#statements.inSlot(
        session.connection,
        async () => readWhole(await session.prepared.run(), question.outputs.map(formOf)),
        signal,
      );
      session.rows.set([]);
      this.#idle.push({ key, session });
      if (this.#idle.length > IDLE_MAX) this.#end(this.#idle.shift()!.session);
      return answer;
    } catch (error) {
      this.#end(session);
      throw error;
    }
  }

  close(): void {
    for (const { session } of this.#idle.splice(0)) this.#end(session);
  }

  #take(key: string): Session | undefined {
    const at = this.#idle.findLastIndex((one) => one.key === key);
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0]!.session;
  }

  async #begin(question: Question): Promise<Session> {
    const connection = await this.#statements.connect();
    const rows = this.#statements.openLists(question.input);
    try {
      const prepared = await this.#statements.inSlot(connection, () =>
        connection.prepare(question.sql(rows.sql)),
      );
      return { connection, rows, prepared };
    } catch (error) {
      rows.close();
      this.#statements.disconnect(connection);
      throw error;
    }
  }

  #end({ connection, rows, prepared }: Session): void {
    rows.close();
    prepared.destroySync();
    this.#statements.disconnect(connection);
  }
}
