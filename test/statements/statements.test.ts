/** Statements by the MySQL port of a real process, those that need no other server. */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { MysqlClient } from '../../src/protocol/mysql/client.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { waitFor } from '../kit/wait-for.ts';

let server: Millrace;
let web: Server;
let url = '';
const PEM = '-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n';

beforeAll(async () => {
  server = await startMillrace({ be: 1 });
  await server.query('CREATE DATABASE d');
  web = createServer((request, response) => {
    if (request.url === '/ca.pem') response.end(PEM);
    else if (request.url === '/big') response.end(Buffer.alloc(2 * 1024 * 1024));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await server?.stop();
  web?.closeAllConnections();
  await new Promise((resolve) => web?.close(resolve));
});

const rejected = (sql: string) =>
  server.query(sql).then(
    () => 'no error',
    (error: Error) => error.message,
  );

describe('files', () => {
  it('CREATE, SHOW and DROP FILE', async () => {
    await server.query(
      `CREATE FILE "ca.pem" IN d PROPERTIES ("url" = "${url}/ca.pem", "catalog" = "kafka")`,
    );
    expect(await server.query('SHOW FILE FROM d')).toMatchObject([
      {
        DbName: 'd',
        Catalog: 'kafka',
        FileName: 'ca.pem',
        FileSize: String(PEM.length),
        IsContent: 'true',
        MD5: createHash('md5').update(PEM).digest('hex'),
      },
    ]);
    await server.query('DROP FILE "ca.pem" FROM d PROPERTIES ("catalog" = "kafka")');
    expect(await server.query('SHOW FILE FROM d')).toEqual([]);
  });

  it.each([
    { name: 'no catalog', properties: '"content" = "x"', message: /catalog name is missing/ },
    { name: 'neither', properties: '"catalog" = "kafka"', message: /url is missing/ },
    {
      name: 'not found',
      properties: `"catalog" = "kafka", "url" = "URL/nowhere"`,
      message: /the server answered 404/,
    },
    {
      name: 'too big',
      properties: `"catalog" = "kafka", "url" = "URL/big"`,
      message: /more than 1048576 bytes/,
    },
    {
      name: 'another scheme',
      properties: '"catalog" = "kafka", "url" = "file:///etc/passwd"',
      message: /must begin with http/,
    },
    {
      name: 'a secret in the URL',
      properties: '"catalog" = "kafka", "url" = "http://a:hidden@localhost/x"',
      message: /^(?!.*hidden).*must not hold a user or a password/,
    },
    {
      name: 'another md5',
      properties: '"catalog" = "kafka", "content" = "x", "md5" = "00"',
      message: /Invalid md5 of file f/,
    },
    {
      name: 'an unknown property',
      properties: '"catalog" = "kafka", "content" = "x", "colour" = "red"',
      message: /colour is invalid property/,
    },
  ])('refuses $name', async ({ properties, message }) => {
    const sql = `CREATE FILE "f" IN d PROPERTIES (${properties.replace('URL', url)})`;
    expect(await rejected(sql)).toMatch(message);
    expect(await server.query('SHOW FILE FROM d')).toEqual([]);
  });

  it('DROP FILE of none says so', async () => {
    expect(await rejected('DROP FILE "none" FROM d PROPERTIES ("catalog" = "kafka")')).toMatch(
      /File none does not exist in db \d+ with catalog: kafka/,
    );
  });
});

it('DESCRIBE prints types without a display width, SHOW CREATE TABLE with one', async () => {
  await server.query(
    'CREATE TABLE d.widths (a int(11), b bigint(20), c decimal(10,2), e varchar(5)) DUPLICATE KEY(a) DISTRIBUTED BY HASH(a)',
  );
  const types = (await server.query('DESC d.widths')).map(({ Type }) => Type);
  expect(types).toEqual(['int', 'bigint', 'decimal(10,2)', 'varchar(5)']);
  const [text] = await server.query('SHOW CREATE TABLE d.widths');
  expect(text?.['Create Table']).toContain('`a` int(11)');
  await server.query('DROP TABLE d.widths');
});

describe('INSERT that filters', () => {
  beforeAll(async () => {
    await server.query(
      'CREATE TABLE d.narrow (k INT NOT NULL, v VARCHAR(3)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1',
    );
  });

  it('strict: nothing is loaded, and the error names the row', async () => {
    const message = await rejected("INSERT INTO d.narrow VALUES (1, 'abc'), (2, 'abcd')");
    expect(message).toMatch(/1 row\(s\) of 2; the first: Error: .*abcd/);
    expect(await server.query('SELECT * FROM d.narrow')).toEqual([]);
  });

  it('not strict: the others are loaded, the rejected row is in load_tracking_logs', async () => {
    await server.query(
      "SET enable_insert_strict = false; INSERT INTO d.narrow WITH LABEL tracked VALUES (1, 'abc'), (NULL, 'x')",
    );
    expect(await server.query('SELECT * FROM d.narrow')).toEqual([{ k: '1', v: 'abc' }]);
    const [load] = await server.query(
      "SELECT * FROM information_schema.loads WHERE label = 'tracked'",
    );
    expect(load).toMatchObject({
      DATABASE_NAME: 'd',
      STATE: 'FINISHED',
      TYPE: 'INSERT',
      SCAN_ROWS: '2',
      FILTERED_ROWS: '1',
      SINK_ROWS: '1',
    });
    const [log] = await server.query(load?.TRACKING_SQL ?? '');
    expect(log?.tracking_log).toMatch(/^Error: .*Row: /);
    const answer = await fetch(load?.TRACKING_URL ?? '');
    expect(await answer.text()).toBe(`${log?.tracking_log}\n`);
  });

  it('a label is taken once', async () => {
    expect(await rejected('INSERT INTO d.narrow WITH LABEL tracked VALUES (3, NULL)')).toMatch(
      /Label \[tracked\] has already been used/,
    );
  });
});

describe('the server', () => {
  it.each([
    ['SHOW INDEX FROM d.narrow', 0],
    ['SHOW TABLE STATUS FROM d', 1],
    ['SHOW CREATE DATABASE d', 1],
    ['SHOW GRANTS', 1],
    ['SHOW PLUGINS', 0],
    ['SHOW PROCESSLIST', 1],
    ['SHOW BACKENDS', 1],
    ['SHOW FRONTENDS', 1],
    ['SHOW VARIABLES LIKE "insert_timeout"', 1],
    ['SHOW TABLES FROM information_schema LIKE "load%"', 2],
    ['ADMIN SHOW FRONTEND CONFIG LIKE "max_routine_load_task_num_per_be"', 1],
    ['EXPLAIN SELECT count(*) FROM d.narrow', 2],
  ])('%s', async (sql, count) => {
    expect(await server.query(sql)).toHaveLength(count);
  });

  it('KILL ends another connection, and names an unknown one', async () => {
    const client = await MysqlClient.connect({
      host: '127.0.0.1',
      port: server.port,
      user: 'root',
      password: '',
      database: 'd',
      clock: systemClock,
    });
    const other = async () => {
      const found = await server.query('SHOW PROCESSLIST');
      return found.find(({ Command, Db }) => Command === 'Sleep' && Db === 'd')?.Id;
    };
    const id = await other();
    expect(id).toBeDefined();
    await server.query(`KILL ${id}`);
    await waitFor(async () => (await other()) === undefined, { what: 'end of the connection' });
    await expect(client.query('SELECT 1').next()).rejects.toThrow();
    await client.close();
    expect(await rejected('KILL 4000000000')).toMatch(/Unknown thread id: 4000000000/);
  });

  it('a syntax error says line, column, what was found and what was expected', async () => {
    expect(await rejected('SELECT\n FROM WHERE')).toMatch(/line 2.*column 2|line 2, column 2/);
  });
});

it('ADMIN DROP BACKEND: what only that BE held is damaged, the rest goes on', async () => {
  const first = await startMillrace({ be: 2 });
  await first.query(
    'CREATE DATABASE d; CREATE TABLE d.a (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1; CREATE TABLE d.b (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1; CREATE TABLE d.c (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2',
  );
  await first.query(
    'INSERT INTO d.a VALUES (1); INSERT INTO d.b VALUES (1); INSERT INTO d.c VALUES (1), (2)',
  );
  await expect(first.query('ADMIN DROP BACKEND "be-2"')).rejects.toThrow(/is alive/);
  await expect(first.query('ADMIN DROP BACKEND "be-9"')).rejects.toThrow(/does not exist/);
  await first.end();
  const second = await startMillrace({ be: 1, dataDir: first.dataDir });
  const read = (table: string) =>
    second.query(`SELECT count(*) AS n FROM d.${table}`).then(
      ([row]) => row?.n,
      (error: Error) => error.message,
    );
  expect(await read('c')).toMatch(/cannot be read now: BE "be-2" .* is not alive/);
  await second.query('ADMIN DROP BACKEND "be-2"');
  expect(await read('c')).toMatch(/damaged tablet \d+: its BE was dropped/);
  // The two tables of one bucket lie on one BE each, or both on one: what is not damaged is read.
  const tables = await Promise.all(['a', 'b'].map(read));
  for (const found of tables) expect(found).toMatch(/^1$|its BE was dropped/);
  await second.query('TRUNCATE TABLE d.c');
  expect(await read('c')).toBe('0');
  await second.query('INSERT INTO d.c VALUES (1), (2)');
  expect(await read('c')).toBe('2');
  await second.stop();
});
