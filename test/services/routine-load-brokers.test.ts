/** Routine Load through SQL: the four security protocols, a dead first broker, a leader that moves under load. */
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { freePorts } from '../../scripts/services/ports.ts';
import { consume, openProducer, produce } from '../kit/kafka-messages.ts';
import { createTopic, describeTopic, endOffsets, moveLeader } from '../kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { Jobs } from '../kit/routine-load.ts';
import { waitFor } from '../kit/wait-for.ts';

let kafka: KafkaHandle;
let server: Millrace;
const jobs = new Jobs(
  () => server,
  () => kafka,
);

const open = async (options: Parameters<typeof startKafka>[0]) => {
  kafka = await startKafka(options);
  server = await startMillrace({ be: 2 });
  await jobs.query('CREATE DATABASE example_db');
};
const close = async () => {
  await server?.stop();
  await kafka?.stop();
};

describe('one broker with four listeners', () => {
  beforeAll(async () => {
    await open({ listeners: 'all' });
    const content = kafka.caPem.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
    await jobs.query(
      `CREATE FILE "ca.pem" IN example_db PROPERTIES ("catalog" = "kafka", "content" = "${content}")`,
    );
    await jobs.query(
      `CREATE FILE "other.pem" IN example_db PROPERTIES ("catalog" = "kafka", "content" = "${rootCertificates[0]}")`,
    );
  });
  afterAll(close);

  const tls = '"property.ssl.ca.location" = "FILE:ca.pem"';
  const sasl = (user: 'plain' | 'scramSha256' | 'scramSha512', password?: string) => {
    const { mechanism, name, password: right } = kafka.users[user];
    return `"property.sasl.mechanism" = "${mechanism}", "property.sasl.username" = "${name}", "property.sasl.password" = "${password ?? right}"`;
  };
  const cases = [
    { name: 'plaintext', listener: 'plaintext', more: () => '' },
    { name: 'ssl', listener: 'ssl', more: () => `, ${tls}` },
    { name: 'sasl_plaintext', listener: 'saslPlaintext', more: () => `, ${sasl('plain')}` },
    {
      name: 'sasl_ssl',
      listener: 'saslSsl',
      more: () => `, ${tls}, ${sasl('scramSha512')}`,
    },
  ] as const;

  it.each(cases)('$name: loads', async ({ name, listener, more }) => {
    await jobs.topicAndTable(name, name);
    await produce(kafka.bootstrap, name, [{ value: '1,a' }, { value: '2,b' }]);
    await jobs.create(name, name, name, {
      brokers: kafka.listeners[listener],
      source: `"property.security.protocol" = "${name}", "property.kafka_default_offsets" = "OFFSET_BEGINNING"${more()}`,
    });
    await jobs.rows(name, 2);
    const shown = JSON.stringify(await jobs.show(name));
    const [created] = await jobs.query(`SHOW CREATE ROUTINE LOAD example_db.${name}`);
    for (const { password } of Object.values(kafka.users)) {
      expect(shown).not.toContain(password);
      expect(created?.['Create Job']).not.toContain(password);
    }
    await jobs.query(`STOP ROUTINE LOAD FOR example_db.${name}`);
  });

  it('a wrong password: the job says so, and goes on once ALTER has the right one', async () => {
    await jobs.topicAndTable('password', 'password1');
    await produce(kafka.bootstrap, 'password', [{ value: '1,a' }]);
    await jobs.create('password', 'password1', 'password', {
      brokers: kafka.listeners.saslPlaintext,
      source: `"property.security.protocol" = "sasl_plaintext", "property.kafka_default_offsets" = "OFFSET_BEGINNING", ${sasl('plain', 'wrong')}`,
    });
    const row = await jobs.until('password', 'PAUSED');
    expect(row.ReasonOfStateChanged).toMatch(/KAFKA_AUTH/);
    expect(row.ReasonOfStateChanged).toMatch(/next: /);
    await jobs.query(`ALTER ROUTINE LOAD FOR example_db.password FROM KAFKA (${sasl('plain')})`);
    await jobs.query('RESUME ROUTINE LOAD FOR example_db.password');
    await jobs.rows('password1', 1);
  });

  it('an authority that did not sign: the job says so', async () => {
    await jobs.topicAndTable('authority', 'authority');
    await jobs.create('authority', 'authority', 'authority', {
      brokers: kafka.listeners.ssl,
      source: '"property.security.protocol" = "ssl", "property.ssl.ca.location" = "FILE:other.pem"',
    });
    const row = await jobs.until('authority', 'PAUSED');
    expect(row.ReasonOfStateChanged).toMatch(/KAFKA_TLS/);
  });

  it('a file that is not there, an unknown property: refused at CREATE', async () => {
    await jobs.topicAndTable('refused', 'refused');
    const create = (source: string) =>
      jobs.errorOf(jobs.createSql('refused', 'refused', 'refused', { source }));
    expect(await create('"property.ssl.ca.location" = "FILE:none.pem"')).toMatch(
      /File none.pem does not exist/,
    );
    expect(await create('"property.ssl.ca.location" = "/etc/passwd"')).toMatch(/FILE:/);
    expect(await create('"property.fetch.colour" = "red"')).toMatch(/fetch\.colour/);
  });
});

describe('two brokers', () => {
  beforeAll(() => open({ brokers: 2 }));
  afterAll(close);

  it('the first in the list is dead', async () => {
    const [dead] = await freePorts(1);
    await jobs.topicAndTable('first', 'first1');
    await produce(kafka.bootstrap, 'first', [{ value: '1,a' }]);
    await jobs.create('first', 'first1', 'first', {
      brokers: `127.0.0.1:${dead},${kafka.bootstrap}`,
    });
    await jobs.rows('first1', 1);
  });

  it('no broker answers: the job waits, says so, and goes on with ALTER', async () => {
    const [dead] = await freePorts(1);
    await jobs.topicAndTable('nobody', 'nobody');
    await produce(kafka.bootstrap, 'nobody', [{ value: '1,a' }]);
    await jobs.create('nobody', 'nobody', 'nobody', { brokers: `127.0.0.1:${dead}` });
    const waits = await jobs.until(
      'nobody',
      'NEED_SCHEDULE',
      (row) => row.ReasonOfStateChanged !== '',
    );
    expect(waits.ReasonOfStateChanged).toMatch(/KAFKA_UNREACHABLE|could not/i);
    await jobs.query('PAUSE ROUTINE LOAD FOR example_db.nobody');
    await jobs.query(
      `ALTER ROUTINE LOAD FOR example_db.nobody FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}")`,
    );
    await jobs.query('RESUME ROUTINE LOAD FOR example_db.nobody');
    await jobs.rows('nobody', 1);
  });

  it('a leader moves under load, and a broker dies: every id exactly once', async () => {
    // Two copies need both brokers, and one of them may still be joining.
    const isMade = () =>
      createTopic(kafka.bootstrap, 'moves', 2, {}, 2).then(
        () => true,
        () => false,
      );
    await waitFor(isMade, { what: 'a topic with two copies' });
    await jobs.query(
      'CREATE TABLE example_db.moves (id INT NOT NULL, name VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)',
    );
    // A task that a broker leaves without an answer ends by its timeout, whose default is a minute.
    await jobs.create('moves', 'moves', 'moves', {
      properties: '"task_consume_second" = "3", "task_timeout_second" = "12"',
    });
    const producer = await openProducer(kafka.bootstrap, { idempotent: true, retries: 30 });
    let sent = 0;
    // The log is the measure: what the producer of the tests believes it has sent may not be there.
    const written = async () =>
      (await endOffsets(kafka.bootstrap, 'moves')).reduce((sum, end) => sum + Number(end), 0);
    const send = async (rounds: number) => {
      for (let i = 0; i < rounds; i++) {
        await producer.send(
          'moves',
          Array.from({ length: 100 }, (_, k) => ({ partition: k % 2, value: `${sent + k},x` })),
        );
        sent += 100;
      }
    };
    await send(10);
    const ids = (await describeTopic(kafka.bootstrap, 'moves')).map(({ leader }) => leader);
    const other = kafka.brokers.map(({ nodeId }) => nodeId).find((id) => id !== ids[0]);
    await Promise.all([moveLeader(kafka.bootstrap, 'moves', 0, other as number), send(20)]);
    await jobs.rows('moves', await written());
    await kafka.kill(1);
    await send(10);
    await jobs.rows('moves', await written());
    await kafka.restart(1);
    await producer.close();
    const log = await consume(kafka.bootstrap, 'moves', await written());
    const inLog = log.map(({ value }) => Number.parseInt(String(value), 10));
    const found = await jobs.query('SELECT id FROM example_db.moves');
    const byNumber = (a: number, b: number) => a - b;
    expect(found.map(({ id }) => Number(id)).sort(byNumber)).toEqual(inLog.sort(byNumber));
    await jobs.until('moves', 'RUNNING');
  });
});
