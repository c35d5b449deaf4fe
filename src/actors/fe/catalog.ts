/** Names to objects, in one place: databases and tables as statements name them. */
import { LoadError } from '../../base/errors.ts';
import type { QualifiedName } from '../../sql/ast/statement.ts';
import type { FeState, TableFact } from './fe-facts.ts';

/** A database that is made of rows, not of facts. */
export const SYSTEM_DB = 'information_schema';
export const SYSTEM_DB_ID = 0;

export function findDb(state: FeState, name: string) {
  return [...state.dbs.values()].find((db) => db.name === name);
}

/** The id of a database; `undefined` means that none is named or selected. */
export function dbIdOf(state: FeState, name: string | undefined): number {
  if (name === undefined) {
    throw new LoadError('NO_DATABASE', 'No database selected', { errno: 1046, sqlState: '3D000' });
  }
  const found = findDb(state, name);
  if (found !== undefined) return found.dbId;
  if (name.toLowerCase() === SYSTEM_DB) return SYSTEM_DB_ID;
  throw new LoadError('DATABASE_UNKNOWN', `Unknown database '${name}'`, {
    errno: 1049,
    sqlState: '42000',
  });
}

export function dbNameOf(state: FeState, dbId: number): string {
  if (dbId === SYSTEM_DB_ID) return SYSTEM_DB;
  return state.dbs.get(dbId)?.name ?? String(dbId);
}

export function findTable(state: FeState, dbId: number, name: string): TableFact | undefined {
  return [...state.tables.values()].find((table) => table.dbId === dbId && table.name === name);
}

/** `name.db` stands before `current`, the session's database. */
export function tableOf(
  state: FeState,
  name: QualifiedName,
  current: string | undefined,
): { readonly db: string; readonly fact: TableFact } {
  const db = name.db ?? current;
  const fact = findTable(state, dbIdOf(state, db), name.name);
  if (db !== undefined && fact !== undefined) return { db, fact };
  throw new LoadError('TABLE_UNKNOWN', `Unknown table '${db}.${name.name}'`, {
    errno: 5502,
    sqlState: '42602',
  });
}
