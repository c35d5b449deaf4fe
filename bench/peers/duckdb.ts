/** The same rows in DuckDB: in a table of its own, made by the same formulas, and in the Parquet files that millrace wrote. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';

export class DuckDbPeer {
  readonly #connection: DuckDBConnection;

  private constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  static async open(file: string): Promise<DuckDbPeer> {
    const instance = await DuckDBInstance.create(file);
    return new DuckDbPeer(await instance.connect());
  }

  /** bench/messages.ts in SQL. */
  async makeTable(rows: number): Promise<void> {
    await this.#connection.run(
      `CREATE TABLE own AS SELECT i AS id, DATE '2024-01-01' + CAST(i % 365 AS INTEGER) AS day, 'customer ' || (i % 9973) AS name, CAST(i % 211 AS INTEGER) AS country, CAST((i * 7919) % 100000 AS DOUBLE) / 100 AS price FROM range(${rows}) r(i)`,
    );
    await this.#connection.run('CHECKPOINT');
  }

  async makeView(files: readonly string[]): Promise<void> {
    const list = files.map((file) => `'${file}'`).join(', ');
    await this.#connection.run(
      `CREATE OR REPLACE VIEW files AS SELECT * FROM read_parquet([${list}])`,
    );
  }

  async query(sql: string): Promise<(string | null)[][]> {
    const reader = await this.#connection.runAndReadAll(sql);
    return reader
      .getRowsJson()
      .map((row) => row.map((value) => (value === null ? null : String(value))));
  }

  close(): void {
    this.#connection.closeSync();
  }
}
