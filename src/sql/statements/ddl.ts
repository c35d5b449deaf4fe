/** CREATE, DROP and TRUNCATE of databases and tables: checks against the head fold, then one entry in the same turn. */
import { dbIdOf, findDb, findTable, SYSTEM_DB, tableOf } from '../../actors/fe/catalog.ts';
import type { FeKernel } from '../../actors/fe/fe.types.ts';
import { LoadError } from '../../base/errors.ts';
import type { Statement } from '../ast/statement.ts';
import { planTable } from './tables.ts';

export type DdlStatement = Extract<
  Statement,
  { kind: 'createDatabase' | 'dropDatabase' | 'createTable' | 'dropTable' | 'truncateTable' }
>;

/** `db`: the session's database. */
export async function runDdl(
  kernel: FeKernel,
  statement: DdlStatement,
  db: string | undefined,
): Promise<void> {
  const { head } = kernel;
  const atMs = kernel.clock.now();
  switch (statement.kind) {
    case 'createDatabase': {
      const { name } = statement;
      const known = findDb(head, name) !== undefined;
      if (known && statement.ifNotExists) return;
      if (known || name.toLowerCase() === SYSTEM_DB) {
        const message = `Can't create database '${name}'; database exists`;
        throw new LoadError('DATABASE_EXISTS', message, { errno: 1007 });
      }
      await kernel.append({ type: 'db.created', dbId: kernel.nextId(), name, atMs });
      return;
    }
    case 'dropDatabase': {
      const found = findDb(head, statement.name);
      if (found === undefined && statement.ifExists) return;
      if (found === undefined) {
        const message = `Can't drop database '${statement.name}'; database doesn't exist`;
        throw new LoadError('DATABASE_UNKNOWN', message, { errno: 1008 });
      }
      await kernel.append({ type: 'db.dropped', dbId: found.dbId, atMs });
      return;
    }
    case 'createTable': {
      const dbId = dbIdOf(head, statement.table.db ?? db);
      const { name } = statement.table;
      if (!head.dbs.has(dbId)) {
        throw new LoadError('READ_ONLY', `database ${SYSTEM_DB} takes no tables`, { errno: 1044 });
      }
      const known = findTable(head, dbId, name) !== undefined;
      if (known && statement.ifNotExists) return;
      if (known) {
        throw new LoadError('TABLE_EXISTS', `Table '${name}' already exists`, {
          errno: 1050,
          sqlState: '42S01',
        });
      }
      await kernel.append({
        type: 'table.created',
        table: planTable(kernel, statement, dbId),
        atMs,
      });
      return;
    }
    case 'dropTable': {
      const dbId = dbIdOf(head, statement.table.db ?? db);
      if (statement.ifExists && findTable(head, dbId, statement.table.name) === undefined) return;
      const { fact } = tableOf(head, statement.table, db);
      await kernel.append({ type: 'table.dropped', tableId: fact.tableId, atMs });
      return;
    }
    case 'truncateTable': {
      const { fact } = tableOf(head, statement.table, db);
      // What a dropped BE held is made anew where a BE is.
      const alive = kernel.backends().filter((be) => be.alive);
      const isDropped = (beId: string) => head.bes.get(beId)?.dropped ?? true;
      if (alive.length === 0 && fact.tablets.some(({ beId }) => isDropped(beId))) {
        throw new LoadError('NO_BACKEND', 'no BE is alive to keep the tablets', {
          transient: true,
        });
      }
      const first = kernel.nextId(fact.buckets);
      const tablets = fact.tablets.map((tablet, i) => ({
        ...tablet,
        tabletId: first + i,
        beId: isDropped(tablet.beId) ? (alive[i % alive.length]?.beId ?? tablet.beId) : tablet.beId,
      }));
      await kernel.append({ type: 'table.truncated', tableId: fact.tableId, tablets, atMs });
    }
  }
}
