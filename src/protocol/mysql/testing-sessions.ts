/** For tests alone: a host whose sessions answer a few fixed statements. */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import { BIGINT, type SqlType, VARCHAR } from '../../base/sql-type.ts';
import type { ResultColumn } from '../../engine/engine.types.ts';
import { passwordHash } from './auth.ts';
import type { PreparedValue, Session, SessionHost, StatementResult } from './mysql.types.ts';
import { splitStatements } from './statement-split.ts';

const column = (name: string, type: SqlType): ResultColumn => ({ name, type, nullable: true });
const one = (text: string | null): StatementResult => ({
  kind: 'rows',
  columns: [column('value', VARCHAR)],
  rows: [[text]],
});

export const TYPED: readonly (readonly [SqlType, string, unknown])[] = [
  [{ name: 'BOOLEAN' }, '1', 1],
  [{ name: 'TINYINT' }, '-128', -128],
  [{ name: 'SMALLINT' }, '-32768', -32768],
  [{ name: 'INT' }, '2147483647', 2147483647],
  [{ name: 'BIGINT' }, '-9223372036854775808', '-9223372036854775808'],
  [{ name: 'LARGEINT' }, '-170141183460469231731687303715884105728', undefined],
  [{ name: 'FLOAT' }, '1.5', 1.5],
  [{ name: 'DOUBLE' }, '-0.1', -0.1],
  [{ name: 'DECIMAL', precision: 20, scale: 3 }, '12345678901234567.125', undefined],
  [{ name: 'DATE' }, '2020-05-11', undefined],
  [{ name: 'DATETIME' }, '2020-05-11 00:00:00', undefined],
  [{ name: 'DATETIME' }, '2020-05-11 23:59:58', undefined],
  [{ name: 'DATETIME' }, '2020-05-11 23:59:58.123456', undefined],
  [{ name: 'CHAR', length: 5 }, 'é', undefined],
  [{ name: 'VARCHAR', length: 20 }, 'emoji 😀', undefined],
  [{ name: 'JSON' }, '{"a": 1}', undefined],
  [{ name: 'INT' }, null as unknown as string, null],
];

export class TestHost implements SessionHost {
  readonly serverVersion = '8.0.33';
  readonly seen: string[] = [];
  open_ = 0;
  pulled = 0;
  aborted = 0;
  values: readonly PreparedValue[] = [];

  authenticate(user: string) {
    if (user === 'root') return { passwordHash: null };
    return user === 'ann' ? { passwordHash: passwordHash('secret') } : undefined;
  }

  async open(_info: unknown, db: string | undefined): Promise<Session> {
    const self = this;
    if (db === 'nowhere') throw unknownDb(db);
    this.open_++;
    let current = db;
    return {
      async *execute(sql, signal) {
        const { statements, rest } = splitStatements(sql);
        for (const text of [...statements, ...(rest === '' ? [] : [rest])]) {
          self.seen.push(text);
          yield await self.#statement(text, signal);
        }
      },
      async prepare(sql) {
        return { parameters: sql.split('?').length - 1, columns: [] };
      },
      async executePrepared(sql, values, signal) {
        self.values = values;
        return self.#statement(sql.replace(/ where.*/, ''), signal);
      },
      get db() {
        return current;
      },
      async useDb(name) {
        if (name === 'nowhere') throw unknownDb(name);
        current = name;
        self.seen.push(`use ${name}`);
      },
      async fields() {
        return [column('a', BIGINT)];
      },
      reset: (user) => self.seen.push(`reset ${user ?? ''}`),
      close: () => {
        self.open_--;
      },
    };
  }

  async #statement(sql: string, signal: AbortSignal): Promise<StatementResult> {
    const [word = '', argument = ''] = sql.split(' ');
    if (word === 'typed') {
      return {
        kind: 'rows',
        columns: TYPED.map(([type], i) => column(`c${i}`, type)),
        rows: [TYPED.map(([, text]) => text)],
      };
    }
    if (word === 'many') {
      const batches = this.#batches(Number(argument));
      return { kind: 'batches', columns: [column('n', BIGINT)], batches, close: async () => {} };
    }
    if (word === 'long') return one('x'.repeat(Number(argument)));
    if (word === 'bug') throw new TypeError('a mistake of ours');
    if (word === 'fail') {
      throw new LoadError('X', 'it failed', { errno: 5600, sqlState: '58030', hint: 'try again' });
    }
    if (word === 'wait') {
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          this.aborted++;
          reject(new Error('aborted'));
        });
      });
    }
    if (word === 'insert')
      return { kind: 'ok', affectedRows: 3, warnings: 1, info: "{'label':'l'}" };
    return one(sql);
  }

  async *#batches(count: number): AsyncGenerator<ColumnBatch> {
    const rows = 4_096;
    for (let i = 0; i < count; i++) {
      this.pulled++;
      const values = BigInt64Array.from({ length: rows }, (_, row) => BigInt(i * rows + row));
      yield { rows, columns: [{ kind: 'i64', valid: null, values }] };
    }
  }
}

function unknownDb(db: string): LoadError {
  return new LoadError('DB_UNKNOWN', `Unknown database '${db}'`, {
    errno: 1049,
    sqlState: '42000',
  });
}
