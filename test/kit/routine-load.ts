/** What the tests of Routine Load ask of a server again and again. */
import type { KafkaHandle } from '../../scripts/services/kafka.ts';
import { createTopic } from './kafka-topics.ts';
import type { Millrace } from './millrace.ts';
import { waitFor } from './wait-for.ts';

export type SqlRow = Record<string, string | null>;

/** The documents' statements with this Kafka's brokers and another topic. */
export function placed(sql: string, bootstrap: string, topic: string): string {
  return sql
    .replace(
      '<kafka_broker1_ip>:<kafka_broker1_port>,<kafka_broker2_ip>:<kafka_broker2_port>',
      bootstrap,
    )
    .replace(/ordertest[12]"/, `${topic}"`);
}

export interface CreateOptions {
  readonly clauses?: string;
  /** `"key" = "value", …` */
  readonly properties?: string;
  /** Added to brokers and topic; default: from the beginning. */
  readonly source?: string;
  readonly brokers?: string;
}

/** Jobs and tables in the database `example_db` of one server. */
export class Jobs {
  readonly #server: () => Millrace;
  readonly #kafka: () => KafkaHandle;

  constructor(server: () => Millrace, kafka: () => KafkaHandle) {
    this.#server = server;
    this.#kafka = kafka;
  }

  query(sql: string): Promise<SqlRow[]> {
    return this.#server().query(sql);
  }

  /** The statement's error message; fails when there is none. */
  async errorOf(sql: string): Promise<string> {
    const message = await this.query(sql).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (message === undefined) throw new Error(`no error: ${sql}`);
    return message;
  }

  async show(name: string): Promise<SqlRow> {
    return (await this.query(`SHOW ALL ROUTINE LOAD FOR example_db.${name}`)).at(-1) ?? {};
  }

  tasks(name: string): Promise<SqlRow[]> {
    return this.query(`SHOW ROUTINE LOAD TASK FROM example_db WHERE JobName = "${name}"`);
  }

  /** The row of SHOW once the job is in the state, or once `also` holds as well. */
  async until(
    name: string,
    state: string,
    also: (row: SqlRow) => boolean = () => true,
  ): Promise<SqlRow> {
    let last: SqlRow = {};
    return waitFor(
      async () => {
        last = await this.show(name);
        return last.State === state && also(last) ? last : undefined;
      },
      { what: `${name} to be ${state}` },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
    });
  }

  async rows(table: string, count: number): Promise<void> {
    let last: string | null | undefined;
    await waitFor(
      async () => {
        [{ n: last } = { n: undefined }] = await this.query(
          `SELECT count(*) AS n FROM example_db.${table}`,
        );
        return last === String(count);
      },
      { what: `${count} rows in ${table}` },
    ).catch(async (error: Error) => {
      const found = await this.query('SHOW ALL ROUTINE LOAD FROM example_db');
      const jobs = found.filter(({ TableName }) => TableName === table);
      const tasks = await Promise.all(jobs.map(({ Name }) => this.tasks(Name ?? '')));
      throw new Error(
        `${error.message}; there are ${last}: ${JSON.stringify(jobs)} ${JSON.stringify(tasks)}`,
      );
    });
  }

  /** A topic, and a DUPLICATE KEY table (id INT NOT NULL, name VARCHAR(20)) unless `columns` says more. */
  async topicAndTable(
    topic: string,
    table: string,
    options: { partitions?: number; columns?: string } = {},
  ): Promise<void> {
    await createTopic(this.#kafka().bootstrap, topic, options.partitions ?? 1);
    const columns = options.columns ?? 'id INT NOT NULL, name VARCHAR(20)';
    const [key = 'id'] = columns.split(' ');
    await this.query(
      `CREATE TABLE example_db.${table} (${columns}) DUPLICATE KEY(${key}) DISTRIBUTED BY HASH(${key})`,
    );
  }

  createSql(name: string, table: string, topic: string, options: CreateOptions = {}): string {
    const {
      clauses = 'COLUMNS TERMINATED BY ","',
      properties,
      source = '"property.kafka_default_offsets" = "OFFSET_BEGINNING"',
      brokers = this.#kafka().bootstrap,
    } = options;
    const jobProperties = properties === undefined ? '' : `PROPERTIES (${properties})`;
    const more = source === '' ? '' : `, ${source}`;
    return `CREATE ROUTINE LOAD example_db.${name} ON ${table} ${clauses} ${jobProperties} FROM KAFKA ("kafka_broker_list" = "${brokers}", "kafka_topic" = "${topic}"${more})`;
  }

  create(name: string, table: string, topic: string, options?: CreateOptions): Promise<SqlRow[]> {
    return this.query(this.createSql(name, table, topic, options));
  }
}
