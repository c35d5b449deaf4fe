/** One MySQL session: its variables, its database, and which statement runs what. */
import { LoadError } from '../../base/errors.ts';
import { randomUuid } from '../../base/random.ts';
import { VARCHAR } from '../../base/sql-type.ts';
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
import type { Statement } from '../../sql/ast/statement.ts';
import { type EvalScope, evalExpr, type Value } from '../../sql/eval.ts';
import { countParameters, parseStatements } from '../../sql/parser.ts';
import { printSelect } from '../../sql/printer.ts';
import { resolveSelect, tablesOf } from '../../sql/resolve.ts';
import { dropBackend } from '../../sql/statements/backends.ts';
import { runDdl } from '../../sql/statements/ddl.ts';
import { createFile, dropFile } from '../../sql/statements/files.ts';
import { checkPrivileges } from '../../sql/statements/privileges.ts';
import { OK, TEXT, textRows } from '../../sql/statements/results.ts';
import {
  alterRoutineLoad,
  changeJob,
  createRoutineLoad,
} from '../../sql/statements/routine-load.ts';
import { timeText } from '../../sql/statements/show-routine-load.ts';
import { dbIdOf, SYSTEM_DB, tableOf } from './catalog.ts';
import { checkConfig } from './config-items.ts';
import type { FeKernel, QueryTableRequest } from './fe.types.ts';
import type { TableFact } from './fe-facts.ts';
import type { Processes } from './session.types.ts';
import { DEFAULT_ZONE, SessionVariables } from './session-variables.ts';
import { runShow } from './show.ts';
import { type SystemTable, systemTable } from './system-tables.ts';

export interface SessionHostOptions {
  readonly version: string;
  readonly processes: Processes;
}

export function createSessionHost(kernel: FeKernel, options: SessionHostOptions): SessionHost {
  return {
    serverVersion: options.version,
    authenticate: (user) => (user === 'root' ? { passwordHash: null } : undefined),
    async open(info, db) {
      const session = new FeSession(kernel, info, options);
      if (db !== undefined && db !== '') await session.useDb(db);
      return session;
    },
  };
}

class FeSession implements Session {
  readonly #kernel: FeKernel;
  readonly #info: ConnectionInfo;
  readonly #options: SessionHostOptions;
  readonly #variables: SessionVariables;
  #db: string | undefined;

  constructor(kernel: FeKernel, info: ConnectionInfo, options: SessionHostOptions) {
    this.#kernel = kernel;
    this.#info = info;
    this.#options = options;
    this.#variables = new SessionVariables(options.version);
  }

  get db(): string | undefined {
    return this.#db;
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
    dbIdOf(this.#kernel.head, db);
    this.#db = db;
  }

  async fields(table: string): Promise<readonly ResultColumn[]> {
    const { fact } = tableOf(this.#kernel.durable, { name: table }, this.#db);
    return fact.schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  }

  reset(): void {
    this.#variables.reset();
  }

  close(): void {}

  get #timezone(): string {
    return this.#variables.get('time_zone') ?? DEFAULT_ZONE;
  }

  #dbId(name: string | undefined): number {
    return dbIdOf(this.#kernel.head, name ?? this.#db);
  }

  #context(select: Select | undefined): EvalContext {
    const { clock, random } = this.#kernel;
    return {
      timezone: this.#timezone,
      nowMs: clock.now(),
      seed: randomUuid(random),
      currentUser: `'${this.#info.user}'@'%'`,
      connectionId: this.#info.connectionId,
      ...(this.#db === undefined ? {} : { currentDb: this.#db }),
      variables: select === undefined ? {} : this.#variables.namedIn(select),
    };
  }

  #scope(): EvalScope {
    return {
      variable: (scope, name) =>
        scope === 'user' ? this.#variables.user(name) : this.#variables.get(name),
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
            return this.#options.version;
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
    checkPrivileges({ user }, statement);
    switch (statement.kind) {
      case 'select':
        return this.#select(statement.select, signal);
      case 'explain':
        return this.#explain(statement.select, signal);
      case 'use':
        await this.useDb(statement.db);
        return OK;
      case 'set':
        for (const item of statement.items) {
          if (item.kind === 'names') this.#variables.set('character_set_client', item.charset);
          else this.#set(item);
        }
        return OK;
      case 'kill':
        this.#kill(statement.connectionId, statement.queryOnly);
        return OK;
      case 'transaction':
        return OK;
      case 'createDatabase':
      case 'dropDatabase':
      case 'createTable':
      case 'dropTable':
      case 'truncateTable':
        await runDdl(kernel, statement, this.#db);
        return OK;
      case 'insert':
        return this.#insert(statement, signal);
      case 'createRoutineLoad': {
        const dbId = this.#dbId(statement.job.db);
        await createRoutineLoad(kernel, statement, dbId, user, this.#timezone);
        return OK;
      }
      case 'alterRoutineLoad':
        await alterRoutineLoad(kernel, statement, this.#dbId(statement.job.db), user);
        return OK;
      case 'pauseRoutineLoad':
      case 'resumeRoutineLoad':
      case 'stopRoutineLoad': {
        const to = {
          pauseRoutineLoad: 'PAUSED',
          resumeRoutineLoad: 'NEED_SCHEDULE',
          stopRoutineLoad: 'STOPPED',
        } as const;
        const { db, name } = statement.job;
        await changeJob(kernel, this.#dbId(db), name, to[statement.kind], user);
        return OK;
      }
      case 'createFile':
        await createFile(kernel, statement, this.#dbId(statement.db), signal);
        return OK;
      case 'dropFile':
        await dropFile(kernel, statement, this.#dbId(statement.db));
        return OK;
      case 'adminDropBackend':
        await dropBackend(kernel, statement.backend);
        return OK;
      case 'adminSetConfig': {
        const atMs = kernel.clock.now();
        const entries = statement.properties.map(({ key, value }) => ({
          type: 'config.set' as const,
          name: checkConfig(key, value),
          value,
          atMs,
        }));
        await kernel.append(...entries);
        return OK;
      }
      default:
        return this.#show(statement);
    }
  }

  #show(statement: Statement): StatementResult {
    const session = {
      kernel: this.#kernel,
      db: this.#db,
      timezone: this.#timezone,
      user: this.#info.user,
      version: this.#options.version,
      variable: (name: string) => this.#variables.get(name),
      variableNames: () => this.#variables.names(),
      processes: () => this.#options.processes.list(),
    };
    return runShow(session, statement);
  }

  #kill(id: number, queryOnly: boolean): void {
    if (this.#options.processes.kill(id, queryOnly)) return;
    throw new LoadError('UNKNOWN_THREAD', `Unknown thread id: ${id}`, { errno: 1094 });
  }

  #set({ scope, name, value: expr }: { scope: string; name: string; value: Expr | undefined }) {
    const value = expr === undefined ? undefined : evalExpr(expr, this.#scope());
    if (scope === 'user') this.#variables.setUser(name, value ?? null);
    else this.#variables.set(name, value === undefined ? undefined : String(value ?? ''));
  }

  async #select(select: Select, signal: AbortSignal): Promise<StatementResult> {
    const here = this.#selectHere(select);
    if (here !== undefined) return here;
    const { resolved, tables } = await this.#resolve(select);
    const result = await this.#kernel.query(resolved, tables, this.#context(resolved), signal);
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

  /** What the engine is asked, and what each table holds at this moment. */
  async #explain(select: Select, _signal: AbortSignal): Promise<StatementResult> {
    const { resolved, tables } = await this.#resolve(select);
    const lines = tables.map((table) => {
      const name = `${table.db}.${table.name}`;
      if (table.kind === 'rows') return `TABLE ${name}: ${table.batch.rows} rows made by the FE`;
      const { schema, rows, tablets } = table.table;
      return `TABLE ${name}: ${schema.model} KEY, ${rows} rows loaded, ${tablets.length} tablets`;
    });
    return textRows(
      ['Explain String'],
      [printSelect(resolved), ...lines].map((line) => [line]),
    );
  }

  async #resolve(select: Select): Promise<{ resolved: Select; tables: QueryTableRequest[] }> {
    const system = new Map<string, SystemTable>();
    for (const { db, name } of tablesOf(select)) {
      const key = name.toLowerCase();
      if ((db ?? this.#db)?.toLowerCase() !== SYSTEM_DB || system.has(key)) continue;
      const made = await systemTable(this.#kernel, key, this.#timezone, select);
      if (made !== undefined) system.set(key, made);
    }
    const found = new Map<string, QueryTableRequest>();
    const lookup = (db: string | undefined, name: string) => {
      const owner = db ?? this.#db;
      if (owner?.toLowerCase() === SYSTEM_DB) {
        const table = system.get(name.toLowerCase());
        if (table === undefined) return undefined;
        found.set(`${table.db}.${table.name}`, table);
        return { db: table.db, name: table.name, columns: table.columns };
      }
      const { db: known, fact } = tableOf(
        this.#kernel.head,
        owner === undefined ? { name } : { db: owner, name },
        undefined,
      );
      found.set(`${known}.${name}`, { kind: 'stored', db: known, name, table: fact });
      return { db: known, name, columns: fact.schema.columns };
    };
    const resolved = resolveSelect(select, lookup, this.#db);
    return { resolved, tables: [...found.values()] };
  }

  async #insert(
    statement: Extract<Statement, { kind: 'insert' }>,
    signal: AbortSignal,
  ): Promise<StatementResult> {
    const { fact } = tableOf(this.#kernel.head, statement.table, this.#db);
    const all = fact.schema.columns.map(({ name }) => name);
    const names = statement.columns ?? all;
    for (const name of names) {
      if (all.some((one) => one.toLowerCase() === name.toLowerCase())) continue;
      throw new LoadError('COLUMN_UNKNOWN', `Unknown column '${name}' in '${fact.name}'`, {
        errno: 1054,
        sqlState: '42S22',
      });
    }
    const strict = !/^(?:false|off|0)$/i.test(
      this.#variables.get('enable_insert_strict') ?? 'true',
    );
    const base = {
      dbId: fact.dbId,
      tableId: fact.tableId,
      label: statement.label ?? null,
      user: this.#info.user,
      strict,
      timeoutMs: this.#insertTimeoutMs(),
    };
    const rows = await this.#insertRows(statement, fact, names);
    const context = this.#context(rows.kind === 'select' ? rows.select : undefined);
    const result = await this.#kernel.insert({ ...base, context, rows }, signal);
    return {
      kind: 'ok',
      affectedRows: result.loaded,
      warnings: result.filtered,
      info: `{'label':'${result.label}', 'status':'${result.status}', 'txnId':'${result.txnId}'}`,
    };
  }

  /** documents.md Q17. */
  #insertTimeoutMs(): number {
    const seconds = Number(this.#variables.get('insert_timeout'));
    return (Number.isFinite(seconds) && seconds > 0 ? seconds : 14_400) * 1000;
  }

  async #insertRows(
    statement: Extract<Statement, { kind: 'insert' }>,
    fact: TableFact,
    names: readonly string[],
  ) {
    const { source } = statement;
    if (source.kind === 'select') {
      const { resolved, tables } = await this.#resolve(source.select);
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
