/** The HTTP port: limits, errors and headers. What is answered is the routes' affair. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LoadError, toErrorData } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { HttpRequest, HttpResponse, HttpRoute } from './http.types.ts';
import { matchRoute } from './router.ts';

/**
 * An import would read all that it exports, and so load `fetch` and WebSocket, of which nothing is used here: a tenth of a start.
 */
const { createServer } = process.getBuiltinModule('node:http');

const BODY_BYTES_MAX = 1024 * 1024;

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
  'cache-control': 'no-store',
} as const;

export interface HttpServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly routes: readonly HttpRoute[];
  readonly log: Log;
  /** Default 60 s for headers and body together; a quarter of it for the headers. */
  readonly requestMs?: number;
  /** Default 1,024. */
  readonly connectionsMax?: number;
}

export interface HttpServer {
  listen(): Promise<{ readonly port: number }>;
  /** Ends all connections at once. */
  close(): Promise<void>;
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { host, port, routes, log, requestMs = 60_000, connectionsMax = 1_024 } = options;
  const server = createServer(
    {
      requestTimeout: requestMs,
      headersTimeout: requestMs / 4,
      connectionsCheckingInterval: Math.min(requestMs / 4, 5_000),
      maxHeaderSize: 16 * 1024,
    },
    (request, response) => {
      serve(routes, log, request, response).catch((error: unknown) => {
        log.write('debug', 'answer not sent', { error: String(error) });
        response.destroy();
      });
    },
  );
  server.maxConnections = connectionsMax;
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', (cause) =>
          reject(new LoadError('LISTEN_FAILED', `could not listen on ${host}:${port}`, { cause })),
        );
        server.listen(port, host, () => {
          server.removeAllListeners('error');
          server.on('error', (error) =>
            log.write('warn', 'accept failed', { error: String(error) }),
          );
          const address = server.address();
          resolve({ port: typeof address === 'object' && address !== null ? address.port : 0 });
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  routes: readonly HttpRoute[],
  log: Log,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request;
  const [path = '', ...queryParts] = url.split('?');
  const found = matchRoute(routes, method, path);
  if (found.kind !== 'found') {
    // What was not read of the body would be taken for the next request.
    response.setHeader('connection', 'close');
    if (found.kind === 'wrong-method') response.setHeader('allow', found.allowed.join(', '));
    const [status, code, message] = {
      'bad-path': [400, 'PATH_INVALID', 'invalid path'] as const,
      'not-found': [404, 'NOT_FOUND', 'no such path'] as const,
      'wrong-method': [405, 'METHOD_NOT_ALLOWED', 'method not allowed'] as const,
    }[found.kind];
    return send(request, response, jsonError(status, code, message));
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const body = await readBody(request, found.route.bodyBytesMax ?? BODY_BYTES_MAX);
  if (body === undefined) {
    response.setHeader('connection', 'close');
    return send(request, response, jsonError(413, 'BODY_TOO_LARGE', 'request body too large'));
  }
  const asked: HttpRequest = {
    method,
    path,
    params: found.params,
    query: new URLSearchParams(queryParts.join('?')),
    headers: request.headers,
    body,
    remoteAddress: request.socket.remoteAddress ?? '',
    signal: gone.signal,
  };
  let answer: HttpResponse;
  try {
    answer = await found.route.handler(asked);
  } catch (error) {
    const { code, message, hint } = toErrorData(error);
    const isOurs = !(error instanceof LoadError);
    if (isOurs) log.write('error', 'request failed', { path, message });
    answer = jsonError(isOurs ? 500 : 400, code, isOurs ? 'internal error' : message, hint);
  }
  await send(request, response, answer);
}

/** `undefined`: longer than allowed; not more than the limit and one chunk was held. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not `for await`: leaving that destroys the socket, and the answer could not be sent.
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      resolve(undefined);
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
    request.once('close', () => reject(new Error('the client is gone')));
  });
}

function jsonError(status: number, code: string, message: string, hint?: string): HttpResponse {
  const body = JSON.stringify({ status: 'FAILED', code, msg: message, hint });
  return { status, body: `${body}\n` };
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers = {}, body }: HttpResponse,
): Promise<void> {
  const isWhole = typeof body === 'string' || body instanceof Uint8Array;
  const type = typeof body === 'string' ? 'application/json; charset=utf-8' : undefined;
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'content-type': type ?? 'application/octet-stream',
    ...(isWhole ? { 'content-length': Buffer.byteLength(body) } : {}),
    ...headers,
  });
  if (request.method === 'HEAD') {
    if (!isWhole) await body[Symbol.asyncIterator]().return?.();
    response.end();
  } else if (isWhole) {
    response.end(body);
  } else {
    await pipeline(Readable.from(body), response);
  }
}
