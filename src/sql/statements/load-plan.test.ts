import { describe, expect, it } from 'vitest';
import type { TableFact } from '../../actors/fe/fe-facts.ts';
import type { ColumnDef } from '../../base/table-schema.ts';
import { parseStatement } from '../parser.ts';
import { defaultProperties } from './job-properties.ts';
import { planLoad } from './load-plan.ts';

const column = (id: number, name: ColumnDef['type']['name']): ColumnDef => ({
  id,
  name: `c${id}`,
  type: { name, ...(name === 'DECIMAL' ? { precision: 9, scale: 2 } : {}) },
  nullable: true,
  isKey: id === 1,
});

const columns = [
  column(1, 'BIGINT'),
  column(2, 'DOUBLE'),
  column(3, 'VARCHAR'),
  column(4, 'DECIMAL'),
  column(5, 'DATETIME'),
];
const table: TableFact = {
  tableId: 1,
  dbId: 1,
  name: 't',
  schema: { tableId: 1, schemaId: 1, model: 'DUPLICATE', columns, bucketColumns: ['c1'] },
  buckets: 1,
  bucketsGiven: true,
  comment: '',
  properties: {},
  tablets: [],
  createdMs: 0,
  rows: 0,
};

function fieldsOf(clauses: string) {
  const sql = `CREATE ROUTINE LOAD j ON t ${clauses} FROM KAFKA("kafka_broker_list" = "b:1", "kafka_topic" = "t")`;
  const statement = parseStatement(sql);
  if (statement.kind !== 'createRoutineLoad') throw new Error('a CREATE ROUTINE LOAD');
  const properties = defaultProperties({ timezone: 'UTC', consumeSecond: 3, timeoutSecond: 12 });
  const source = { topic: 't', brokers: ['b:1'], custom: {} } as never;
  return planLoad(table, { clauses: statement.clauses, properties, source }).fields;
}

describe('fields that expressions calculate with', () => {
  it.each([
    { name: 'arithmetic', clauses: 'COLUMNS (c1, c2, c5 = from_unixtime(c1 + 1))', found: ['c1'] },
    { name: 'two of them', clauses: 'COLUMNS (c1, c2, c4 = c1 * c2)', found: ['c1', 'c2'] },
    { name: 'a text of it', clauses: "COLUMNS (c1, c2, c3 = concat(c1, 'x'))", found: [] },
    { name: 'a column that is no number', clauses: 'COLUMNS (c3, c2 = c3 + 1)', found: [] },
    { name: 'a column that is exact', clauses: 'COLUMNS (c4, c2 = c4 + 1)', found: [] },
    { name: 'no column: it has a type by itself', clauses: 'COLUMNS (x, c2 = x + 1)', found: [] },
    { name: 'no expression', clauses: 'COLUMNS (c1, c2), WHERE c1 > 1', found: [] },
  ])('$name', ({ clauses, found }) => {
    const fields = fieldsOf(clauses);
    const calculated = fields.filter((field) => field.calculated === true);
    expect(calculated.map(({ name }) => name)).toEqual(found);
    // By the rules they are texts (semantics.md 2.1, rule 3).
    for (const { type } of calculated) expect(type?.name).toBe('VARCHAR');
  });
});
