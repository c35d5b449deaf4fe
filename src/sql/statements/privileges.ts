/**
 * The one place where a statement's privileges are asked for (semantics.md 8.3). Accounts are not there yet: the only
 * user is root, who holds everything; another name fails here, whatever let it in.
 */
import { unreachable } from '../../base/assert.ts';
import { LoadError } from '../../base/errors.ts';
import type { QualifiedName, Statement } from '../ast/statement.ts';

export interface Principal {
  readonly user: string;
}

export interface Privilege {
  readonly name: string;
  readonly on: 'SYSTEM' | 'CATALOG' | 'DATABASE' | 'TABLE' | 'ROUTINE LOAD JOB';
  /** Absent for SYSTEM and CATALOG. */
  readonly object?: QualifiedName;
}

const needs = (name: string, on: Privilege['on'], object?: QualifiedName): readonly Privilege[] => [
  { name, on, ...(object === undefined ? {} : { object }) },
];

/** What a statement needs before anything is looked up; a job stands for INSERT on its table. */
export function requiredPrivileges(statement: Statement): readonly Privilege[] {
  switch (statement.kind) {
    case 'createDatabase':
      return needs('CREATE DATABASE', 'CATALOG');
    case 'dropDatabase':
      return needs('DROP', 'DATABASE', { name: statement.name });
    case 'createTable':
      return needs('CREATE TABLE', 'DATABASE', statement.table);
    case 'dropTable':
      return needs('DROP', 'TABLE', statement.table);
    case 'truncateTable':
      return needs('DELETE', 'TABLE', statement.table);
    case 'insert':
      return needs('INSERT', 'TABLE', statement.table);
    case 'createRoutineLoad': {
      const { db } = statement.job;
      const name = statement.table;
      return needs('INSERT', 'TABLE', db === undefined ? { name } : { db, name });
    }
    case 'alterRoutineLoad':
    case 'pauseRoutineLoad':
    case 'resumeRoutineLoad':
    case 'stopRoutineLoad':
    case 'showCreateRoutineLoad':
      return needs('INSERT', 'ROUTINE LOAD JOB', statement.job);
    case 'createFile':
    case 'dropFile':
    case 'showFile':
      return needs('FILE', 'SYSTEM');
    case 'adminShowConfig':
    case 'adminSetConfig':
    case 'kill':
      return needs('OPERATE', 'SYSTEM');
    case 'adminDropBackend':
      return needs('NODE', 'SYSTEM');
    case 'select':
    case 'explain':
    case 'use':
    case 'set':
    case 'transaction':
    case 'describe':
    case 'showDatabases':
    case 'showCreateDatabase':
    case 'showTables':
    case 'showTableStatus':
    case 'showColumns':
    case 'showCreateTable':
    case 'showRoutineLoad':
    case 'showRoutineLoadTask':
    case 'showBackends':
    case 'showFrontends':
    case 'showVariables':
    case 'showProcesslist':
    case 'showWarnings':
    case 'showStatus':
    case 'showEngines':
    case 'showCollation':
    case 'showCharset':
    case 'showPlugins':
    case 'showTablets':
    case 'showIndex':
    case 'showGrants':
      return [];
    default:
      return unreachable(statement);
  }
}

/** Throws 5203 and names what is missing. */
export function checkPrivileges(principal: Principal, statement: Statement): void {
  if (principal.user === 'root') return;
  const [missing] = requiredPrivileges(statement);
  if (missing === undefined) return;
  const { object } = missing;
  const named =
    object === undefined ? '' : ` ${[object.db, object.name].filter(Boolean).join('.')}`;
  throw new LoadError(
    'ACCESS_DENIED',
    `Access denied; you need (at least one of) the ${missing.name} privilege(s) on ${missing.on}${named} for this operation. ` +
      'Please ask the admin to grant permission(s) or try activating existing roles using <set [default] role>. ' +
      'Current role(s): NONE. Inactivated role(s): NONE.',
    { errno: 5203, sqlState: '42000' },
  );
}
