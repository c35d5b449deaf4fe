import type { ConnectionView } from '../../protocol/mysql/connection.types.ts';

/** The MySQL port as sessions see it: other connections. */
export interface Processes {
  list(): readonly ConnectionView[];
  /** `queryOnly`: the statement alone. `false`: no such connection. */
  kill(id: number, queryOnly: boolean): boolean;
}
