/** A typed value as the text protocol shows it. */
import { type Column, isNull } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const DAY_MS = 86_400_000;

export function valueText(column: Column, row: number, type: SqlType): string | null {
  if (isNull(column, row)) return null;
  switch (column.kind) {
    case 'bytes':
      return decoder.decode(column.data.subarray(column.offsets[row], column.offsets[row + 1]));
    case 'i128': {
      const low = BigInt.asUintN(64, column.values[2 * row] ?? 0n);
      return decimalText(((column.values[2 * row + 1] ?? 0n) << 64n) | low, scaleOf(type));
    }
    case 'i64': {
      const value = column.values[row] ?? 0n;
      return type.name === 'DATETIME' ? datetimeText(value) : decimalText(value, scaleOf(type));
    }
    case 'i32': {
      const value = column.values[row] ?? 0;
      return type.name === 'DATE' ? dateText(value) : String(value);
    }
    case 'f32':
      return floatText(column.values[row] ?? 0);
    case 'f64':
      return doubleText(column.values[row] ?? 0);
    default:
      return String(column.values[row] ?? 0);
  }
}

function scaleOf(type: SqlType): number {
  return type.name === 'DECIMAL' ? (type.scale ?? 0) : 0;
}

function decimalText(value: bigint, scale: number): string {
  if (scale === 0) return String(value);
  const sign = value < 0n ? '-' : '';
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const EXPONENT_FROM = 1e16;

/** The shortest text that reads back as the same value; `1e+20` where whole digits would pretend to be exact. */
function doubleText(value: number): string {
  const large = Math.abs(value) >= EXPONENT_FROM && Number.isFinite(value);
  return large ? value.toExponential() : String(value);
}

/** As above for a 32-bit value. */
function floatText(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return doubleText(short);
  }
  return doubleText(Number(value.toPrecision(9)));
}

function dateText(days: number): string {
  const date = new Date(days * DAY_MS);
  const two = (value: number) => String(value).padStart(2, '0');
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  return `${year}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

function datetimeText(micros: bigint): string {
  const perDay = 86_400_000_000n;
  const inDay = ((micros % perDay) + perDay) % perDay;
  const days = Number((micros - inDay) / perDay);
  const seconds = Number(inDay / 1_000_000n);
  const fraction = Number(inDay % 1_000_000n);
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const time = `${two(hours)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const tail = fraction === 0 ? '' : `.${String(fraction).padStart(6, '0')}`;
  return `${dateText(days)} ${time}${tail}`;
}
