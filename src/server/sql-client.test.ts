import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { createMysqlServer, type MysqlServer } from '../protocol/mysql/server.ts';
import { TestHost } from '../protocol/mysql/testing-sessions.ts';
import { runSqlClient, splitText } from './sql-client.ts';

let server: MysqlServer;
let port: number;
beforeAll(async () => {
  server = createMysqlServer({
    host: '127.0.0.1',
    port: 0,
    sessions: new TestHost(),
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
  });
  ({ port } = await server.listen());
});
afterAll(() => server.close());

async function run(options: Record<string, unknown>, typed = '') {
  const output = new PassThrough();
  const code = await runSqlClient({
    host: '127.0.0.1',
    port,
    user: 'root',
    password: '',
    input: Readable.from([typed]),
    output,
    ...options,
  });
  output.end();
  let text = '';
  for await (const chunk of output) text += String(chunk);
  return { code, text };
}

const table = '+-------+\n| value |\n+-------+\n| hello |\n+-------+\n1 row in set\n';
const star = '*'.repeat(27);

it.each([
  { name: 'table', options: { execute: 'hello' }, code: 0, text: table },
  {
    name: 'vertical',
    options: { execute: 'hello\\G' },
    code: 0,
    text: `${star} 1. row ${star}\nvalue: hello\n1 row in set\n`,
  },
  {
    name: 'several',
    options: { execute: 'insert x; hello' },
    code: 0,
    text: `Query OK, 3 rows affected, 1 warning\n{'label':'l'}\n${table}`,
  },
  {
    name: 'error stops',
    options: { execute: 'fail; hello' },
    code: 1,
    text: 'ERROR 5600 (58030): it failed Hint: try again\n',
  },
  {
    name: 'from input',
    options: {},
    typed: 'hel',
    code: 0,
    text: table.replaceAll('hello', 'hel  '),
  },
  {
    name: 'refused login',
    options: { user: 'ann', password: 'no', execute: 'x' },
    code: 1,
    text: "ERROR 1045 (28000): Access denied for user 'ann' (using password: YES)\n",
  },
  {
    name: 'password',
    options: { user: 'ann', password: 'secret', execute: 'hello' },
    code: 0,
    text: table,
  },
])('$name', async ({ options, typed, code, text }) => {
  expect(await run(options, typed)).toEqual({ code, text });
});

it.each([
  { name: 'marks within strings', text: "a ';\\G'; b", pieces: [["a ';\\G'", false]], rest: 'b\n' },
  {
    name: 'vertical',
    text: 'a\\G b\\g c;',
    pieces: [
      ['a', true],
      ['b', false],
      ['c', false],
    ],
    rest: '',
  },
  { name: 'comments', text: '-- x;\n/* ; */ ; `;` a;', pieces: [['`;` a', false]], rest: '' },
])('splits: $name', ({ text, pieces, rest }) => {
  const split = splitText(text, false);
  expect(split.pieces.map(({ sql, vertical }) => [sql, vertical])).toEqual(pieces);
  expect(split.rest).toBe(rest);
});
