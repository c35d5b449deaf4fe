import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CSV_JOB,
  CSV_MESSAGES,
  CSV_TABLE,
  JSON_JOB,
  JSON_MESSAGES,
  JSON_TABLE,
} from '../../scripts/quickstart/documents.ts';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { produce } from '../kit/kafka-messages.ts';
import { createTopic } from '../kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { Jobs, placed } from '../kit/routine-load.ts';

let kafka: KafkaHandle;
let server: Millrace;

beforeAll(async () => {
  kafka = await startKafka();
  server = await startMillrace({ be: 5 });
  await server.query('CREATE DATABASE example_db');
});

afterAll(async () => {
  await server?.stop();
  await kafka?.stop();
});

const jobs = new Jobs(
  () => server,
  () => kafka,
);

describe("the documents' examples", () => {
  it('CSV: 6 rows of 5 columns, the quote is data', async () => {
    await createTopic(kafka.bootstrap, 'csv', 5);
    await produce(
      kafka.bootstrap,
      'csv',
      CSV_MESSAGES.map((value, i) => ({ value, partition: i % 5 })),
    );
    await server.query(`USE example_db; ${CSV_TABLE}`);
    await server.query(placed(CSV_JOB, kafka.bootstrap, 'csv'));
    await jobs.rows('example_tbl1', 6);
    const found = await server.query(
      'SELECT * FROM example_db.example_tbl1 ORDER BY order_id, price',
    );
    expect(found.map(({ customer_name, price }) => [customer_name, price])).toEqual([
      ['Julien Sorel', '893'],
      ['Johann Georg Faust', '895'],
      ['Dorian Grey', '1262'],
      ['Anna Karenina"', '175'],
      ['Tess Durbeyfield', '986'],
      ['Edogawa Conan', '8924'],
    ]);
    const shown = await jobs.show('example_tbl1_ordertest1');
    expect(shown.CurrentTaskNum).toBe('5');
    // From produce to visible, and that nothing is left.
    const { produceToVisible, ...statistic } = JSON.parse(shown.Statistic ?? '');
    expect(statistic).toMatchObject({
      partitionLagTime: { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0 },
      lagRecords: 0,
      lagSeconds: 0,
    });
    expect(produceToVisible).toMatchObject({ windowSeconds: 60, rows: 6 });
    expect(produceToVisible.maxMs).toBeGreaterThanOrEqual(produceToVisible.p50Ms);
  });

  it('JSON: 3 rows, pay_time twice used', async () => {
    await createTopic(kafka.bootstrap, 'json', 5);
    await produce(
      kafka.bootstrap,
      'json',
      JSON_MESSAGES.map((value) => ({ value, partition: 0 })),
    );
    await server.query(`USE example_db; ${JSON_TABLE}`);
    await server.query(placed(JSON_JOB, kafka.bootstrap, 'json'));
    await jobs.rows('example_tbl2', 3);
    const found = await server.query('SELECT * FROM example_db.example_tbl2 ORDER BY commodity_id');
    expect(found.map((row) => [row.pay_time, row.pay_dt, row.price])).toEqual([
      ['1589191487', '2020-05-11', '875'],
      ['1589191487', '2020-05-11', '895'],
      ['1589191487', '2020-05-11', '895'],
    ]);
    expect(JSON.parse((await jobs.show('example_tbl2_ordertest2')).Progress ?? '')).toEqual({
      '0': '2',
      '1': 'OFFSET_ZERO',
      '2': 'OFFSET_ZERO',
      '3': 'OFFSET_ZERO',
      '4': 'OFFSET_ZERO',
    });
  });
});

describe('states', () => {
  it('PAUSE keeps what comes, RESUME loads it, STOP is for good', async () => {
    await jobs.topicAndTable('states', 't1');
    await jobs.create('j1', 't1', 'states');
    await jobs.until('j1', 'RUNNING');
    await server.query('PAUSE ROUTINE LOAD FOR example_db.j1');
    expect((await jobs.show('j1')).ReasonOfStateChanged).toContain('errCode = 100');
    await produce(kafka.bootstrap, 'states', [{ value: '1,a' }, { value: '2,b' }]);
    await server.query('RESUME ROUTINE LOAD FOR example_db.j1');
    await jobs.rows('t1', 2);
    await server.query('STOP ROUTINE LOAD FOR example_db.j1');
    await expect(server.query('RESUME ROUTINE LOAD FOR example_db.j1')).rejects.toThrow(
      'There is not operable routine load job',
    );
    await expect(server.query('SHOW ROUTINE LOAD FOR example_db.j1')).rejects.toThrow();
  });

  it('too many error rows: PAUSED with the reason, the position over HTTP, then RESUME', async () => {
    await jobs.topicAndTable('errors', 't2');
    await produce(kafka.bootstrap, 'errors', [
      { value: '1,a' },
      { value: 'one,two,three' },
      { value: '3,c' },
    ]);
    await jobs.create('j2', 't2', 'errors');
    const paused = await jobs.until('j2', 'PAUSED');
    expect(paused.ReasonOfStateChanged).toContain('errCode = 102');
    const log = await (await fetch(paused.ErrorLogUrls ?? '')).text();
    expect(log).toContain("Target column count: 2 doesn't match source value column count: 3");
    expect(log).toContain('topic errors, partition 0, offset 1');
    await jobs.rows('t2', 2);
    await server.query('RESUME ROUTINE LOAD FOR example_db.j2');
    await jobs.until('j2', 'RUNNING');
  });

  it('a dropped table cancels the job', async () => {
    await jobs.topicAndTable('dropped', 't3');
    await jobs.create('j3', 't3', 'dropped');
    await jobs.until('j3', 'RUNNING');
    await server.query('DROP TABLE example_db.t3');
    const cancelled = await jobs.until('j3', 'CANCELLED');
    expect(cancelled.ReasonOfStateChanged).toContain('errCode = 6');
  });

  it('an offset beyond the end pauses with its partition; ALTER and RESUME go on', async () => {
    await jobs.topicAndTable('beyond', 't4');
    await produce(kafka.bootstrap, 'beyond', [{ value: '1,a' }]);
    await server.query(
      `CREATE ROUTINE LOAD example_db.j4 ON t4 COLUMNS TERMINATED BY "," FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}", "kafka_topic" = "beyond", "kafka_partitions" = "0", "kafka_offsets" = "500")`,
    );
    const paused = await jobs.until('j4', 'PAUSED');
    expect(paused.ReasonOfStateChanged).toContain(
      'Consume offset: 500 is greater than the latest offset: 1',
    );
    await server.query(
      'ALTER ROUTINE LOAD FOR example_db.j4 FROM KAFKA ("kafka_partitions" = "0", "kafka_offsets" = "OFFSET_BEGINNING")',
    );
    await server.query('RESUME ROUTINE LOAD FOR example_db.j4');
    await jobs.rows('t4', 1);
  });

  it('an unknown topic is refused at CREATE', async () => {
    await server.query(
      'CREATE TABLE example_db.t5 (id INT, name VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
    );
    await expect(jobs.create('j5', 't5', 'nowhere')).rejects.toThrow('nowhere');
  });
});

it('a kill of the process loses no row and loads none twice', async () => {
  await jobs.topicAndTable('killed', 't6', { partitions: 3 });
  const messages = (from: number) =>
    Array.from({ length: 300 }, (_, i) => ({ value: `${from + i},x`, partition: i % 3 }));
  await produce(kafka.bootstrap, 'killed', messages(0));
  await jobs.create('j6', 't6', 'killed');
  await server.kill();
  await produce(kafka.bootstrap, 'killed', messages(300));
  server = await startMillrace({ be: 5, dataDir: server.dataDir });
  await jobs.rows('t6', 600);
  const [found] = await server.query('SELECT count(DISTINCT id) AS n FROM example_db.t6');
  expect(found?.n).toBe('600');
});
