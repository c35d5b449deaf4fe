import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { SessionHost } from './mysql.types.ts';

/** Times in milliseconds, all by the clock port. */
export interface WireTimeouts {
  /** From connect to the end of authentication. */
  readonly handshakeMs: number;
  /** `wait_timeout`: between two commands. */
  readonly waitMs: number;
  /** A client that takes nothing of its result for so long is given up. */
  readonly writeMs: number;
}

export interface ConnectionHost {
  readonly sessions: SessionHost;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly timeouts: WireTimeouts;
  kill(id: number, queryOnly: boolean): boolean;
  connections(): readonly ConnectionView[];
  /** COM_STATISTICS' text. */
  statistics(): string;
}

export interface ConnectionView {
  readonly id: number;
  readonly user: string;
  readonly remote: string;
  /** The session's database. */
  readonly db?: string;
  /** `Connect`, `Sleep`, `Query`, `Execute`, … */
  readonly command: string;
  /** When the present command, or the sleep, began: milliseconds since 1970. */
  readonly sinceMs: number;
  /** The statement that runs, cut to 1,024 characters; else empty. */
  readonly info: string;
}
