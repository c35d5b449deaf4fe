/** A connection to millrace that stays, and what benches ask of it. */
import { systemClock } from '../src/base/clock.ts';
import { MysqlClient } from '../src/protocol/mysql/client.ts';

export type SqlRow = Record<string, string | null>;

export class SqlConnection {
  readonly #client: MysqlClient;

  private constructor(client: MysqlClient) {
    this.#client = client;
  }

  static async open(port: number): Promise<SqlConnection> {
    const of = { host: '127.0.0.1', port, user: 'root', password: '', clock: systemClock };
    return new SqlConnection(await MysqlClient.connect(of));
  }

  /** The rows of the last result, by column name. */
  async query(sql: string): Promise<SqlRow[]> {
    let found: SqlRow[] = [];
    for await (const result of this.#client.query(sql)) {
      if (result.kind !== 'rows') continue;
      const names = result.columns.map(({ name }) => name);
      found = result.rows.map((row) =>
        Object.fromEntries(names.map((name, i) => [name, row[i] ?? null])),
      );
    }
    return found;
  }

  async count(table: string): Promise<number> {
    const [row] = await this.query(`SELECT count(*) AS n FROM ${table}`);
    return Number(row?.n);
  }

  async ms(sql: string): Promise<number> {
    const from = performance.now();
    await this.query(sql);
    return performance.now() - from;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}
