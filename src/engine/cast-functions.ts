/** Scalar functions of the instance that only our own code can answer: one parser for readers, CAST and SELECT alike. */
import { createHash } from 'node:crypto';
import * as duck from '@duckdb/node-api';
import { assert } from '../base/assert.ts';
import type { Column } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { castTextColumn } from '../formats/cast/text-cast.ts';
import { createBuilder } from '../formats/column-builder.ts';
import { valueText } from '../formats/value-text.ts';
import { raw } from './duckdb-raw.ts';
import { formOf, libraryType } from './duckdb-types.ts';
import { readVector } from './vector-read.ts';
import { writeVector } from './vector-write.ts';

const TEXT: SqlType = { name: 'VARCHAR' };
const FROM_TEXT: readonly SqlType['name'][] = [
  'BOOLEAN',
  'TINYINT',
  'SMALLINT',
  'INT',
  'BIGINT',
  'LARGEINT',
  'FLOAT',
  'DOUBLE',
  'DATE',
  'DATETIME',
  'JSON',
];

interface ScalarFunction {
  readonly name: string;
  readonly args: readonly SqlType[];
  readonly returns: SqlType;
  /** Its value is another one at each call. */
  readonly volatile?: boolean;
  run(args: readonly Column[], rows: number): Column;
}

/**
 * Once for an instance, before it is locked. `onFailure`: none of them fails but by a mistake of ours, and to DuckDB that is
 * an error like any other, which a TRY makes a NULL of.
 */
export function registerFunctions(
  connection: duck.DuckDBConnection,
  onFailure: (error: unknown) => void,
): void {
  for (const one of functions()) register(connection, one, onFailure);
}

function functions(): ScalarFunction[] {
  return [
    ...FROM_TEXT.map(
      (name): ScalarFunction => ({
        name: `ms_to_${name.toLowerCase()}`,
        args: [TEXT],
        returns: { name },
        run: ([texts], rows) => castTexts(texts, rows, { name }),
      }),
    ),
    {
      name: 'ms_to_decimal',
      args: [TEXT, TEXT],
      returns: TEXT,
      run: ([texts, shape], rows) => {
        const [precision, scale] = (textAt(shape, 0) ?? '10,0').split(',').map(Number);
        const type: SqlType = { name: 'DECIMAL', precision: precision ?? 10, scale: scale ?? 0 };
        return textsOf(castTexts(texts, rows, type), rows, type);
      },
    },
    ...(['FLOAT', 'DOUBLE', 'DATETIME'] as const).map(
      (name): ScalarFunction => ({
        name: `ms_${name.toLowerCase()}_text`,
        args: [{ name }],
        returns: TEXT,
        run: ([values], rows) => textsOf(some(values), rows, { name }),
      }),
    ),
    {
      name: 'ms_number_datetime',
      args: [{ name: 'BIGINT' }],
      returns: { name: 'DATETIME' },
      run: ([numbers], rows) => {
        const builder = createBuilder(TEXT, rows);
        for (let row = 0; row < rows; row++) {
          const digits = datetimeDigits(textAt(numbers, row, { name: 'BIGINT' }));
          if (digits === undefined) builder.appendNull();
          else builder.appendText(digits);
        }
        return castTexts(builder.finish(), rows, { name: 'DATETIME' });
      },
    },
    uuidFunction(),
  ];
}

/** semantics.md 2.7: numbers as dates, by MySQL's literals. */
export function datetimeDigits(text: string | null): string | undefined {
  if (text === null || !/^[0-9]{3,14}$/.test(text)) return undefined;
  const value = Number(text);
  if (value >= 101 && value <= 691_231) return `20${text.padStart(6, '0')}`;
  if (value >= 700_101 && value <= 991_231) return `19${text}`;
  if (value >= 10_000_101 && value <= 99_991_231) return text;
  return text.length === 12 || text.length === 14 ? text : undefined;
}

/** The same values in the same order for one seed in one engine; no value twice. */
function uuidFunction(): ScalarFunction {
  let count = 0;
  return {
    name: 'ms_uuid',
    args: [TEXT],
    returns: TEXT,
    volatile: true,
    run: ([seeds], rows) => {
      const builder = createBuilder(TEXT, rows);
      for (let row = 0; row < rows; row++) {
        const hash = createHash('sha256')
          .update(`${textAt(seeds, row) ?? ''}:${count++}`)
          .digest();
        hash[6] = (hash[6]! & 0x0f) | 0x40;
        hash[8] = (hash[8]! & 0x3f) | 0x80;
        const hex = hash.toString('hex', 0, 16);
        builder.appendText(
          [
            hex.slice(0, 8),
            hex.slice(8, 12),
            hex.slice(12, 16),
            hex.slice(16, 20),
            hex.slice(20),
          ].join('-'),
        );
      }
      return builder.finish();
    },
  };
}

function register(
  connection: duck.DuckDBConnection,
  one: ScalarFunction,
  onFailure: (error: unknown) => void,
): void {
  const made = duck.DuckDBScalarFunction.create({
    name: one.name,
    parameterTypes: one.args.map(libraryType),
    returnType: libraryType(one.returns),
    // NULLs are seen by `run`: a column of ours carries them.
    specialHandling: true,
    ...(one.volatile ? { volatile: true } : {}),
    mainFunction: () => undefined,
  });
  // The library's wrapper makes an object of every vector: the raw call takes its place.
  raw.scalar_function_set_function(made.scalar_function, (_, input, output) => {
    try {
      const rows = raw.data_chunk_get_size(input);
      const args = one.args.map((type, i) =>
        readVector(raw.data_chunk_get_vector(input, i), formOf(type), rows),
      );
      writeVector(output, one.run(args, rows), one.returns, 0, rows);
    } catch (error) {
      onFailure(error);
      throw error;
    }
  });
  connection.registerScalarFunction(made);
}

function castTexts(column: Column | undefined, rows: number, type: SqlType): Column {
  const texts = some(column);
  assert(texts.kind === 'bytes', 'a text column');
  return castTextColumn(texts, rows, type, 'cast');
}

function textsOf(column: Column, rows: number, type: SqlType): Column {
  const builder = createBuilder(TEXT, rows);
  for (let row = 0; row < rows; row++) {
    const text = valueText(column, row, type);
    if (text === null) builder.appendNull();
    else builder.appendText(text);
  }
  return builder.finish();
}

function textAt(column: Column | undefined, row: number, type = TEXT): string | null {
  return valueText(some(column), row, type);
}

function some(column: Column | undefined): Column {
  assert(column !== undefined, 'an argument of the function');
  return column;
}
