/** What is loaded by `routine-load`, how, and what must be in the table afterwards. */
import { type Format, isBadId, message, sumBelow } from './messages.ts';
import type { SqlRow } from './sql.ts';

export type VariantName = 'plain' | 'columns' | 'aggregate';

export interface Variant {
  readonly value: (format: Format, id: number) => string;
  readonly columns: string;
  readonly model: string;
  /** Between the table's name and PROPERTIES. */
  readonly clauses: string;
  readonly properties: string;
  readonly check: string;
  readonly expected: (rows: number) => SqlRow;
}

export const KEYS = 1_000_000;
const PLAIN = 'id BIGINT NOT NULL, day DATE, name VARCHAR(40), country INT, price DOUBLE';
const CHECK = 'SELECT count(*) AS n, count(DISTINCT id) AS d, sum(id) AS s FROM';

const text = (n: number, d: number, s: bigint): SqlRow => ({
  n: String(n),
  d: String(d),
  s: String(s),
});

export const variants: Readonly<Record<VariantName, Variant>> = {
  plain: {
    value: (format, id) => message(format, id),
    columns: PLAIN,
    model: 'DUPLICATE KEY(id)',
    clauses: '',
    properties: '',
    check: CHECK,
    expected: (rows) => text(rows, rows, sumBelow(rows)),
  },
  // Two expressions, a WHERE that leaves out 5 %, and 1 % of the messages with an id that is no number.
  columns: {
    value: (format, id) => message(format, id, isBadId(id)),
    columns: `${PLAIN}, made DATETIME, gross DOUBLE`,
    model: 'DUPLICATE KEY(id)',
    clauses:
      'COLUMNS (id, day, name, country, price, made = from_unixtime(id + 1700000000), gross = price * 1.19 + country), WHERE country < 200',
    properties: '"max_error_number" = "1000000000"',
    check: CHECK,
    expected: (rows) => {
      let n = 0;
      let sum = 0n;
      for (let id = 0; id < rows; id++) {
        if (isBadId(id) || id % 211 >= 200) continue;
        n += 1;
        sum += BigInt(id);
      }
      return text(n, n, sum);
    },
  },
  aggregate: {
    value: (format, id) => message(format, id % KEYS),
    columns:
      'id BIGINT NOT NULL, day DATE REPLACE, name VARCHAR(40) REPLACE, country BIGINT SUM, price DOUBLE MAX',
    model: 'AGGREGATE KEY(id)',
    clauses: '',
    properties: '',
    check: 'SELECT count(*) AS n, count(DISTINCT id) AS d, sum(country) AS s FROM',
    expected: (rows) => {
      let sum = 0n;
      for (let id = 0; id < rows; id++) sum += BigInt((id % KEYS) % 211);
      const keys = Math.min(rows, KEYS);
      return text(keys, keys, sum);
    },
  },
};
