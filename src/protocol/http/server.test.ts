import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { parseBasicAuth } from './basic-auth.ts';
import type { HttpRoute } from './http.types.ts';
import { createHttpServer, type HttpServer } from './server.ts';

const routes: HttpRoute[] = [
  {
    method: 'GET',
    path: '/api/:db/_load_info',
    handler: ({ params, query }) => ({
      status: 200,
      body: JSON.stringify({ db: params.db, label: query.get('label') }),
    }),
  },
  {
    method: 'GET',
    path: '/files/*rest',
    handler: ({ params }) => ({ status: 200, body: params.rest ?? '' }),
  },
  {
    method: 'POST',
    path: '/echo',
    bodyBytesMax: 10,
    handler: ({ body }) => ({ status: 200, body }),
  },
  {
    method: 'GET',
    path: '/stream',
    handler: () => ({
      status: 200,
      headers: { 'content-type': 'text/plain' },
      body: (async function* () {
        yield 'one ';
        yield Buffer.from('two');
      })(),
    }),
  },
  {
    method: 'GET',
    path: '/refused',
    handler: () => {
      throw new LoadError('REFUSED', 'not now', { hint: 'later' });
    },
  },
  {
    method: 'GET',
    path: '/bug',
    handler: () => {
      throw new TypeError('secret detail');
    },
  },
];

let server: HttpServer;
let port: number;
beforeAll(async () => {
  server = createHttpServer({ host: '127.0.0.1', port: 0, routes, log: silentLog });
  ({ port } = await server.listen());
});
afterAll(() => server.close());

/** Not `fetch`, which would tidy the path up. */
async function ask(method: string, path: string, body?: string) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, agent: false }, resolve);
    request.on('error', reject);
    request.end(body);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode,
    headers: response.headers,
    text: Buffer.concat(chunks).toString(),
  };
}

it.each([
  {
    name: 'parameters',
    method: 'GET',
    path: '/api/d%C3%A9/_load_info?label=l1',
    status: 200,
    text: '{"db":"dé","label":"l1"}',
  },
  { name: 'HEAD', method: 'HEAD', path: '/api/d/_load_info?label=l', status: 200, text: '' },
  { name: 'HEAD of a stream', method: 'HEAD', path: '/stream', status: 200, text: '' },
  { name: 'stream', method: 'GET', path: '/stream', status: 200, text: 'one two' },
  { name: 'rest', method: 'GET', path: '/files/a/b.txt', status: 200, text: 'a/b.txt' },
  {
    name: 'body',
    method: 'POST',
    path: '/echo',
    body: '1234567890',
    status: 200,
    text: '1234567890',
  },
  {
    name: 'body too large',
    method: 'POST',
    path: '/echo',
    body: '12345678901',
    status: 413,
    text: 'BODY_TOO_LARGE',
  },
  { name: 'unknown path', method: 'GET', path: '/nothing', status: 404, text: 'NOT_FOUND' },
  { name: 'wrong method', method: 'GET', path: '/echo', status: 405, text: 'METHOD_NOT_ALLOWED' },
  { name: 'path.up', method: 'GET', path: '/files/../x', status: 400, text: 'PATH_INVALID' },
  {
    name: 'path.up encoded',
    method: 'GET',
    path: '/files/%2e%2e/x',
    status: 400,
    text: 'PATH_INVALID',
  },
  { name: 'encoded slash', method: 'GET', path: '/files/a%2fb', status: 400, text: 'PATH_INVALID' },
  { name: 'back-slash', method: 'GET', path: '/files/..%5cx', status: 400, text: 'PATH_INVALID' },
  { name: 'NUL', method: 'GET', path: '/files/a%00', status: 400, text: 'PATH_INVALID' },
  {
    name: 'double encoding stays data',
    method: 'GET',
    path: '/files/%252e%252e',
    status: 200,
    text: '%2e%2e',
  },
  { name: 'bad encoding', method: 'GET', path: '/files/%zz', status: 400, text: 'PATH_INVALID' },
  { name: 'LoadError', method: 'GET', path: '/refused', status: 400, text: '"hint":"later"' },
  { name: 'other error', method: 'GET', path: '/bug', status: 500, text: 'internal error' },
])('$name: $method $path → $status', async ({ method, path, body, status, text }) => {
  const answer = await ask(method, path, body);
  expect(answer.status).toBe(status);
  if (status === 200) expect(answer.text).toBe(text);
  else expect(answer.text).toContain(text);
  expect(answer.text).not.toContain('secret detail');
  expect(answer.headers['x-content-type-options']).toBe('nosniff');
  if (status === 405) expect(answer.headers.allow).toBe('POST');
});

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

it.each([
  {
    name: 'user and password',
    header: basic('root:a:b'),
    found: { user: 'root', password: 'a:b' },
  },
  { name: 'empty password', header: basic('root:'), found: { user: 'root', password: '' } },
  { name: 'both empty', header: basic(':'), found: { user: '', password: '' } },
  { name: 'no colon', header: basic('root'), found: undefined },
  { name: 'other scheme', header: 'Bearer x', found: undefined },
  { name: 'absent', header: undefined, found: undefined },
])('Basic auth: $name', ({ header, found }) => {
  expect(parseBasicAuth(header)).toEqual(found);
});
