/** The prepared statements of one connection, with what is kept for them held within bounds (`wire.flood`). */
import { LoadError } from '../../base/errors.ts';
import { PacketWriter } from './packets/packet-writer.ts';
import type { ParameterType } from './packets/stmt-execute.ts';

const COUNT_MAX = 4_096;
const BYTES_MAX = 64 * 1024 * 1024;

export interface Prepared {
  readonly sql: string;
  readonly parameters: number;
  /** By parameter. A packet writer, since it grows well by however small pieces. */
  readonly longData: Map<number, PacketWriter>;
  types: readonly ParameterType[] | undefined;
  /** Long data has no answer of its own: what went wrong is told at the next execution. */
  failure: LoadError | undefined;
}

export class PreparedStatements {
  readonly #byId = new Map<number, Prepared>();
  #nextId = 1;
  #bytes = 0;

  add(sql: string, parameters: number): number {
    if (this.#byId.size >= COUNT_MAX || this.#bytes + sql.length > BYTES_MAX) {
      throw new LoadError(
        'PREPARED_TOO_MANY',
        `Can't create more than max_prepared_stmt_count statements (current value: ${COUNT_MAX})`,
        { errno: 1461, sqlState: '42000', hint: 'close statements that are no longer used' },
      );
    }
    this.#bytes += sql.length;
    const id = this.#nextId++ >>> 0;
    const types = undefined;
    this.#byId.set(id, { sql, parameters, longData: new Map(), types, failure: undefined });
    return id;
  }

  get(id: number, command: string): Prepared {
    const found = this.#byId.get(id);
    if (found !== undefined) return found;
    throw new LoadError(
      'PREPARED_UNKNOWN',
      `Unknown prepared statement handler (${id}) given to ${command}`,
      { errno: 1243 },
    );
  }

  /** Never throws: the command has no answer. */
  addLongData(id: number, parameter: number, bytes: Uint8Array): void {
    const statement = this.#byId.get(id);
    if (statement === undefined || statement.failure !== undefined) return;
    if (parameter >= statement.parameters) {
      statement.failure = new LoadError(
        'PARAMETER_UNKNOWN',
        'Incorrect arguments to mysqld_stmt_execute',
        { errno: 1210 },
      );
    } else if (this.#bytes + bytes.length > BYTES_MAX) {
      statement.failure = new LoadError(
        'LONG_DATA_TOO_LARGE',
        "Parameter of prepared statement which is set through mysql_send_long_data() is longer than 'max_allowed_packet' bytes",
        { errno: 1301 },
      );
    } else {
      const pieces = statement.longData.get(parameter) ?? new PacketWriter();
      statement.longData.set(parameter, pieces);
      pieces.bytes(bytes);
      this.#bytes += bytes.length;
    }
  }

  /** For one execution; afterwards there is none. Throws what adding it could not. */
  takeLongData(statement: Prepared): Map<number, Uint8Array> {
    const { failure } = statement;
    const taken = new Map<number, Uint8Array>();
    for (const [parameter, pieces] of statement.longData) {
      this.#bytes -= pieces.length;
      taken.set(parameter, pieces.take());
    }
    statement.longData.clear();
    statement.failure = undefined;
    if (failure !== undefined) throw failure;
    return taken;
  }

  dropLongData(statement: Prepared): void {
    statement.failure = undefined;
    this.takeLongData(statement);
  }

  close(id: number): void {
    const statement = this.#byId.get(id);
    if (statement === undefined) return;
    this.dropLongData(statement);
    this.#bytes -= statement.sql.length;
    this.#byId.delete(id);
  }

  clear(): void {
    this.#byId.clear();
    this.#bytes = 0;
  }
}
