/** The rest of the documents' Routine Load: concurrency, positions, SHOW, bounds of a task, separators. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JSON_JOB, JSON_MESSAGES, JSON_TABLE } from '../../scripts/quickstart/documents.ts';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { produce } from '../kit/kafka-messages.ts';
import { addPartitions, createTopic } from '../kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { Jobs, placed } from '../kit/routine-load.ts';
import { waitFor } from '../kit/wait-for.ts';

let kafka: KafkaHandle;
let server: Millrace;
const jobs = new Jobs(
  () => server,
  () => kafka,
);

beforeAll(async () => {
  kafka = await startKafka();
  server = await startMillrace({ be: 5 });
  await jobs.query('CREATE DATABASE example_db');
});

afterAll(async () => {
  await server?.stop();
  await kafka?.stop();
});

/** `0,6 1,7 2`: partitions of each task, in the tasks' order. */
const divided = async (name: string) =>
  (await jobs.tasks(name))
    .map(({ DataSourceProperties }) =>
      Object.keys(JSON.parse(DataSourceProperties ?? '{}')).join(','),
    )
    .sort()
    .join(' ');

const JOB_COLUMNS_OF_THE_DOCUMENTS = [
  'Id',
  'Name',
  'CreateTime',
  'PauseTime',
  'EndTime',
  'DbName',
  'TableName',
  'State',
  'DataSourceType',
  'CurrentTaskNum',
  'JobProperties',
  'DataSourceProperties',
  'CustomProperties',
  'Statistic',
  'Progress',
  'ReasonOfStateChanged',
  'ErrorLogUrls',
  'OtherMsg',
];

describe('5 BEs, then 6', () => {
  const name = 'example_tbl2_ordertest2';

  it('SHOW ROUTINE LOAD TASK: 3 tasks {1,4} {2} {0,3}, without a transaction', async () => {
    await jobs.topicAndTable('three', 'three', { partitions: 5 });
    await jobs.create('three', 'three', 'three', {
      properties: '"max_batch_interval" = "20"',
      source: '',
    });
    await jobs.until('three', 'RUNNING');
    const tasks = await waitFor(
      async () => {
        const found = await jobs.tasks('three');
        return found.length === 3 && found.every(({ Message }) => Message !== null) && found;
      },
      { what: 'tasks that have looked for data' },
    );
    expect(await divided('three')).toBe('0,3 1,4 2');
    for (const task of tasks) {
      expect(task).toMatchObject({
        TxnId: '-1',
        TxnStatus: 'UNKNOWN',
        Timeout: '60',
        BeId: '-1',
        Message: 'there is no new data in kafka, wait for 20 seconds to schedule again',
      });
      const positions = JSON.parse(task.DataSourceProperties ?? '') as Record<string, number>;
      for (const next of Object.values(positions)) expect(next).toBe(0);
    }
  });

  it('SHOW ROUTINE LOAD: the columns, the JSON keys, the last offset consumed', async () => {
    await createTopic(kafka.bootstrap, 'orders2', 5);
    await produce(
      kafka.bootstrap,
      'orders2',
      JSON_MESSAGES.map((value, i) => ({ value, partition: i === 2 ? 1 : 0 })),
    );
    await jobs.query(`USE example_db; ${JSON_TABLE}`);
    await jobs.query(placed(JSON_JOB, kafka.bootstrap, 'orders2'));
    await jobs.rows('example_tbl2', 3);
    const row = await jobs.show(name);
    expect(Object.keys(row).filter((key) => JOB_COLUMNS_OF_THE_DOCUMENTS.includes(key))).toEqual(
      JOB_COLUMNS_OF_THE_DOCUMENTS,
    );
    expect(JSON.parse(row.Progress ?? '')).toEqual({
      '0': '1',
      '1': '0',
      '2': 'OFFSET_ZERO',
      '3': 'OFFSET_ZERO',
      '4': 'OFFSET_ZERO',
    });
    expect(row).toMatchObject({
      DbName: 'example_db',
      TableName: 'example_tbl2',
      DataSourceType: 'KAFKA',
      CurrentTaskNum: '5',
      ReasonOfStateChanged: '',
      ErrorLogUrls: '',
      OtherMsg: '',
    });
    expect(JSON.parse(row.JobProperties ?? '')).toMatchObject({
      partitions: '*',
      columnToColumnExpr:
        "`commodity_id`,`customer_name`,`country`,`pay_time`,`price`,`pay_dt`=from_unixtime(`pay_time`, '%Y%m%d')",
      maxBatchIntervalS: '10',
      whereExpr: '*',
      dataFormat: 'json',
      timezone: 'Asia/Shanghai',
      format: 'json',
      json_root: '',
      strict_mode: 'false',
      jsonpaths: '["$.commodity_id","$.customer_name","$.country","$.pay_time","$.price"]',
      currentTaskConcurrentNum: '5',
      desireTaskConcurrentNum: '5',
      maxErrorNum: '0',
      strip_outer_array: 'false',
      maxBatchRows: '200000',
    });
    expect(JSON.parse(row.DataSourceProperties ?? '')).toEqual({
      topic: 'orders2',
      currentKafkaPartitions: '0,1,2,3,4',
      brokerList: kafka.bootstrap,
    });
    expect(JSON.parse(row.CustomProperties ?? '')).toMatchObject({
      'group.id': expect.stringMatching(/^example_tbl2_ordertest2_[0-9a-f-]{36}$/),
    });
    expect(JSON.parse(row.Statistic ?? '')).toMatchObject({
      receivedBytes: expect.any(Number),
      errorRows: 0,
      loadedRows: 3,
      totalRows: 3,
      unselectedRows: 0,
      abortedTaskNum: 0,
      committedTaskNum: expect.any(Number),
      taskExecuteTimeMs: expect.any(Number),
      loadRowsRate: expect.any(Number),
      receivedBytesRate: expect.any(Number),
    });
  });

  it('SHOW CREATE ROUTINE LOAD gives a statement that makes the same job', async () => {
    const text = async (job: string) => {
      const [row] = await jobs.query(`SHOW CREATE ROUTINE LOAD example_db.${job}`);
      return row?.['Create Job'] ?? '';
    };
    const first = await text(name);
    await jobs.query(`CREATE DATABASE again; CREATE TABLE again.example_tbl2 (
      commodity_id VARCHAR(26), customer_name VARCHAR(26), country VARCHAR(26), pay_time BIGINT,
      pay_dt DATE, price DOUBLE SUM NULL) AGGREGATE KEY(commodity_id, customer_name, country, pay_time, pay_dt)
      DISTRIBUTED BY HASH(commodity_id)`);
    await jobs.query(first.replace('`example_db`', '`again`'));
    const [row] = await jobs.query(`SHOW CREATE ROUTINE LOAD again.${name}`);
    expect(row?.['Create Job']?.replace('`again`', '`example_db`')).toBe(first);
    await jobs.query(`STOP ROUTINE LOAD FOR again.${name}`);
  });

  it('6 BEs, 8 partitions, desired 6: 5 tasks, and 6 once ADMIN allows them; four partitions are read again', async () => {
    await addPartitions(kafka.bootstrap, 'orders2', 8);
    const { dataDir } = server;
    await server.kill();
    server = await startMillrace({ be: 6, dataDir });
    await jobs.until(name, 'RUNNING');
    await jobs.query(`PAUSE ROUTINE LOAD FOR example_db.${name}`);
    await jobs.query(`USE example_db; ALTER ROUTINE LOAD FOR example_tbl2_ordertest2
PROPERTIES
(
    "desired_concurrent_number" = "6"
)
FROM kafka
(
    "kafka_partitions" = "0,1,2,3,4,5,6,7",
    "kafka_offsets" = "OFFSET_BEGINNING,OFFSET_BEGINNING,OFFSET_BEGINNING,OFFSET_BEGINNING,OFFSET_END,OFFSET_END,OFFSET_END,OFFSET_END"
)`);
    await jobs.query(`RESUME ROUTINE LOAD FOR example_db.${name}`);
    await jobs.until(name, 'RUNNING', (row) => row.CurrentTaskNum === '5');
    await jobs.query('ADMIN SET FRONTEND CONFIG ("max_routine_load_task_concurrent_num" = "6")');
    await jobs.until(name, 'RUNNING', (row) => row.CurrentTaskNum === '6');
    expect(await divided(name)).toBe('0,6 1,7 2 3 4 5');
    await waitFor(
      async () => {
        const found = await jobs.query(
          'SELECT price FROM example_db.example_tbl2 ORDER BY commodity_id',
        );
        return found.map(({ price }) => price).join() === '1750,1790,1790';
      },
      { what: 'prices that doubled' },
    );
    await produce(kafka.bootstrap, 'orders2', [
      { value: '{"commodity_id": "9", "price": 1}', partition: 7 },
    ]);
    await jobs.rows('example_tbl2', 4);
    await jobs.query('ADMIN SET FRONTEND CONFIG ("max_routine_load_task_concurrent_num" = "5")');
    await jobs.until(name, 'RUNNING', (row) => row.CurrentTaskNum === '5');
  });

  it('ALTER names a partition that the topic lacks: refused', async () => {
    await jobs.query(`PAUSE ROUTINE LOAD FOR example_db.${name}`);
    const message = await jobs.errorOf(
      `ALTER ROUTINE LOAD FOR example_db.${name} FROM kafka ("kafka_partitions" = "8", "kafka_offsets" = "0")`,
    );
    expect(message).toContain('there is an invalid custom partition: 8 for topic: orders2');
    await jobs.query(`STOP ROUTINE LOAD FOR example_db.${name}`);
  });
});

describe('positions', () => {
  const five = (topic: string) =>
    produce(
      kafka.bootstrap,
      topic,
      Array.from({ length: 5 * 4 }, (_, i) => ({
        partition: i % 5,
        value: `${i},p${i % 5}o${Math.floor(i / 5)}`,
      })),
    );

  it('five mixed values of kafka_offsets', async () => {
    await jobs.topicAndTable('mixed', 'mixed', { partitions: 5 });
    await five('mixed');
    await jobs.create('mixed', 'mixed', 'mixed', {
      source:
        '"kafka_partitions" = "0,1,2,3,4", "kafka_offsets" = "0, 1, OFFSET_BEGINNING, OFFSET_END, 3"',
    });
    await jobs.until('mixed', 'RUNNING');
    await jobs.rows('mixed', 4 + 3 + 4 + 0 + 1);
    await produce(kafka.bootstrap, 'mixed', [{ partition: 3, value: '100,later' }]);
    await jobs.rows('mixed', 13);
    const found = await jobs.query('SELECT name FROM example_db.mixed WHERE name LIKE "p4%"');
    expect(found).toEqual([{ name: 'p4o3' }]);
  });

  it('one value beyond the end: PAUSED, with the partition in the reason, the others loaded or waiting', async () => {
    await jobs.topicAndTable('beyond', 'beyond', { partitions: 5 });
    await five('beyond');
    await jobs.create('beyond', 'beyond', 'beyond', {
      source: '"kafka_partitions" = "0,1,2,3,4", "kafka_offsets" = "0,0,99,0,0"',
    });
    const row = await jobs.until('beyond', 'PAUSED');
    expect(row.ReasonOfStateChanged).toMatch(
      /Consume offset: 99 is greater than the latest offset: 4/,
    );
    expect(row.ReasonOfStateChanged).toMatch(/partition 2|partition: 2/);
  });

  it('property.kafka_default_offsets for all partitions', async () => {
    await jobs.topicAndTable('defaults', 'defaults', { partitions: 5 });
    await five('defaults');
    await jobs.create('defaults', 'defaults', 'defaults', {
      source: '"kafka_partitions" = "0,1,2,3,4", "property.kafka_default_offsets" = "2"',
    });
    await jobs.rows('defaults', 10);
  });

  it('partitions added under a job are found and read from their beginning', async () => {
    await jobs.topicAndTable('grows', 'grows', { partitions: 1 });
    await jobs.create('grows', 'grows', 'grows');
    await jobs.until('grows', 'RUNNING');
    await addPartitions(kafka.bootstrap, 'grows', 2);
    await produce(kafka.bootstrap, 'grows', [{ partition: 1, value: '1,new' }]);
    await jobs.rows('grows', 1);
  });
});

describe('formats', () => {
  it('no COLUMNS: CSV by position, \\N is NULL, nothing is an empty string', async () => {
    await jobs.topicAndTable('plain', 'plain', {
      columns: 'a VARCHAR(5), b VARCHAR(5) NULL, c VARCHAR(5)',
    });
    await produce(kafka.bootstrap, 'plain', [{ value: 'a,\\N,b' }, { value: 'b,,b' }]);
    await jobs.create('plain', 'plain', 'plain');
    await jobs.rows('plain', 2);
    expect(await jobs.query('SELECT * FROM example_db.plain ORDER BY a')).toEqual([
      { a: 'a', b: null, c: 'b' },
      { a: 'b', b: '', c: 'b' },
    ]);
  });

  it('no COLUMNS: JSON by name', async () => {
    await jobs.topicAndTable('named', 'named');
    await produce(kafka.bootstrap, 'named', [
      { value: '{"name": "x", "other": [1, 2], "id": 1}' },
      { value: '{"id": 2}' },
    ]);
    await jobs.create('named', 'named', 'named', { clauses: '', properties: '"format" = "json"' });
    await jobs.rows('named', 2);
    expect(await jobs.query('SELECT * FROM example_db.named ORDER BY id')).toEqual([
      { id: '1', name: 'x' },
      { id: '2', name: null },
    ]);
  });

  it('a separator of 50 bytes passes, one of 51 is refused', async () => {
    await jobs.topicAndTable('long', 'long');
    const separator = '|'.repeat(49);
    await produce(kafka.bootstrap, 'long', [{ value: `1${separator}#x` }]);
    await jobs.create('long', 'long', 'long', {
      clauses: `COLUMNS TERMINATED BY "${separator}#"`,
    });
    await jobs.rows('long', 1);
    const message = await jobs.errorOf(
      jobs.createSql('long2', 'long', 'long', {
        clauses: `COLUMNS TERMINATED BY "${separator}##"`,
      }),
    );
    expect(message).toMatch(/50/);
  });
});

describe('bounds of a task, set by ADMIN', () => {
  const reset = () =>
    jobs.query(
      'ADMIN SET FRONTEND CONFIG ("max_routine_load_batch_size" = "4294967296"); ADMIN SET FRONTEND CONFIG ("routine_load_task_consume_second" = "15")',
    );

  it('max_routine_load_batch_size: many tasks where one would do', async () => {
    await jobs.topicAndTable('bytes', 'bytes');
    // Batches of the log are what a fetch cannot cut.
    for (let i = 0; i < 20; i++) {
      await produce(
        kafka.bootstrap,
        'bytes',
        Array.from({ length: 100 }, (_, k) => ({ value: `${i * 100 + k},${'x'.repeat(20)}` })),
      );
    }
    await jobs.query('ADMIN SET FRONTEND CONFIG ("max_routine_load_batch_size" = "5000")');
    await jobs.create('bytes', 'bytes', 'bytes');
    await jobs.rows('bytes', 2000);
    const { committedTaskNum } = JSON.parse((await jobs.show('bytes')).Statistic ?? '');
    expect(committedTaskNum).toBeGreaterThanOrEqual(5);
    await reset();
  });

  it('routine_load_task_consume_second: taken by a new job', async () => {
    await jobs.topicAndTable('seconds', 'seconds');
    await jobs.query('ADMIN SET FRONTEND CONFIG ("routine_load_task_consume_second" = "7")');
    await jobs.create('seconds', 'seconds', 'seconds');
    const row = await jobs.until('seconds', 'RUNNING');
    expect(JSON.parse(row.JobProperties ?? '')).toMatchObject({
      taskConsumeSecond: '7',
      taskTimeoutSecond: '60',
    });
    await reset();
  });

  it('a value out of range or an unknown item is refused', async () => {
    const set = (item: string) => jobs.errorOf(`ADMIN SET FRONTEND CONFIG (${item})`);
    expect(await set('"max_routine_load_batch_size" = "none"')).toMatch(/takes a whole number/);
    expect(await set('"no_such_item" = "1"')).toMatch(/no_such_item/);
  });
});
