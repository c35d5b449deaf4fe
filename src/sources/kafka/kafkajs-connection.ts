/**
 * One connection to one broker: kafkajs' sockets, TLS, SASL, request encoders and time-outs, with our own framing
 * and answers left as bytes. The only file that knows kafkajs' insides (2.2.4, pinned; the package has no
 * exports map, so its `src` can be loaded).
 *
 *   N1. After `close` no timer runs, no socket is open, and each request that waited was rejected.
 *   N2. A request is answered, rejected, or times out: a socket that closes at any moment rejects all.
 *   N3. Bytes that are no answer close the connection; an answer takes no more memory than `answerBytesMax`.
 */
import { createRequire } from 'node:module';
import { isIP, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { LoadError } from '../../base/errors.ts';
import type { AnswerBuffers } from './answer-buffers.ts';
import { type BrokerAddress, brokerError } from './broker-errors.ts';
import type { KafkaConfig } from './kafka.types.ts';

/** What is used of kafkajs' `Connection`, by the names in its source. */
interface KafkajsConnection {
  readonly socket?: Socket;
  readonly requestQueue: KafkajsQueue;
  connect(): Promise<boolean>;
  authenticate(): Promise<void>;
  disconnect(): Promise<boolean>;
  send<T>(protocol: object): Promise<T>;
  isConnected(): boolean;
  setVersions(versions: ApiVersions): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  rejectRequests(error: Error): void;
  processData(data: Buffer): void;
}

interface KafkajsQueue {
  readonly requestTimeout: number;
  readonly inflight: ReadonlyMap<
    number,
    { readonly sentAt: number; readonly requestTimeout: number; timeoutRequest(): void }
  >;
  requestTimeoutIntervalId: NodeJS.Timeout | undefined;
  destroy(): void;
  scheduleRequestTimeoutCheck(): void;
  pending: unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  fulfillRequest(answer: { correlationId: number; payload: Buffer; size: number }): void;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

type ApiVersions = Record<number, { minVersion: number; maxVersion: number }>;

interface Protocol {
  readonly request: object;
  readonly response: object;
  readonly requestTimeout?: number;
}

interface Definitions {
  protocol(options: { version: number }): (options?: object) => Protocol;
}

const require = createRequire(import.meta.url);
const Connection = require('kafkajs/src/network/connection') as new (
  options: object,
) => KafkajsConnection;
const { requests } = require('kafkajs/src/protocol/requests') as {
  requests: Record<ApiName | 'ApiVersions', Definitions>;
};
const apiKeys = require('kafkajs/src/protocol/requests/apiKeys') as Record<ApiName, number>;

export type ApiName = 'Fetch' | 'ListOffsets' | 'Metadata' | 'OffsetCommit' | 'GroupCoordinator';

/** A piece of an answer as it is read at once. */
const READ_BYTES = 256 * 1024;

const noLog = () => {};
const silentLogger = {
  debug: noLog,
  info: noLog,
  warn: noLog,
  error: noLog,
  namespace: () => silentLogger,
};

/** A request that is not answered is given up within so long after its time. */
const TIMEOUT_CHECK_MS = 1_000;

class FramedConnection extends Connection {
  readonly #answerBytesMax: number;
  readonly #buffers: AnswerBuffers;
  #header = Buffer.alloc(4);
  #headerBytes = 0;
  #body: Buffer | null = null;
  #bodyBytes = 0;

  constructor(options: object, answerBytesMax: number, buffers: AnswerBuffers) {
    super(options);
    this.#answerBytesMax = answerBytesMax;
    this.#buffers = buffers;
    // kafkajs looks at its requests' times ten times a second on every connection, also where nothing waits.
    const queue = this.requestQueue;
    queue.scheduleRequestTimeoutCheck = () => {
      queue.destroy();
      queue.requestTimeoutIntervalId = setInterval(
        () => {
          for (const request of [...queue.inflight.values()]) {
            if (Date.now() - request.sentAt > request.requestTimeout) request.timeoutRequest();
          }
          if (!this.isConnected()) queue.destroy();
        },
        Math.min(queue.requestTimeout, TIMEOUT_CHECK_MS),
      );
    };
    // kafkajs sets a timer of −1 ms after every answer (Node warns of it); one is needed only while requests wait.
    queue.scheduleCheckPendingRequests = () => {
      if (queue.throttleCheckTimeoutId !== null || queue.pending.length === 0) return;
      const delayMs = Math.max(10, queue.throttledUntil - Date.now());
      queue.throttleCheckTimeoutId = setTimeout(() => {
        queue.throttleCheckTimeoutId = null;
        queue.checkPendingRequests();
      }, delayMs);
    };
  }

  /** int32 length, int32 correlation id, answer. Each answer gets a buffer of its own, filled once; `data` is not kept. */
  override processData(data: Buffer): void {
    try {
      for (let at = 0; at < data.length; ) {
        if (this.#body === null) {
          const taken = data.copy(this.#header, this.#headerBytes, at);
          this.#headerBytes += taken;
          at += taken;
          if (this.#headerBytes < 4) return;
          const size = this.#header.readInt32BE(0);
          if (size < 4 || size > this.#answerBytesMax) {
            throw new Error(`the length ${size} of an answer is impossible`);
          }
          this.#headerBytes = 0;
          this.#bodyBytes = 0;
          this.#body = this.#buffers.take(size);
        }
        const taken = data.copy(this.#body, this.#bodyBytes, at);
        this.#bodyBytes += taken;
        at += taken;
        if (this.#bodyBytes < this.#body.length) return;
        const body = this.#body;
        this.#body = null;
        this.requestQueue.fulfillRequest({
          correlationId: body.readInt32BE(0),
          payload: body.subarray(4),
          size: body.length,
        });
      }
    } catch (error) {
      this.socket?.destroy(error as Error); // N3
    }
  }
}

export interface ConnectionLimits {
  readonly connectTimeoutMs: number;
  /** A waiting fetch gets its waiting time on top. */
  readonly requestTimeoutMs: number;
  readonly answerBytesMax: number;
}

export interface Answer<T> {
  readonly throttleMs: number;
  readonly value: T;
}

export class BrokerConnection {
  readonly address: BrokerAddress;
  #inFlight = 0;
  readonly #kafkajs: FramedConnection;
  readonly #config: KafkaConfig;
  readonly #closed: Promise<never>;
  #socket: Socket | undefined;
  #versions: ApiVersions = {};
  #rejectClosed: (error: Error) => void = noLog;
  #ended = false;

  private constructor(
    address: BrokerAddress,
    config: KafkaConfig,
    limits: ConnectionLimits,
    buffers: AnswerBuffers,
  ) {
    this.address = address;
    this.#config = config;
    this.#closed = new Promise((_, reject) => {
      this.#rejectClosed = reject;
    });
    this.#closed.catch(noLog);
    this.#kafkajs = new FramedConnection(
      {
        host: address.host,
        port: address.port,
        clientId: config.clientId,
        logger: silentLogger,
        socketFactory: (target: { host: string; port: number; onConnect: () => void }) =>
          this.#open(target),
        ssl: config.security === 'ssl' || config.security === 'sasl_ssl',
        // A copy: kafkajs keeps its authenticator in it.
        sasl: config.sasl === undefined ? null : { ...config.sasl },
        connectionTimeout: limits.connectTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
      },
      limits.answerBytesMax,
      buffers,
    );
  }

  /** Connected, versions known, authenticated; or a LoadError and nothing left open. */
  static async open(
    address: BrokerAddress,
    config: KafkaConfig,
    limits: ConnectionLimits,
    signal: AbortSignal,
    buffers: AnswerBuffers,
  ): Promise<BrokerConnection> {
    const connection = new BrokerConnection(address, config, limits, buffers);
    const abort = () => connection.close();
    signal.addEventListener('abort', abort);
    try {
      await connection.#handshake();
      if (signal.aborted) throw new Error('Closed connection');
      return connection;
    } catch (error) {
      connection.close();
      throw brokerError(error, address, config);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  get usable(): boolean {
    return !this.#ended && this.#kafkajs.isConnected();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The newest version that both sides know, or undefined where the broker's is below `versionMin`. */
  version(api: ApiName, versionMin: number, versionMax: number): number | undefined {
    const broker = this.#versions[apiKeys[api]];
    if (broker === undefined || broker.minVersion > versionMax) return undefined;
    const version = Math.min(versionMax, broker.maxVersion);
    return version < versionMin ? undefined : version;
  }

  /** `decode` gets the whole answer behind its correlation id. */
  async request<T>(
    api: ApiName,
    version: number,
    options: object,
    decode: (payload: Buffer, version: number) => Answer<T>,
    extraTimeMs = 0,
  ): Promise<T> {
    const { request } = requests[api].protocol({ version })(options);
    const response = {
      decode: async (payload: Buffer) => {
        const { throttleMs, value } = decode(payload, version);
        return { clientSideThrottleTime: throttleMs, value };
      },
      parse: async (decoded: { value: T }) => decoded.value,
    };
    this.#inFlight++;
    try {
      const requestTimeout = extraTimeMs === 0 ? null : this.#requestTimeoutMs + extraTimeMs;
      const sent = this.#kafkajs.send<T>({ request, response, requestTimeout });
      return await Promise.race([sent, this.#closed]);
    } catch (error) {
      const failure = brokerError(error, this.address, this.#config);
      // What failed half-way cannot be told from what is stuck: the next request gets a new connection.
      this.close(failure);
      throw failure;
    } finally {
      this.#inFlight--;
    }
  }

  /** At once, whatever waits (N1). */
  close(reason?: LoadError): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = reason ?? new Error('Closed connection');
    this.#rejectClosed(error);
    this.#kafkajs.rejectRequests(error);
    // With an error, as only then kafkajs ends a connect that is under way, and its timer.
    this.#socket?.destroy(new Error('Closed connection'));
    void this.#kafkajs.disconnect().catch(noLog);
  }

  get #requestTimeoutMs(): number {
    return this.#kafkajs.requestQueue.requestTimeout;
  }

  async #handshake(): Promise<void> {
    await Promise.race([this.#kafkajs.connect(), this.#closed]);
    const ask = requests.ApiVersions.protocol({ version: 2 })();
    const { apiVersions } = await Promise.race([
      this.#kafkajs.send<{
        apiVersions: { apiKey: number; minVersion: number; maxVersion: number }[];
      }>(ask),
      this.#closed,
    ]);
    for (const { apiKey, minVersion, maxVersion } of apiVersions) {
      this.#versions[apiKey] = { minVersion, maxVersion };
    }
    this.#kafkajs.setVersions(this.#versions);
    this.#kafkajs.setSupportAuthenticationProtocol(true);
    await Promise.race([this.#kafkajs.authenticate(), this.#closed]);
  }

  #open(target: { host: string; port: number; onConnect: () => void }): Socket {
    const { host, port, onConnect } = target;
    const socket = tlsOptions(this.#config)
      ? tlsConnect(
          {
            host,
            port,
            ...(isIP(host) === 0 ? { servername: host } : {}),
            ...tlsOptions(this.#config),
          },
          onConnect,
        )
      : netConnect(
          {
            host,
            port,
            // The same memory for all that is read, not a new buffer for each piece; `data` is never emitted then.
            onread: {
              buffer: Buffer.allocUnsafeSlow(READ_BYTES),
              callback: (length, buffer) => {
                this.#kafkajs.processData(Buffer.from(buffer.buffer, buffer.byteOffset, length));
                return true;
              },
            },
          },
          onConnect,
        );
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    // N2: kafkajs listens for `end` and `error`; a socket may close without either, or end before TLS stands.
    socket.once('close', () => this.close());
    this.#socket = socket;
    return socket;
  }
}

function tlsOptions(config: KafkaConfig): object | null {
  if (config.security !== 'ssl' && config.security !== 'sasl_ssl') return null;
  const { ca, certificate, key, keyPassword, checkHostName = true } = config.ssl ?? {};
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(keyPassword === undefined ? {} : { passphrase: keyPassword }),
    // The chain is checked in any case.
    ...(checkHostName ? {} : { checkServerIdentity: () => undefined }),
  };
}
