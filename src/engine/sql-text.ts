/** Names and texts inside generated SQL. */
import { LoadError } from '../base/errors.ts';

export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const text = (value: string): string => {
  if (value.includes('\0')) throw new LoadError('SQL_BAD_TEXT', 'a text cannot hold a zero byte');
  return `'${value.replaceAll("'", "''")}'`;
};
