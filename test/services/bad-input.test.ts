/** Bad messages: each gives a rejected row with its position, or a state with its reason; the others are loaded. */
import { glob, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { type Outgoing, produce } from '../kit/kafka-messages.ts';
import { createTopic } from '../kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { type CreateOptions, Jobs, type SqlRow } from '../kit/routine-load.ts';

let kafka: KafkaHandle;
let server: Millrace;
const jobs = new Jobs(
  () => server,
  () => kafka,
);

beforeAll(async () => {
  kafka = await startKafka();
  server = await startMillrace({ be: 2 });
  await jobs.query('CREATE DATABASE example_db');
  await jobs.topicAndTable('witness', 'witness');
  await jobs.create('witness', 'witness', 'witness');
});

afterAll(async () => {
  // The job beside them all was not touched.
  await produce(kafka.bootstrap, 'witness', [{ value: '1,still here' }]);
  await jobs.rows('witness', 1);
  expect((await jobs.show('witness')).State).toBe('RUNNING');
  await server?.stop();
  await kafka?.stop();
});

const json: CreateOptions = {
  clauses: '',
  properties: '"format" = "json", "max_error_number" = "1000"',
};
const csv: CreateOptions = { properties: '"max_error_number" = "1000"' };
const good = { csv: { value: '1,good' }, json: { value: '{"id": 1, "name": "good"}' } };

interface Case {
  readonly name: string;
  readonly format: 'csv' | 'json';
  readonly bad: Outgoing['value'];
  /** What is kept of it; null: nothing is rejected. */
  readonly reason: RegExp | null;
  /** Rows of the bad message that are loaded. */
  readonly loaded?: readonly SqlRow[];
  readonly properties?: string;
}

const cases: readonly Case[] = [
  {
    name: 'too many columns',
    format: 'csv',
    bad: '2,x,y',
    reason: /Target column count: 2 doesn't match source value column count: 3/,
  },
  {
    name: 'too few columns',
    format: 'csv',
    bad: '2',
    reason: /Target column count: 2 doesn't match source value column count: 1/,
  },
  {
    name: 'UTF-8 that is none',
    format: 'csv',
    bad: Buffer.from([0x32, 0x2c, 0xff, 0xfe]),
    reason: /UTF-8/,
  },
  { name: 'a letter for a number into NOT NULL', format: 'csv', bad: 'two,x', reason: /id/ },
  {
    name: 'a text that is too long',
    format: 'csv',
    bad: `2,${'x'.repeat(21)}`,
    reason: null,
    loaded: [{ id: '2', name: null }],
  },
  {
    name: 'a text that is too long, strict',
    format: 'csv',
    bad: `2,${'x'.repeat(21)}`,
    properties: '"max_error_number" = "1000", "strict_mode" = "true"',
    reason: /name/,
  },
  { name: 'an empty message', format: 'csv', bad: '', reason: null },
  { name: 'a null message', format: 'csv', bad: null, reason: null },
  {
    name: 'a newline: two rows',
    format: 'csv',
    bad: '2,a\n3,b',
    reason: null,
    loaded: [
      { id: '2', name: 'a' },
      { id: '3', name: 'b' },
    ],
  },
  {
    name: 'a quote is data',
    format: 'csv',
    bad: '2,a"b',
    reason: null,
    loaded: [{ id: '2', name: 'a"b' }],
  },
  {
    name: 'a quote at the start is data',
    format: 'csv',
    bad: '2,"a',
    reason: null,
    loaded: [{ id: '2', name: '"a' }],
  },
  {
    name: 'an enclosed field that does not end',
    format: 'csv',
    bad: '2,"a',
    properties: '"max_error_number" = "1000", "enclose" = "\\""',
    reason: /./,
  },
  { name: 'no JSON', format: 'json', bad: 'id=2', reason: /./ },
  { name: 'JSON that ends early', format: 'json', bad: '{"id": 2, "name": "x', reason: /./ },
  { name: 'JSON with something behind', format: 'json', bad: '{"id": 2} }', reason: /./ },
  {
    name: 'an array without strip_outer_array',
    format: 'json',
    bad: '[{"id": 2}]',
    reason: /strip_outer_array/,
  },
  {
    name: 'UTF-8 that is none in JSON',
    format: 'json',
    bad: Buffer.concat([
      Buffer.from('{"id": 2, "name": "'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]),
    reason: /UTF-8/,
  },
  {
    name: 'an object for a number',
    format: 'json',
    bad: '{"id": {"a": 1}, "name": "x"}',
    reason: /id/,
  },
  {
    name: 'a missing key of a NOT NULL column',
    format: 'json',
    bad: '{"name": "x"}',
    reason: /id/,
  },
  { name: 'a number out of range', format: 'json', bad: '{"id": 99999999999}', reason: /id/ },
  { name: 'an empty message in JSON', format: 'json', bad: '', reason: null },
  { name: 'a null message in JSON', format: 'json', bad: null, reason: null },
];

describe('one bad message between good ones', () => {
  it.each(cases.map((one, index) => ({ ...one, index })))(
    '$name',
    async ({ format, bad, reason, loaded = [], properties, index }) => {
      const topic = `bad${index}`;
      await jobs.topicAndTable(topic, topic);
      await produce(kafka.bootstrap, topic, [good[format], { value: bad }, good[format]]);
      const base = format === 'csv' ? csv : json;
      await jobs.create(topic, topic, topic, {
        ...base,
        ...(properties === undefined ? {} : { properties }),
      });
      await jobs.rows(topic, 2 + loaded.length);
      const row = await jobs.until(topic, 'RUNNING', ({ Progress }) => Progress === '{"0":"2"}');
      const statistic = JSON.parse(row.Statistic ?? '');
      expect(statistic.errorRows).toBe(reason === null ? 0 : 1);
      expect(
        await jobs.query(`SELECT * FROM example_db.${topic} WHERE id > 1 ORDER BY id`),
      ).toEqual(loaded);
      if (reason !== null) {
        const log = await (await fetch(row.ErrorLogUrls ?? '')).text();
        expect(log).toMatch(reason);
        expect(log).toContain(`topic ${topic}, partition 0, offset 1`);
        const [tracked] = await jobs.query(
          `SELECT topic, partition_id, source_offset, reason FROM information_schema.load_tracking_logs WHERE job_id = ${row.Id}`,
        );
        expect(tracked).toMatchObject({ topic, partition_id: '0', source_offset: '1' });
        expect(tracked?.reason).toMatch(reason);
      }
      await jobs.query(`STOP ROUTINE LOAD FOR example_db.${topic}`);
    },
  );
});

it('a filtered message in the middle of 100,000 is shown with topic, partition and offset', async () => {
  await createTopic(kafka.bootstrap, 'middle', 2);
  await jobs.query(
    'CREATE TABLE example_db.middle (id INT NOT NULL, name VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
  );
  for (let from = 0; from < 100_000; from += 10_000) {
    await produce(
      kafka.bootstrap,
      'middle',
      Array.from({ length: 10_000 }, (_, i) => ({
        partition: i % 2,
        value: from + i === 50_001 ? 'broken' : `${from + i},x`,
      })),
    );
  }
  await jobs.create('middle', 'middle', 'middle', csv);
  await jobs.rows('middle', 99_999);
  const row = await jobs.show('middle');
  const log = await (await fetch(row.ErrorLogUrls ?? '')).text();
  expect(log).toMatch(/Row: broken\. Source: topic middle, partition 1, offset 25000, /);
  expect(JSON.parse(row.Statistic ?? '')).toMatchObject({ errorRows: 1, loadedRows: 99_999 });
});

it('max_filter_ratio: PAUSED, nothing loaded, progress kept, the rows shown', async () => {
  await jobs.topicAndTable('ratio', 'ratio');
  await produce(kafka.bootstrap, 'ratio', [
    { value: '1,a' },
    { value: 'b' },
    { value: 'c' },
    { value: '4,d' },
  ]);
  await jobs.create('ratio', 'ratio', 'ratio', {
    properties: '"max_error_number" = "1000", "max_filter_ratio" = "0.2"',
  });
  const row = await jobs.until('ratio', 'PAUSED');
  expect(row.ReasonOfStateChanged).toMatch(/max_filter_ratio|filter ratio/i);
  expect(JSON.parse(row.Progress ?? '')).toEqual({ '0': 'OFFSET_ZERO' });
  expect(JSON.parse(row.Statistic ?? '')).toMatchObject({ loadedRows: 0, errorRows: 0 });
  expect(await (await fetch(row.ErrorLogUrls ?? '')).text()).toContain('offset 1');
  await jobs.query('ALTER ROUTINE LOAD FOR example_db.ratio PROPERTIES ("max_filter_ratio" = "1")');
  await jobs.query('RESUME ROUTINE LOAD FOR example_db.ratio');
  await jobs.rows('ratio', 2);
});

it('a batch with a wrong CRC: what lies before it is loaded, the job says topic, partition and offset', async () => {
  await jobs.topicAndTable('crc', 'crc');
  await produce(kafka.bootstrap, 'crc', [{ value: '1,before' }]);
  await produce(kafka.bootstrap, 'crc', [{ value: '2,flipped' }]);
  await produce(kafka.bootstrap, 'crc', [{ value: '3,after' }]);
  let segment = '';
  for await (const found of glob('**/crc-0/00000000000000000000.log', { cwd: kafka.dir })) {
    segment = found;
  }
  // The broker answers from the same page cache, and does not look at the bytes.
  const path = join(kafka.dir, segment);
  const bytes = await readFile(path);
  const at = bytes.indexOf('flipped');
  const file = await open(path, 'r+');
  await file.write(Buffer.from('g'), 0, 1, at);
  await file.close();
  await jobs.create('crc', 'crc', 'crc');
  const row = await jobs.until('crc', 'PAUSED');
  expect(row.ReasonOfStateChanged).toMatch(/CRC/);
  expect(row.ReasonOfStateChanged).toMatch(/topic crc partition 0 offset 1/);
  // What lies before it is loaded.
  expect(JSON.parse(row.Progress ?? '')).toEqual({ '0': '0' });
  await jobs.query(
    'ALTER ROUTINE LOAD FOR example_db.crc FROM KAFKA ("kafka_partitions" = "0", "kafka_offsets" = "2")',
  );
  await jobs.query('RESUME ROUTINE LOAD FOR example_db.crc');
  await jobs.rows('crc', 2);
  expect(await jobs.query('SELECT * FROM example_db.crc ORDER BY id')).toEqual([
    { id: '1', name: 'before' },
    { id: '3', name: 'after' },
  ]);
});
