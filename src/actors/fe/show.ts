/** SHOW, DESCRIBE and EXPLAIN: rows from the durable fold (PROTOCOL.md D2), never from what is only queued. */
import { LoadError } from '../../base/errors.ts';
import type { ConnectionView } from '../../protocol/mysql/connection.types.ts';
import type { TextResult } from '../../protocol/mysql/mysql.types.ts';
import type { Expr } from '../../sql/ast/expr.ts';
import type { Statement } from '../../sql/ast/statement.ts';
import { quoteIdent } from '../../sql/printer.ts';
import { FILE_COLUMNS, fileRows } from '../../sql/statements/files.ts';
import { filteredRows, textRows } from '../../sql/statements/results.ts';
import { createJobText } from '../../sql/statements/show-create-job.ts';
import {
  JOB_COLUMNS,
  jobRow,
  TASK_COLUMNS,
  taskRow,
  timeText,
} from '../../sql/statements/show-routine-load.ts';
import { createTableText, describeRows } from '../../sql/statements/tables.ts';
import { dbIdOf, dbNameOf, SYSTEM_DB, tableOf } from './catalog.ts';
import { CONFIG_ITEMS } from './config-items.ts';
import type { FeKernel } from './fe.types.ts';
import type { JobFact } from './fe-facts.ts';
import { SYSTEM_TABLES } from './system-tables.ts';

/** The session, as far as SHOW depends on it. */
export interface ShowSession {
  readonly kernel: FeKernel;
  readonly db: string | undefined;
  readonly timezone: string;
  readonly user: string;
  readonly version: string;
  variable(name: string): string | undefined;
  variableNames(): readonly string[];
  processes(): readonly ConnectionView[];
}

const DESCRIBE_COLUMNS = ['Field', 'Type', 'Null', 'Key', 'Default', 'Extra'] as const;

export function runShow(session: ShowSession, statement: Statement): TextResult {
  const { kernel, timezone } = session;
  const { durable } = kernel;
  const dbId = (name: string | undefined) => dbIdOf(durable, name ?? session.db);
  const table = (name: { db?: string; name: string }) => tableOf(durable, name, session.db).fact;
  switch (statement.kind) {
    case 'describe':
      return textRows(DESCRIBE_COLUMNS, describeRows(table(statement.table)));
    case 'showColumns':
      return filteredRows(DESCRIBE_COLUMNS, describeRows(table(statement.table)), statement.filter);
    case 'showCreateTable': {
      const fact = table(statement.table);
      return textRows(['Table', 'Create Table'], [[fact.name, createTableText(fact)]]);
    }
    case 'showCreateDatabase': {
      dbId(statement.name);
      const text = `CREATE DATABASE ${quoteIdent(statement.name)}`;
      return textRows(['Database', 'Create Database'], [[statement.name, text]]);
    }
    case 'showDatabases': {
      const names = [SYSTEM_DB, ...[...durable.dbs.values()].map(({ name }) => name)].sort();
      return filteredRows(
        ['Database'],
        names.map((name) => [name]),
        statement.filter,
      );
    }
    case 'showTables':
      return showTables(session, statement);
    case 'showTableStatus':
      return filteredRows(
        ['Name', 'Engine', 'Rows', 'Create_time', 'Comment'],
        [...durable.tables.values()]
          .filter((one) => one.dbId === dbId(statement.db))
          .map((one) => [
            one.name,
            'StarRocks',
            String(one.rows),
            timeText(one.createdMs, timezone),
            one.comment,
          ]),
        statement.filter,
        ['Rows'],
      );
    case 'showRoutineLoad': {
      const jobs = shownJobs(
        kernel,
        dbId(statement.job?.db ?? statement.db),
        statement.all,
        statement.job?.name,
      );
      const values = jobs.map((job) => jobRow(kernel, job, timezone));
      return filteredRows(JOB_COLUMNS, values, statement.filter, ['Id', 'CurrentTaskNum']);
    }
    case 'showRoutineLoadTask': {
      const job = taskJob(kernel, statement.where, dbId(statement.db));
      const tasks = kernel.tasks(job.jobId);
      return textRows(
        TASK_COLUMNS,
        tasks.map((task) => taskRow(kernel, job, task, timezone)),
      );
    }
    case 'showCreateRoutineLoad': {
      const [job] = shownJobs(kernel, dbId(statement.job.db), true, statement.job.name).slice(-1);
      if (job === undefined) throw unknownJob(kernel, dbId(statement.job.db), statement.job.name);
      const target = durable.tables.get(job.tableId)?.name ?? String(job.tableId);
      const text = createJobText(job, dbNameOf(durable, job.dbId), target);
      return textRows(['Job', 'Create Job'], [[job.name, text]]);
    }
    case 'showFile':
      return textRows(FILE_COLUMNS, fileRows(kernel, dbId(statement.db)));
    case 'adminShowConfig':
      return filteredRows(
        ['Key', 'AliasNames', 'Value', 'Type', 'IsMutable', 'Comment'],
        CONFIG_ITEMS.map(({ name, alias, comment }) => [
          name,
          `[${alias ?? ''}]`,
          kernel.config(name),
          'long',
          'true',
          comment,
        ]),
        statement.filter,
      );
    case 'showTablets':
      return textRows(
        ['TabletId', 'Bucket', 'BackendId', 'Version', 'Damaged'],
        table(statement.table).tablets.map(({ tabletId, bucket, beId }) => {
          const state = durable.tablets.get(tabletId);
          const version = String(state?.visible ?? 1);
          return [String(tabletId), String(bucket), beId, version, state?.damaged ?? ''];
        }),
      );
    case 'showIndex':
      table(statement.table);
      return textRows(
        ['Table', 'Non_unique', 'Key_name', 'Seq_in_index', 'Column_name', 'Index_type', 'Comment'],
        [],
      );
    case 'showVariables': {
      const values = session.variableNames().map((name) => [name, session.variable(name) ?? '']);
      return filteredRows(['Variable_name', 'Value'], values, statement.filter);
    }
    case 'showProcesslist':
      return textRows(
        ['Id', 'User', 'Host', 'Db', 'Command', 'Time', 'State', 'Info'],
        session
          .processes()
          .map((one) => [
            String(one.id),
            one.user,
            one.remote,
            one.db ?? null,
            one.command,
            String(Math.max(0, Math.floor((kernel.clock.now() - one.sinceMs) / 1000))),
            'OK',
            shownInfo(one.info),
          ]),
      );
    case 'showGrants':
      return textRows(
        ['UserIdentity', 'Catalog', 'Grants'],
        [[`'${session.user}'@'%'`, null, `GRANT 'root' TO '${session.user}'@'%'`]],
      );
    default:
      return showServer(session, statement);
  }
}

/** A statement that may hold a secret is shown by its beginning alone. */
function shownInfo(info: string): string | null {
  if (info === '') return null;
  return /password|secret|content/i.test(info) ? `${info.slice(0, 30)}******` : info;
}

function showTables(
  session: ShowSession,
  statement: Extract<Statement, { kind: 'showTables' }>,
): TextResult {
  const { durable } = session.kernel;
  const db = statement.db ?? session.db;
  const dbId = dbIdOf(durable, db);
  const stored = [...durable.tables.values()]
    .filter((table) => table.dbId === dbId)
    .map(({ name }) => name);
  const isSystem = dbId === dbIdOf(durable, SYSTEM_DB);
  const names = [...(isSystem ? SYSTEM_TABLES : stored)].sort();
  const kind = isSystem ? 'SYSTEM VIEW' : 'BASE TABLE';
  const columns = [`Tables_in_${db}`, ...(statement.full ? ['Table_type'] : [])];
  return filteredRows(
    columns,
    names.map((name) => (statement.full ? [name, kind] : [name])),
    statement.filter,
  );
}

/** What is asked about the server itself, by people and by clients on connect. */
function showServer({ kernel, timezone }: ShowSession, statement: Statement): TextResult {
  switch (statement.kind) {
    case 'showBackends':
      return textRows(
        [
          'BackendId',
          'Name',
          'Incarnation',
          'Alive',
          'RunningTasks',
          'LastHeartbeat',
          'LastStartTime',
        ],
        kernel
          .backends()
          .map((be) => [
            be.beId,
            be.name,
            be.incarnation,
            String(be.alive),
            String(be.slotsUsed),
            be.lastBeatMs === null ? null : timeText(be.lastBeatMs, timezone),
            timeText(be.registeredMs, timezone),
          ]),
      );
    case 'showFrontends':
      return textRows(
        ['Name', 'ClusterId', 'Epoch', 'Alive'],
        [['fe', kernel.durable.clusterId, String(kernel.durable.epoch), 'true']],
      );
    case 'showWarnings':
      return textRows(['Level', 'Code', 'Message'], []);
    case 'showStatus':
      return textRows(['Variable_name', 'Value'], []);
    case 'showEngines':
      return textRows(
        ['Engine', 'Support', 'Comment'],
        [['OLAP', 'YES', 'Default storage engine']],
      );
    case 'showPlugins':
      return textRows(['Name', 'Type', 'Description', 'Version'], []);
    case 'showCollation':
      return filteredRows(
        ['Collation', 'Charset', 'Id', 'Default', 'Compiled', 'Sortlen'],
        [['utf8mb4_general_ci', 'utf8mb4', '45', 'Yes', 'Yes', '1']],
        statement.filter,
      );
    case 'showCharset':
      return filteredRows(
        ['Charset', 'Description', 'Default collation', 'Maxlen'],
        [['utf8mb4', 'UTF-8 Unicode', 'utf8mb4_general_ci', '4']],
        statement.filter,
      );
    default:
      throw new LoadError('UNSUPPORTED', `the statement ${statement.kind} is not supported yet`, {
        errno: 1235,
        sqlState: '42000',
      });
  }
}

function unknownJob(kernel: FeKernel, dbId: number, name: string): LoadError {
  const db = dbNameOf(kernel.durable, dbId);
  return new LoadError(
    'JOB_UNKNOWN',
    `There is no running job named ${name} in db ${db}. Include history? false`,
    { hint: 'SHOW ALL ROUTINE LOAD lists stopped ones too' },
  );
}

/** documents.md Q6. */
function shownJobs(
  kernel: FeKernel,
  dbId: number,
  all: boolean,
  name: string | undefined,
): JobFact[] {
  const found = [...kernel.durable.jobs.values()].filter(
    (job) => job.dbId === dbId && (name === undefined || job.name === name),
  );
  if (name === undefined) {
    return found.filter(({ state }) => all || (state !== 'STOPPED' && state !== 'CANCELLED'));
  }
  const shown = all ? found : found.filter(({ state }) => state !== 'STOPPED');
  if (shown.length > 0) return shown;
  throw unknownJob(kernel, dbId, name);
}

function taskJob(kernel: FeKernel, where: Expr, dbId: number): JobFact {
  const named =
    where.kind === 'binary' &&
    where.op === '=' &&
    where.left.kind === 'column' &&
    where.left.path.at(-1)?.toLowerCase() === 'jobname' &&
    where.right.kind === 'string'
      ? where.right.value
      : undefined;
  if (named === undefined) {
    throw new LoadError(
      'SHOW_TASK',
      'show routine load job only support one equal expr which is sames like JobName="ILoveStarRocks"',
    );
  }
  const [job] = shownJobs(kernel, dbId, false, named);
  if (job === undefined) throw unknownJob(kernel, dbId, named);
  return job;
}
