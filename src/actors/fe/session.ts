/** One MySQL session: its variables, its database, and which statement runs what. */
import { LoadError } from '../../base/errors.ts';
import { randomUuid } from '../../base/random.ts';
import { type SqlType, VARCHAR } from '../../base/sql-type.ts';
import type { EvalContext, ResultColumn } from '../../engine/engine.types.ts';
import { createBuilder } from '../../formats/column-builder.ts';
import type {
  ConnectionInfo,
  PreparedValue,
  Session,
  SessionHost,
  StatementResult,
} from '../../protocol/mysql/mysql.types.ts';
import type { Expr } from '../../sql/ast/expr.ts';
import type { Select } from '../../sql/ast/select.ts';
import type { ShowFilter, Statement } from '../../sql/ast/statement.ts';
import { applyShowFilter, type EvalScope, evalExpr, type Row, type Value } from '../../sql/eval.ts';
import { countParameters, parseStatements } from '../../sql/parser.ts';
import { resolveSelect } from '../../sql/resolve.ts';
import {
  alterRoutineLoad,
  changeJob,
  createRoutineLoad,
} from '../../sql/statements/routine-load.ts';
import {
  JOB_COLUMNS,
  jobRow,
  TASK_COLUMNS,
  taskRow,
  timeText,
} from '../../sql/statements/show-routine-load.ts';
import { createTableText, describeRows, planTable } from '../../sql/statements/tables.ts';
import { CONFIG_ITEMS, checkConfig } from './config-items.ts';
import type { FeKernel, QueryTableRequest } from './fe.types.ts';
import type { JobFact, TableFact } from './fe-facts.ts';
import { systemTable } from './system-tables.ts';

const OK: StatementResult = { kind: 'ok', affectedRows: 0, warnings: 0 };
const TEXT: SqlType = { name: 'VARCHAR', length: 1_048_576 };
const QUERY_TIMEOUT_MS = 14_400_000;
const DEFAULT_ZONE = 'Asia/Shanghai';

const VARIABLES: Readonly<Record<string, string>> = {
  auto_increment_increment: '1',
  autocommit: 'ON',
  character_set_client: 'utf8mb4',
  character_set_connection: 'utf8mb4',
  character_set_results: 'utf8mb4',
  character_set_server: 'utf8mb4',
  character_set_database: 'utf8mb4',
  collation_connection: 'utf8mb4_general_ci',
  collation_database: 'utf8mb4_general_ci',
  collation_server: 'utf8mb4_general_ci',
  enable_insert_strict: 'true',
  init_connect: '',
  insert_timeout: '14400',
  interactive_timeout: '3600',
  license: 'Apache License 2.0',
  lower_case_table_names: '0',
  max_allowed_packet: '67108864',
  net_buffer_length: '16384',
  net_read_timeout: '60',
  net_write_timeout: '60',
  performance_schema: '0',
  query_cache_size: '0',
  query_cache_type: '0',
  query_timeout: '300',
  session_track_schema: '1',
  sql_auto_is_null: 'OFF',
  sql_mode: 'ONLY_FULL_GROUP_BY',
  sql_safe_updates: 'OFF',
  sql_select_limit: '18446744073709551615',
  system_time_zone: DEFAULT_ZONE,
  time_zone: DEFAULT_ZONE,
  transaction_isolation: 'REPEATABLE-READ',
  transaction_read_only: 'OFF',
  tx_isolation: 'REPEATABLE-READ',
  tx_read_only: 'OFF',
  tx_visible_wait_timeout: '10',
  wait_timeout: '28800',
};

function rows(names: readonly string[], values: readonly Row[]): StatementResult {
  const columns = names.map((name): ResultColumn => ({ name, type: TEXT, nullable: true }));
  return { kind: 'rows', columns, rows: values };
}

export function createSessionHost(kernel: FeKernel, options: { version: string }): SessionHost {
  return {
    serverVersion: options.version,
    authenticate: (user) => (user === 'root' ? { passwordHash: null } : undefined),
    async open(info, db) {
      const session = new FeSession(kernel, info, options.version);
      if (db !== undefined && db !== '') await session.useDb(db);
      return session;
    },
  };
}

class FeSession implements Session {
  readonly #kernel: FeKernel;
  readonly #info: ConnectionInfo;
  readonly #version: string;
  #variables = new Map<string, string>();
  #userVariables = new Map<string, Value>();
  #db: string | undefined;

  constructor(kernel: FeKernel, info: ConnectionInfo, version: string) {
    this.#kernel = kernel;
    this.#info = info;
    this.#version = version;
  }

  async *execute(sql: string, signal: AbortSignal): AsyncIterable<StatementResult> {
    for (const statement of parseStatements(sql)) yield await this.#run(statement, signal);
  }

  async prepare(sql: string) {
    return { parameters: countParameters(sql), columns: [] };
  }

  async executePrepared(sql: string, values: readonly PreparedValue[], signal: AbortSignal) {
    const [statement] = parseStatements(sql, { params: values });
    if (statement === undefined) return OK;
    return this.#run(statement, signal);
  }

  async useDb(db: string): Promise<void> {
    this.#dbId(db);
    this.#db = db;
  }

  async fields(table: string): Promise<readonly ResultColumn[]> {
    const { fact } = this.#table({ name: table });
    return fact.schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  }

  reset(): void {
    this.#variables.clear();
    this.#userVariables.clear();
  }

  close(): void {}

  get #timezone(): string {
    return this.#variable('time_zone') ?? DEFAULT_ZONE;
  }

  #variable(name: string): string | undefined {
    if (name === 'version') return this.#version;
    if (name === 'version_comment') return `millrace, StarRocks version 3.3.0`;
    return this.#variables.get(name) ?? VARIABLES[name];
  }

  /** The one place where a database's name becomes its id. */
  #dbId(name: string | undefined): number {
    const wanted = name ?? this.#db;
    if (wanted === undefined) {
      throw new LoadError('NO_DATABASE', 'No database selected', {
        errno: 1046,
        sqlState: '3D000',
      });
    }
    const found = [...this.#kernel.head.dbs.values()].find((db) => db.name === wanted);
    if (found !== undefined) return found.dbId;
    if (wanted === 'information_schema') return 0;
    throw new LoadError('DATABASE_UNKNOWN', `Unknown database '${wanted}'`, {
      errno: 1049,
      sqlState: '42000',
    });
  }

  #table(name: { db?: string; name: string }): { db: string; fact: TableFact } {
    const dbId = this.#dbId(name.db);
    const fact = [...this.#kernel.head.tables.values()].find(
      (table) => table.dbId === dbId && table.name === name.name,
    );
    const db = name.db ?? this.#db ?? '';
    if (fact !== undefined) return { db, fact };
    throw new LoadError('TABLE_UNKNOWN', `Unknown table '${db}.${name.name}'`, {
      errno: 5502,
      sqlState: '42602',
    });
  }

  #context(): EvalContext {
    const { clock, random } = this.#kernel;
    return {
      timezone: this.#timezone,
      nowMs: clock.now(),
      seed: randomUuid(random),
      currentUser: `'${this.#info.user}'@'%'`,
      connectionId: this.#info.connectionId,
      ...(this.#db === undefined ? {} : { currentDb: this.#db }),
    };
  }

  #scope(): EvalScope {
    return {
      variable: (scope, name) =>
        scope === 'user' ? (this.#userVariables.get(name) ?? null) : this.#variable(name),
      call: (name) => {
        switch (name) {
          case 'database':
          case 'schema':
            return this.#db ?? null;
          case 'user':
          case 'current_user':
          case 'session_user':
          case 'system_user':
            return `'${this.#info.user}'@'%'`;
          case 'version':
            return this.#version;
          case 'connection_id':
            return this.#info.connectionId;
          default:
            return undefined;
        }
      },
    };
  }

  async #run(statement: Statement, signal: AbortSignal): Promise<StatementResult> {
    const kernel = this.#kernel;
    const { user } = this.#info;
    const atMs = kernel.clock.now();
    switch (statement.kind) {
      case 'select':
        return this.#select(statement.select, signal);
      case 'use':
        await this.useDb(statement.db);
        return OK;
      case 'set':
        for (const item of statement.items) {
          if (item.kind === 'names') this.#variables.set('character_set_client', item.charset);
          else this.#set(item);
        }
        return OK;
      case 'transaction':
        return OK;
      case 'createDatabase': {
        const known = [...kernel.head.dbs.values()].some((db) => db.name === statement.name);
        if (known && statement.ifNotExists) return OK;
        if (known || statement.name === 'information_schema') {
          throw new LoadError(
            'DATABASE_EXISTS',
            `Can't create database '${statement.name}'; database exists`,
            { errno: 1007 },
          );
        }
        await kernel.append({
          type: 'db.created',
          dbId: kernel.nextId(),
          name: statement.name,
          atMs,
        });
        return OK;
      }
      case 'dropDatabase': {
        const found = [...kernel.head.dbs.values()].find((db) => db.name === statement.name);
        if (found === undefined && statement.ifExists) return OK;
        if (found === undefined) {
          throw new LoadError(
            'DATABASE_UNKNOWN',
            `Can't drop database '${statement.name}'; database doesn't exist`,
            { errno: 1008 },
          );
        }
        await kernel.append({ type: 'db.dropped', dbId: found.dbId, atMs });
        return OK;
      }
      case 'createTable': {
        const dbId = this.#dbId(statement.table.db);
        const known = [...kernel.head.tables.values()].some(
          (table) => table.dbId === dbId && table.name === statement.table.name,
        );
        if (known && statement.ifNotExists) return OK;
        if (known)
          throw new LoadError('TABLE_EXISTS', `Table '${statement.table.name}' already exists`, {
            errno: 1050,
            sqlState: '42S01',
          });
        await kernel.append({
          type: 'table.created',
          table: planTable(kernel, statement, dbId),
          atMs,
        });
        return OK;
      }
      case 'dropTable': {
        const dbId = this.#dbId(statement.table.db);
        const known = [...kernel.head.tables.values()].find(
          (table) => table.dbId === dbId && table.name === statement.table.name,
        );
        if (known === undefined && statement.ifExists) return OK;
        const { fact } = this.#table(statement.table);
        await kernel.append({ type: 'table.dropped', tableId: fact.tableId, atMs });
        return OK;
      }
      case 'truncateTable': {
        const { fact } = this.#table(statement.table);
        const first = kernel.nextId(fact.buckets);
        const tablets = fact.tablets.map((tablet, i) => ({ ...tablet, tabletId: first + i }));
        await kernel.append({ type: 'table.truncated', tableId: fact.tableId, tablets, atMs });
        return OK;
      }
      case 'describe':
        return rows(
          ['Field', 'Type', 'Null', 'Key', 'Default', 'Extra'],
          describeRows(this.#table(statement.table).fact),
        );
      case 'showColumns':
        return this.#filtered(
          ['Field', 'Type', 'Null', 'Key', 'Default', 'Extra'],
          describeRows(this.#table(statement.table).fact),
          statement.filter,
        );
      case 'showCreateTable': {
        const { fact } = this.#table(statement.table);
        return rows(['Table', 'Create Table'], [[fact.name, createTableText(fact)]]);
      }
      case 'insert':
        return this.#insert(statement, signal);
      case 'createRoutineLoad':
        await createRoutineLoad(
          kernel,
          statement,
          this.#dbId(statement.job.db),
          user,
          this.#timezone,
        );
        return OK;
      case 'alterRoutineLoad':
        await alterRoutineLoad(kernel, statement, this.#dbId(statement.job.db), user);
        return OK;
      case 'pauseRoutineLoad':
        await changeJob(kernel, this.#dbId(statement.job.db), statement.job.name, 'PAUSED', user);
        return OK;
      case 'resumeRoutineLoad':
        await changeJob(
          kernel,
          this.#dbId(statement.job.db),
          statement.job.name,
          'NEED_SCHEDULE',
          user,
        );
        return OK;
      case 'stopRoutineLoad':
        await changeJob(kernel, this.#dbId(statement.job.db), statement.job.name, 'STOPPED', user);
        return OK;
      case 'adminSetConfig':
        for (const { key, value } of statement.properties) checkConfig(key, value);
        await kernel.append(
          ...statement.properties.map(({ key, value }) => ({
            type: 'config.set' as const,
            name: key,
            value,
            atMs,
          })),
        );
        return OK;
      default:
        return this.#show(statement);
    }
  }

  #filtered(
    names: readonly string[],
    values: readonly Row[],
    filter: ShowFilter,
    numeric?: readonly string[],
  ): StatementResult {
    return rows(
      names,
      applyShowFilter(values, names, filter, numeric === undefined ? {} : { numeric }),
    );
  }

  #show(statement: Statement): StatementResult {
    const kernel = this.#kernel;
    const { durable } = kernel;
    switch (statement.kind) {
      case 'showDatabases': {
        const names = [...durable.dbs.values()].map(({ name }) => name);
        return this.#filtered(
          ['Database'],
          ['information_schema', ...names].sort().map((name) => [name]),
          statement.filter,
        );
      }
      case 'showTables': {
        const dbId = this.#dbId(statement.db);
        const db = statement.db ?? this.#db ?? '';
        const found = [...durable.tables.values()]
          .filter((table) => table.dbId === dbId)
          .map(({ name }) => name)
          .sort();
        if (statement.full) {
          return this.#filtered(
            [`Tables_in_${db}`, 'Table_type'],
            found.map((name) => [name, 'BASE TABLE']),
            statement.filter,
          );
        }
        return this.#filtered(
          [`Tables_in_${db}`],
          found.map((name) => [name]),
          statement.filter,
        );
      }
      case 'showRoutineLoad': {
        const dbId = this.#dbId(statement.job?.db ?? statement.db);
        const jobs = this.#jobs(dbId, statement.all, statement.job?.name);
        return this.#filtered(
          JOB_COLUMNS,
          jobs.map((job) => jobRow(kernel, job, this.#timezone)),
          statement.filter,
          ['Id', 'CurrentTaskNum'],
        );
      }
      case 'showRoutineLoadTask': {
        const job = this.#taskJob(statement.where, this.#dbId(statement.db));
        return rows(
          TASK_COLUMNS,
          kernel.tasks(job.jobId).map((task) => taskRow(kernel, job, task, this.#timezone)),
        );
      }
      case 'adminShowConfig':
        return this.#filtered(
          ['Key', 'AliasNames', 'Value', 'Type', 'IsMutable', 'Comment'],
          CONFIG_ITEMS.map(({ name, comment }) => [
            name,
            '[]',
            kernel.config(name),
            'long',
            'true',
            comment,
          ]),
          statement.filter,
        );
      case 'showBackends':
        return rows(
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
              be.lastBeatMs === null ? null : timeText(be.lastBeatMs, this.#timezone),
              timeText(be.registeredMs, this.#timezone),
            ]),
        );
      case 'showFrontends':
        return rows(
          ['Name', 'ClusterId', 'Epoch', 'Alive'],
          [['fe', durable.clusterId, String(durable.epoch), 'true']],
        );
      case 'showVariables': {
        const names = [
          ...new Set([
            ...Object.keys(VARIABLES),
            ...this.#variables.keys(),
            'version',
            'version_comment',
          ]),
        ].sort();
        return this.#filtered(
          ['Variable_name', 'Value'],
          names.map((name) => [name, this.#variable(name) ?? '']),
          statement.filter,
        );
      }
      case 'showWarnings':
        return rows(['Level', 'Code', 'Message'], []);
      case 'showStatus':
        return rows(['Variable_name', 'Value'], []);
      case 'showProcesslist':
        return rows(
          ['Id', 'User', 'Db', 'Command'],
          [[String(this.#info.connectionId), this.#info.user, this.#db ?? null, 'Query']],
        );
      case 'showEngines':
        return rows(['Engine', 'Support', 'Comment'], [['OLAP', 'YES', 'Default storage engine']]);
      case 'showCollation':
        return this.#filtered(
          ['Collation', 'Charset', 'Id', 'Default', 'Compiled', 'Sortlen'],
          [['utf8mb4_general_ci', 'utf8mb4', '45', 'Yes', 'Yes', '1']],
          statement.filter,
        );
      case 'showCharset':
        return this.#filtered(
          ['Charset', 'Description', 'Default collation', 'Maxlen'],
          [['utf8mb4', 'UTF-8 Unicode', 'utf8mb4_general_ci', '4']],
          statement.filter,
        );
      case 'showTablets': {
        const { fact } = this.#table(statement.table);
        return rows(
          ['TabletId', 'Bucket', 'BackendId', 'Version', 'Damaged'],
          fact.tablets.map((tablet) => {
            const state = durable.tablets.get(tablet.tabletId);
            return [
              String(tablet.tabletId),
              String(tablet.bucket),
              tablet.beId,
              String(state?.visible ?? 1),
              state?.damaged ?? '',
            ];
          }),
        );
      }
      default:
        throw new LoadError('UNSUPPORTED', `the statement ${statement.kind} is not supported yet`, {
          errno: 1235,
          sqlState: '42000',
        });
    }
  }

  /** documents.md Q6. */
  #jobs(dbId: number, all: boolean, name: string | undefined): JobFact[] {
    const { durable } = this.#kernel;
    const found = [...durable.jobs.values()].filter(
      (job) => job.dbId === dbId && (name === undefined || job.name === name),
    );
    if (name === undefined) {
      return found.filter(({ state }) => all || (state !== 'STOPPED' && state !== 'CANCELLED'));
    }
    const shown = all ? found : found.filter(({ state }) => state !== 'STOPPED');
    if (shown.length > 0) return shown;
    const db = durable.dbs.get(dbId)?.name;
    throw new LoadError(
      'JOB_UNKNOWN',
      `There is no running job named ${name} in db ${db}. Include history? ${all}`,
      {
        hint: 'SHOW ALL ROUTINE LOAD lists stopped ones too',
      },
    );
  }

  #taskJob(where: Expr, dbId: number): JobFact {
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
    const [job] = this.#jobs(dbId, false, named);
    if (job === undefined)
      throw new LoadError('JOB_UNKNOWN', `There is no running job named ${named}`);
    return job;
  }

  #set(item: { scope: string; name: string; value: Expr | undefined }): void {
    if (item.scope === 'user') {
      this.#userVariables.set(
        item.name,
        item.value === undefined ? null : evalExpr(item.value, this.#scope()),
      );
      return;
    }
    if (VARIABLES[item.name] === undefined && item.name !== 'net_write_timeout') {
      throw new LoadError('UNKNOWN_VARIABLE', `Unknown system variable '${item.name}'`, {
        errno: 1193,
      });
    }
    if (item.value === undefined) this.#variables.delete(item.name);
    else this.#variables.set(item.name, String(evalExpr(item.value, this.#scope()) ?? ''));
  }

  async #select(select: Select, signal: AbortSignal): Promise<StatementResult> {
    const here = this.#selectHere(select);
    if (here !== undefined) return here;
    const { resolved, tables } = this.#resolve(select);
    const result = await this.#kernel.query(resolved, tables, this.#context(), signal);
    return { kind: 'batches', ...result };
  }

  /** Literals, variables and the session's functions need no BE. */
  #selectHere(select: Select): StatementResult | undefined {
    const { body } = select;
    if (body.kind !== 'select' || body.from !== undefined || select.with.length > 0)
      return undefined;
    if (body.where !== undefined || body.groupBy.length > 0) return undefined;
    try {
      const values = body.items.map(({ expr }) => evalExpr(expr, this.#scope()));
      const columns = body.items.map(
        ({ alias, text }, i): ResultColumn => ({
          name: alias ?? text,
          type: typeof values[i] === 'number' ? { name: 'BIGINT' } : TEXT,
          nullable: true,
        }),
      );
      return { kind: 'rows', columns, rows: [values.map(valueText)] };
    } catch (error) {
      if (error instanceof LoadError && error.code === 'EVAL_UNSUPPORTED') return undefined;
      throw error;
    }
  }

  #resolve(select: Select): { resolved: Select; tables: QueryTableRequest[] } {
    const found = new Map<string, QueryTableRequest>();
    const lookup = (db: string | undefined, name: string) => {
      const wanted = db ?? this.#db;
      if (wanted === undefined) this.#dbId(undefined);
      const owner = wanted ?? '';
      if (owner.toLowerCase() === 'information_schema') {
        const system = systemTable(this.#kernel, name, this.#timezone);
        if (system === undefined) return undefined;
        found.set(`${system.db}.${system.name}`, system);
        return { db: system.db, name: system.name, columns: system.columns };
      }
      const { fact } = this.#table({ db: owner, name });
      found.set(`${owner}.${name}`, { kind: 'stored', db: owner, name, table: fact });
      return { db: owner, name, columns: fact.schema.columns };
    };
    const resolved = resolveSelect(select, lookup, this.#db);
    return { resolved, tables: [...found.values()] };
  }

  async #insert(
    statement: Extract<Statement, { kind: 'insert' }>,
    signal: AbortSignal,
  ): Promise<StatementResult> {
    const { fact } = this.#table(statement.table);
    const all = fact.schema.columns.map(({ name }) => name);
    const names = statement.columns ?? all;
    for (const name of names) {
      if (all.some((one) => one.toLowerCase() === name.toLowerCase())) continue;
      throw new LoadError('COLUMN_UNKNOWN', `Unknown column '${name}' in '${fact.name}'`, {
        errno: 1054,
        sqlState: '42S22',
      });
    }
    const strict = (this.#variable('enable_insert_strict') ?? 'true').toLowerCase() !== 'false';
    const base = {
      dbId: fact.dbId,
      tableId: fact.tableId,
      label: statement.label ?? null,
      user: this.#info.user,
      strict,
      context: this.#context(),
      timeoutMs: QUERY_TIMEOUT_MS,
    };
    const result = await this.#kernel.insert(
      { ...base, rows: this.#insertRows(statement, fact, names) },
      signal,
    );
    return {
      kind: 'ok',
      affectedRows: result.loaded,
      warnings: result.filtered,
      info: `{'label':'${result.label}', 'status':'${result.status}', 'txnId':'${result.txnId}'}`,
    };
  }

  #insertRows(
    statement: Extract<Statement, { kind: 'insert' }>,
    fact: TableFact,
    names: readonly string[],
  ) {
    const { source } = statement;
    if (source.kind === 'select') {
      const { resolved, tables } = this.#resolve(source.select);
      return { kind: 'select' as const, names, select: resolved, tables };
    }
    const builders = names.map(() => createBuilder(VARCHAR, source.rows.length));
    for (const row of source.rows) {
      if (row.length !== names.length) {
        throw new LoadError('COLUMN_COUNT', "Column count doesn't match value count", {
          errno: 1058,
          sqlState: '21S01',
        });
      }
      row.forEach((one, i) => {
        const text =
          one.kind === 'default'
            ? this.#default(fact, names[i] ?? '')
            : valueText(evalExpr(one, this.#scope()));
        if (text === null) builders[i]?.appendNull();
        else builders[i]?.appendText(text);
      });
    }
    const batch = {
      rows: source.rows.length,
      columns: builders.map((builder) => builder.finish()),
    };
    return { kind: 'batch' as const, names, batch };
  }

  #default(fact: TableFact, name: string): string | null {
    const column = fact.schema.columns.find((one) => one.name.toLowerCase() === name.toLowerCase());
    if (column?.default?.kind === 'literal') return column.default.text;
    if (column?.default?.kind === 'current_timestamp')
      return timeText(this.#kernel.clock.now(), this.#timezone);
    return null;
  }
}

function valueText(value: Value): string | null {
  if (value === null) return null;
  if (typeof value === 'boolean') return value ? '1' : '0';
  return String(value);
}
