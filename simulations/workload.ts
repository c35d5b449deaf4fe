/** What goes on beside the faults: messages for the job, statements of clients, an operator's hand. */
import { LoadError } from '../src/base/errors.ts';
import type { AllCheckers } from './checkers/all-checkers.ts';
import type { InsertAnswer } from './checkers/checker.ts';
import type { SwarmOptions } from './options.ts';
import { type Rows, SimClient } from './world/client.ts';
import type { FeProcess, World } from './world/cluster.ts';
import type { SeededRandom } from './world/random.ts';

const PATIENCE_MS = 400_000;
const INSERT_TRIES_MAX = 20;

/** What a client makes of an error: definite, or not known. */
function kindOf(error: unknown): InsertAnswer['kind'] {
  if (!(error instanceof LoadError)) return 'unknown';
  if (error.code === 'LABEL_USED') return 'used';
  if (['CONNECTION_LOST', 'HUNG_UP'].includes(error.code)) return 'unknown';
  return 'refused';
}

export class Workload {
  readonly #world: World;
  readonly #options: SwarmOptions;
  readonly #random: SeededRandom;
  readonly #checkers: AllCheckers;
  readonly #client: SimClient;
  #rowsSent = 0;
  #labels = 0;
  #tables = 0;
  /** What clients did and heard, counted. */
  #events = 0;
  #batchesLeft: number;
  /** `desired_concurrent_number`: the last that was confirmed, and what was tried since. */
  readonly #altered: { value: number; isConfirmed: boolean }[] = [];
  isOver = false;
  /** Labels whose outcome their client does not know yet. */
  readonly unsettled = new Set<string>();

  constructor(
    world: World,
    fe: FeProcess,
    options: SwarmOptions,
    checkers: AllCheckers,
    random: SeededRandom,
  ) {
    this.#world = world;
    this.#options = options;
    this.#random = random;
    this.#checkers = checkers;
    this.#client = new SimClient(world.clock, fe);
    this.#batchesLeft = options.batches;
  }

  get isProduced(): boolean {
    return this.#batchesLeft === 0;
  }

  get openStatements(): number {
    return this.#client.open;
  }

  run(sql: string): Promise<Rows> {
    return this.#client.run(sql, PATIENCE_MS);
  }

  start(): void {
    const { clock } = this.#world;
    const { produceMs, selects, inserts } = this.#options;
    const next = () => {
      clock.at(produceMs * (0.5 + this.#random.next()), () => {
        if (this.#batchesLeft === 0) return;
        this.#batchesLeft -= 1;
        this.#produce();
        if (this.#random.chance(selects)) this.#look();
        if (this.#random.chance(inserts)) this.#insert();
        next();
      });
    };
    next();
  }

  #produce(): void {
    const { kafka } = this.#world;
    const { nullShare, badShare, abortShare, openShare, produceMs } = this.#options;
    const partition = this.#random.whole(0, kafka.partitions.length - 1);
    const values = Array.from({ length: this.#random.whole(1, 8) }, () => {
      this.#rowsSent += 1;
      if (this.#random.chance(nullShare)) return null;
      if (this.#random.chance(badShare)) return `bad${this.#rowsSent}`;
      return `p${partition}r${this.#rowsSent},${this.#rowsSent}`;
    });
    const isOpen = this.#random.chance(openShare);
    if (this.#random.chance(abortShare) || isOpen) {
      kafka.produce(partition, values, {
        txn: this.#random.chance(0.6) ? 'abort' : 'commit',
        ...(isOpen ? { openMs: this.#random.whole(1, 5 * produceMs) } : {}),
      });
    } else kafka.produce(partition, values);
  }

  /** A session that looks: what it sees must hold at any moment. */
  #look(): void {
    this.snapshot('loaded').catch(() => {});
    if (this.#labels > 0) this.snapshot('inserted').catch(() => {});
    this.run('SHOW ROUTINE LOAD FOR d.j').then(
      ({ columns, rows }) => {
        const [row] = rows;
        if (row === undefined) return;
        this.#checkers.shown(Object.fromEntries(columns.map((name, i) => [name, row[i] ?? null])));
      },
      () => {},
    );
  }

  async snapshot(table: 'loaded' | 'inserted'): Promise<void> {
    this.#events += 1;
    const sentAt = this.#events;
    const { rows } = await this.run(`SELECT * FROM d.${table === 'loaded' ? 't' : 'u'}`);
    this.#world.trace.reach(`snapshot ${table}`);
    this.#events += 1;
    const seenAt = this.#events;
    const ids = rows.map(([id]) => id ?? '');
    const values = rows.map(([, value]) => value ?? null);
    this.#checkers.snapshot({ table, ids, values, sentAt, seenAt });
  }

  /** Under a label, and again under it until its outcome is known (`unknown.settles`). */
  #insert(): void {
    this.#labels += 1;
    const label = `l${this.#labels}`;
    const ids = Array.from({ length: this.#random.whole(1, 5) }, (_, i) => `${label}#${i}`);
    const rows = ids.map((id) => `('${id}', ${this.#labels})`).join(', ');
    const sql = `INSERT INTO d.u WITH LABEL ${label} VALUES ${rows}`;
    this.unsettled.add(label);
    const answer = (kind: InsertAnswer['kind']) => {
      this.#events += 1;
      this.#checkers.answer({ label, ids, kind, at: this.#events });
    };
    const attempt = async (tries: number): Promise<void> => {
      let kind: InsertAnswer['kind'];
      answer('asked');
      try {
        const patienceMs = this.#random.chance(0.1) ? this.#random.whole(1, 500) : PATIENCE_MS;
        const { info } = await this.#client.run(sql, patienceMs);
        kind = info.includes("'VISIBLE'") ? 'ok' : 'committed';
      } catch (error) {
        kind = kindOf(error);
      }
      this.#world.trace.add('client', `insert ${kind}`, { label });
      this.#world.trace.reach(`insert ${kind}`);
      answer(kind);
      const isSettled = kind === 'ok' || kind === 'used' || kind === 'committed';
      if (isSettled || (tries >= INSERT_TRIES_MAX && kind === 'refused')) {
        this.unsettled.delete(label);
        return;
      }
      this.#world.clock.at(this.#random.whole(200, 4_000), () => void attempt(tries + 1));
    };
    void attempt(1);
  }

  operator(kind: string, target: number, ms: number): void {
    const { clock, trace } = this.#world;
    const quiet = (sql: string) =>
      this.run(sql).then(
        () => true,
        () => false,
      );
    switch (kind) {
      case 'sql.pause':
        void quiet('PAUSE ROUTINE LOAD FOR d.j');
        clock.at(ms, () => void quiet('RESUME ROUTINE LOAD FOR d.j'));
        return;
      case 'sql.alter': {
        const alter = async () => {
          await quiet('PAUSE ROUTINE LOAD FOR d.j');
          const altered = { value: 1 + (target % 4), isConfirmed: false };
          this.#altered.push(altered);
          altered.isConfirmed = await quiet(
            `ALTER ROUTINE LOAD FOR d.j PROPERTIES ("desired_concurrent_number" = "${altered.value}")`,
          );
          if (altered.isConfirmed) trace.reach('alter confirmed');
          await quiet('RESUME ROUTINE LOAD FOR d.j');
        };
        void alter();
        return;
      }
      case 'sql.config':
        void quiet(
          `ADMIN SET FRONTEND CONFIG ("max_routine_load_task_concurrent_num" = "${1 + (target % 4)}")`,
        );
        return;
      case 'sql.ddl': {
        this.#tables += 1;
        const name = `d.side${this.#tables}`;
        const ddl = async () => {
          const isThere = await quiet(
            `CREATE TABLE ${name} (id VARCHAR(40) NOT NULL, v BIGINT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2`,
          );
          if (!isThere) return;
          await quiet(`INSERT INTO ${name} VALUES ('a', 1), ('b', 2)`);
          if (target % 3 === 0) await quiet(`TRUNCATE TABLE ${name}`);
          if (target % 2 === 0) await quiet(`DROP TABLE ${name} FORCE`);
        };
        void ddl();
        return;
      }
      default:
        throw new Error(`no fault "${kind}"`);
    }
  }

  /** `alter.durable`: the value in force is the last confirmed one, or one that was tried since and not answered. */
  isAlterInForce(value: number): boolean {
    const confirmed = this.#altered.findLastIndex((one) => one.isConfirmed);
    const since = this.#altered.slice(confirmed + 1).map((one) => one.value);
    const base = this.#altered[confirmed]?.value ?? this.#options.desired;
    return value === base || since.includes(value);
  }
}
