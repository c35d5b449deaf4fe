/** The commands of a connection that has logged in, all but COM_QUIT and COM_CHANGE_USER. */
import { LoadError } from '../../base/errors.ts';
import type { ConnectionHost } from './connection.types.ts';
import type { Session, StatementResult } from './mysql.types.ts';
import type { PacketStream } from './packet-stream.ts';
import { CLIENT, COM, STATUS } from './packets/capabilities.ts';
import { writeColumnDefinition } from './packets/column-definition.ts';
import { writeEof, writeRowsEnd } from './packets/eof.ts';
import { writeOk } from './packets/ok.ts';
import { PacketReader } from './packets/packet-reader.ts';
import { readStmtExecute } from './packets/stmt-execute.ts';
import { writeStmtPrepareOk } from './packets/stmt-prepare-ok.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { sendResult } from './result-writer.ts';
import { splitStatements } from './statement-split.ts';

export interface CommandContext {
  readonly host: ConnectionHost;
  readonly stream: PacketStream;
  readonly session: Session;
  readonly capabilities: number;
  readonly textCharset: number;
  user(): string;
}

type Note = (command: string, info: string) => void;

export class Commands {
  readonly #context: CommandContext;
  readonly #prepared = new PreparedStatements();
  #isMulti: boolean;

  constructor(context: CommandContext) {
    this.#context = context;
    this.#isMulti = (context.capabilities & CLIENT.MULTI_STATEMENTS) !== 0;
  }

  /** COM_CHANGE_USER and COM_RESET_CONNECTION forget what was prepared. */
  reset(): void {
    this.#prepared.clear();
    this.#isMulti = (this.#context.capabilities & CLIENT.MULTI_STATEMENTS) !== 0;
  }

  async run(payload: Buffer, signal: AbortSignal, note: Note): Promise<void> {
    const { session, stream, host, capabilities, textCharset } = this.#context;
    const reader = new PacketReader(payload);
    if (reader.left === 0) throw unknownCommand();
    switch (reader.u8()) {
      case COM.QUERY:
        return this.#query(reader.restText(), signal, note);
      case COM.PING:
        return this.#ok();
      case COM.INIT_DB: {
        const db = reader.restText();
        note('Init DB', db);
        await session.useDb(db);
        return this.#ok();
      }
      case COM.FIELD_LIST: {
        const table = reader.nulText();
        note('Field List', table);
        for (const column of await session.fields(table)) {
          writeColumnDefinition(stream.writer, column, textCharset, { table });
        }
        return writeRowsEnd(stream.writer, capabilities, STATUS.AUTOCOMMIT);
      }
      case COM.STATISTICS:
        stream.writer.begin();
        stream.writer.text(host.statistics());
        return stream.writer.end();
      case COM.PROCESS_KILL:
        return this.#kill(reader.u32(), signal);
      case COM.RESET_CONNECTION:
        this.reset();
        session.reset();
        return this.#ok();
      case COM.SET_OPTION: {
        const option = reader.u16();
        if (option > 1) throw unknownCommand();
        this.#isMulti = option === 0;
        // Clients read this answer as an EOF packet, also those with DEPRECATE_EOF.
        return writeEof(stream.writer, STATUS.AUTOCOMMIT);
      }
      case COM.STMT_PREPARE:
        return this.#prepare(reader.restText(), note);
      case COM.STMT_EXECUTE:
        return this.#execute(reader, signal, note);
      case COM.STMT_SEND_LONG_DATA: {
        // This command and the next have no answer, not even for what is wrong with them.
        if (reader.left < 6) return;
        this.#prepared.addLongData(reader.u32(), reader.u16(), reader.rest());
        return;
      }
      case COM.STMT_CLOSE:
        if (reader.left >= 4) this.#prepared.close(reader.u32());
        return;
      case COM.STMT_RESET:
        this.#prepared.dropLongData(this.#prepared.get(reader.u32(), 'mysqld_stmt_reset'));
        return this.#ok();
      default:
        throw unknownCommand();
    }
  }

  async #query(sql: string, signal: AbortSignal, note: Note): Promise<void> {
    note('Query', sql);
    const { statements, rest } = splitStatements(sql);
    const count = statements.length + (rest === '' ? 0 : 1);
    if (count > 1 && !this.#isMulti) {
      throw new LoadError('MULTI_STATEMENTS_OFF', 'several statements in one query', {
        errno: 1064,
        sqlState: '42000',
        hint: 'send them one by one, or connect with multi statements allowed',
      });
    }
    const iterator = this.#context.session.execute(sql, signal)[Symbol.asyncIterator]();
    let sent = 0;
    let next: IteratorResult<StatementResult> | undefined;
    try {
      next = await iterator.next();
      if (next.done === true) {
        throw new LoadError('QUERY_EMPTY', 'Query was empty', { errno: 1065, sqlState: '42000' });
      }
      while (next?.done !== true) {
        const result: StatementResult = next.value;
        next = undefined;
        sent++;
        await this.#send(result, false, signal, async () => {
          // A text that holds more says so at once, the last result only when nothing came behind it.
          if (sent < count) return STATUS.AUTOCOMMIT | STATUS.MORE_RESULTS;
          next = await iterator.next();
          return next.done === true ? STATUS.AUTOCOMMIT : STATUS.AUTOCOMMIT | STATUS.MORE_RESULTS;
        });
        if (next !== undefined) continue;
        next = await iterator.next();
        // More was announced, but the session saw fewer statements.
        if (next.done === true) this.#ok();
      }
    } finally {
      if (next?.done === false && next.value.kind === 'batches') await next.value.close();
      await iterator.return?.();
    }
  }

  async #prepare(sql: string, note: Note): Promise<void> {
    note('Prepare', sql);
    const { session, stream, capabilities, textCharset } = this.#context;
    const { parameters, columns } = await session.prepare(sql);
    if (parameters > 0xffff) {
      throw new LoadError(
        'PARAMETERS_TOO_MANY',
        'Prepared statement contains too many placeholders',
        {
          errno: 1390,
        },
      );
    }
    const statementId = this.#prepared.add(sql, parameters);
    const packet = { statementId, parameters, columns };
    writeStmtPrepareOk(stream.writer, packet, capabilities, textCharset, STATUS.AUTOCOMMIT);
  }

  async #execute(reader: PacketReader, signal: AbortSignal, note: Note): Promise<void> {
    const statement = this.#prepared.get(reader.u32(), 'mysqld_stmt_execute');
    note('Execute', statement.sql);
    const longData = this.#prepared.takeLongData(statement);
    const packet = readStmtExecute(reader, statement.parameters, statement.types, longData);
    statement.types = packet.types;
    const { session } = this.#context;
    const result = await session.executePrepared(statement.sql, packet.values, signal);
    await this.#send(result, true, signal, async () => STATUS.AUTOCOMMIT);
  }

  /** A thread of one's own user is killed here; whether others may be is for the session to say. */
  async #kill(id: number, signal: AbortSignal): Promise<void> {
    const { host, session } = this.#context;
    const target = host.connections().find((connection) => connection.id === id);
    if (target === undefined) {
      throw new LoadError('THREAD_UNKNOWN', `Unknown thread id: ${id}`, { errno: 1094 });
    }
    if (target.user !== this.#context.user()) {
      for await (const _ of session.execute(`KILL ${id}`, signal)) break;
    } else {
      host.kill(id, false);
    }
    this.#ok();
  }

  async #send(
    result: StatementResult,
    binary: boolean,
    signal: AbortSignal,
    status: () => Promise<number>,
  ): Promise<void> {
    const { stream, capabilities, textCharset, host } = this.#context;
    const { writeMs } = host.timeouts;
    await sendResult(
      { stream, capabilities, textCharset, binary, writeMs, signal },
      result,
      status,
    );
  }

  #ok(): void {
    const packet = { affectedRows: 0, warnings: 0, status: STATUS.AUTOCOMMIT, info: '' };
    writeOk(this.#context.stream.writer, packet);
  }
}

function unknownCommand(): LoadError {
  return new LoadError('COMMAND_UNKNOWN', 'Unknown command', { errno: 1047, sqlState: '08S01' });
}
