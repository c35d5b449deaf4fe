/**
 * Parts that cannot hold a row that WHERE wants are left out before any file is opened.
 *
 *   R2. What is not understood leaves out nothing: casts, functions, OR, columns of other types, texts against numbers.
 *   R3. A table that stands more than once in a statement, or where a row of NULLs may stand for its rows, is read whole.
 *   R4. A value of an AGGREGATE table is made of several parts: only its keys leave parts out (P2).
 */
import type { ColumnDef, TableSchema } from '../base/table-schema.ts';
import { parseDatetime } from '../formats/cast/date.ts';
import type { Expr } from '../sql/ast/expr.ts';
import type { FromItem, Select, SelectCore, TableName } from '../sql/ast/select.ts';
import type { PartInput } from './engine.types.ts';
import { type Range, type RangeValue, rangeOfRecord } from './part-ranges.ts';
import type { Span } from './rows-within.ts';

interface StoredTable {
  readonly db: string;
  readonly name: string;
  readonly schema: TableSchema;
}

/** A condition that every wanted row meets. */
export interface RowTest {
  readonly column: ColumnDef;
  readonly mayHold: (range: Range) => boolean;
  /** Where the values of wanted rows lie, as numbers that may be rounded. */
  readonly spans: readonly Span[];
}

export function wantedParts(
  select: Select,
  table: StoredTable,
  parts: readonly PartInput[],
): readonly PartInput[] {
  if (!parts.some(({ ranges }) => ranges !== undefined)) return parts;
  const tests = testsOn(select, table);
  return tests.length === 0 ? parts : parts.filter((part) => mayHold(part, tests));
}

/** What WHERE says of rows of the table. */
export function testsOn(select: Select, table: StoredTable): readonly RowTest[] {
  const place = placeOf(select, table);
  if (place?.core.where === undefined) return [];
  const column = (path: readonly string[]) => columnOf(path, table, place);
  return conjuncts(place.core.where).flatMap((expr) => testsOf(expr, column));
}

function mayHold({ ranges }: PartInput, tests: readonly RowTest[]): boolean {
  return tests.every(({ column, mayHold }) => {
    const record = ranges?.find(([id]) => id === column.id);
    const range = record && rangeOfRecord(column.type.name, record);
    return range === undefined || mayHold(range);
  });
}

interface Place {
  readonly core: SelectCore;
  readonly alias: string | undefined;
  /** Whether a name without a table may be of several. */
  readonly merges: boolean;
}

/** R3 */
function placeOf(select: Select, table: StoredTable): Place | undefined {
  const cores: SelectCore[] = [];
  let named = 0;
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if (Array.isArray(node)) {
      for (const one of node) walk(one);
      return;
    }
    const { kind } = node as { kind?: unknown };
    if (kind === 'table' && isNamed((node as { table: TableName }).table, table)) named += 1;
    if (kind === 'select' && 'items' in node) cores.push(node as SelectCore);
    for (const one of Object.values(node)) walk(one);
  };
  walk(select);
  if (named !== 1) return undefined;
  for (const core of cores) {
    const found = core.from && plainPlace(core.from, table);
    if (found !== undefined) return { core, alias: found.alias, merges: hasUsing(core.from) };
  }
  return undefined;
}

/** Where the table stands in a FROM, and no join makes rows of NULLs for it. */
function plainPlace(
  item: FromItem,
  table: StoredTable,
): (FromItem & { kind: 'table' }) | undefined {
  if (item.kind === 'table') return isNamed(item.table, table) ? item : undefined;
  if (item.kind === 'select') return undefined;
  const { type, left, right } = item;
  const isInner = type === 'INNER' || type === 'CROSS';
  const inLeft = isInner || type === 'LEFT' ? plainPlace(left, table) : undefined;
  return inLeft ?? (isInner || type === 'RIGHT' ? plainPlace(right, table) : undefined);
}

/** The column that USING makes of two is not the table's own. */
const hasUsing = (item: FromItem | undefined): boolean =>
  item?.kind === 'join' &&
  (item.using !== undefined || hasUsing(item.left) || hasUsing(item.right));

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase();

const isNamed = ({ db, name }: TableName, table: StoredTable): boolean =>
  same(db, table.db) && same(name, table.name);

function columnOf(
  path: readonly string[],
  { db, name, schema }: StoredTable,
  { alias, merges }: Place,
): ColumnDef | undefined {
  const [own, of, ofDb] = path.toReversed();
  if (of === undefined ? merges : !same(of, alias ?? name)) return undefined;
  const isOfDb = path.length === 3 && same(ofDb, db) && same(alias ?? name, name);
  if (path.length > 2 && !isOfDb) return undefined;
  const column = schema.columns.find((one) => same(own, one.name));
  const isFinal = schema.model === 'DUPLICATE' || column?.isKey === true; // R4
  return isFinal ? column : undefined;
}

function conjuncts(expr: Expr): readonly Expr[] {
  if (expr.kind !== 'binary' || expr.op !== 'AND') return [expr];
  return [...conjuncts(expr.left), ...conjuncts(expr.right)];
}

type ColumnOf = (path: readonly string[]) => ColumnDef | undefined;

const FLIPPED: Readonly<Record<string, string>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

function testsOf(expr: Expr, columnOf: ColumnOf): RowTest[] {
  const column = (arg: Expr) => (arg.kind === 'column' ? columnOf(arg.path) : undefined);
  const test = (arg: Expr, op: string, literals: readonly Expr[]): RowTest[] => {
    const found = column(arg);
    const values = literals.map((literal) => found && literalValue(literal, found));
    if (found === undefined || values.includes(undefined)) return [];
    const known = values as RangeValue[];
    return [
      {
        column: found,
        mayHold: (range) => known.some((value) => holds(range, op, value)),
        spans: known.map((value) => spanOf(op, Number(value))),
      },
    ];
  };
  switch (expr.kind) {
    case 'binary': {
      const { op, left, right } = expr;
      const flipped = FLIPPED[op];
      if (flipped === undefined) return [];
      return [...test(left, op, [right]), ...test(right, flipped, [left])];
    }
    case 'between':
      if (expr.not) return [];
      return [...test(expr.arg, '>=', [expr.low]), ...test(expr.arg, '<=', [expr.high])];
    case 'in':
      return expr.not ? [] : test(expr.arg, '=', expr.list);
    default:
      return [];
  }
}

function spanOf(op: string, value: number): Span {
  if (op === '=') return [value, value];
  return op.startsWith('<') ? [Number.NEGATIVE_INFINITY, value] : [value, Number.POSITIVE_INFINITY];
}

function holds({ low, high }: Range, op: string, value: RangeValue): boolean {
  switch (op) {
    case '=':
      return low <= value && value <= high;
    case '<':
      return low < value;
    case '<=':
      return low <= value;
    case '>':
      return high > value;
    default:
      return high >= value;
  }
}

/** As `comparable` (coerce-sql.ts) and DuckDB compare it with the column, where that is exact. */
function literalValue(literal: Expr, { type }: ColumnDef): RangeValue | undefined {
  switch (type.name) {
    case 'TINYINT':
    case 'SMALLINT':
    case 'INT':
    case 'BIGINT': {
      const text = numberText(literal);
      return text !== undefined && /^-?[0-9]{1,30}$/.test(text) ? BigInt(text) : undefined;
    }
    case 'DOUBLE': {
      // Of more digits nobody knows how they are rounded.
      const text = numberText(literal);
      const isShort = text !== undefined && /^-?[0-9.]{1,15}$/.test(text);
      const value = isShort ? Number(text) : Number.NaN;
      return Number.isNaN(value) ? undefined : value;
    }
    case 'DATE':
    case 'DATETIME': {
      const micros =
        literal.kind === 'string' ? parseDatetime(literal.value.trim(), false) : undefined;
      if (micros === undefined || type.name === 'DATETIME') return micros;
      if (micros % DAY_MICROS === 0n) return micros / DAY_MICROS;
      // A moment within a day is between two days.
      return Number(micros / DAY_MICROS) + (micros < 0n ? -0.5 : 0.5);
    }
    default:
      return undefined;
  }
}

const DAY_MICROS = 86_400_000_000n;

/** A number as it is written, with its sign. */
function numberText(expr: Expr): string | undefined {
  if (expr.kind === 'number') return expr.text;
  if (expr.kind !== 'unary' || expr.arg.kind !== 'number') return undefined;
  if (expr.op === '+') return expr.arg.text;
  return expr.op === '-' ? `-${expr.arg.text}` : undefined;
}
