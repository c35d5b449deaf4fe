/** The variables of a session: `SHOW VARIABLES`, `@@name`, `@name`. */
import { LoadError } from '../../base/errors.ts';
import type { Select } from '../../sql/ast/select.ts';
import type { Value } from '../../sql/eval.ts';
import { variablesOf } from '../../sql/walk.ts';

export const DEFAULT_ZONE = 'Asia/Shanghai';

/** The values of a fresh session; a name that is not here cannot be set. */
const VARIABLES: ReadonlyMap<string, string> = new Map(
  Object.entries({
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
  }),
);

export class SessionVariables {
  readonly #own: ReadonlyMap<string, string>;
  readonly #set = new Map<string, string>();
  readonly #user = new Map<string, Value>();

  constructor(version: string) {
    this.#own = new Map([
      ['version', version],
      ['version_comment', 'millrace, StarRocks version 3.3.0'],
    ]);
  }

  get(name: string): string | undefined {
    return this.#own.get(name) ?? this.#set.get(name) ?? VARIABLES.get(name);
  }

  /** Those that can be read by `@@name`, sorted. */
  names(): string[] {
    return [...VARIABLES.keys(), ...this.#own.keys()].sort();
  }

  /** `undefined`: as in a fresh session. Throws UNKNOWN_VARIABLE. */
  set(name: string, value: string | undefined): void {
    if (!VARIABLES.has(name)) {
      throw new LoadError('UNKNOWN_VARIABLE', `Unknown system variable '${name}'`, { errno: 1193 });
    }
    if (value === undefined) this.#set.delete(name);
    else this.#set.set(name, value);
  }

  user(name: string): Value {
    return this.#user.get(name) ?? null;
  }

  setUser(name: string, value: Value): void {
    this.#user.set(name, value);
  }

  reset(): void {
    this.#set.clear();
    this.#user.clear();
  }

  /** For `@x` and `@@x` beside columns: a BE evaluates them. Those alone that the statement names. */
  namedIn(select: Select): Record<string, string | number | null> {
    const wanted = new Set(variablesOf(select));
    if (wanted.size === 0) return {};
    const all = [
      ...this.names().map((name) => [`@@${name}`, this.get(name) ?? null] as const),
      ...[...this.#user].map(([name, value]) => [`@${name.toLowerCase()}`, plain(value)] as const),
    ];
    return Object.fromEntries(all.filter(([name]) => wanted.has(name)));
  }
}

/** As a message carries it; whole numbers beyond a double's go as texts. */
function plain(value: Value): string | number | null {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
