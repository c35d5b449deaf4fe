/** A connection as SHOW PROCESSLIST shows it. */
export interface ProcessView {
  readonly id: number;
  readonly user: string;
  readonly remote: string;
  readonly db?: string;
  /** `Sleep`, `Query`, … */
  readonly command: string;
  /** When the present command began: milliseconds since 1970. */
  readonly sinceMs: number;
  readonly info: string;
}

/** The MySQL port as sessions see it: other connections. */
export interface Processes {
  list(): readonly ProcessView[];
  /** `queryOnly`: the statement alone. `false`: no such connection. */
  kill(id: number, queryOnly: boolean): boolean;
}
