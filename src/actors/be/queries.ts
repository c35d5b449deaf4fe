/** Queries that this BE coordinates (PROTOCOL.md V4), and pins for those of others (V3). */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import type { PartInput, QueryResult, QueryTable } from '../../engine/engine.types.ts';
import { decodeBatch, encodeBatch } from '../../formats/column-codec.ts';
import { bytesRef, readBytesRef } from '../bytes-ref.ts';
import {
  type BytesRef,
  beSubject,
  type PinReply,
  type PinRequest,
  type QueryNextReply,
  type QueryNextRequest,
  type QueryRunReply,
  type QueryRunRequest,
  type QueryTableSpec,
} from '../messages.ts';
import type { BeContext } from './be.ts';

const PIN_TIMEOUT_MS = 30_000;
const IDLE_MS_MAX = 600_000;
/** Of one answer: many small parts together outgrow a message as one large part does (T2). */
const INLINE_IN_ALL_MAX = 64 * 1024;

interface Running {
  readonly result: QueryResult;
  readonly peers: readonly { beId: string; incarnation: string }[];
  timer: unknown;
}

type Respond = <Request, Reply>(
  verb: string,
  handler: (request: Request) => Promise<Reply> | Reply,
) => void;

export class BeQueries {
  readonly #context: BeContext;
  readonly #running = new Map<string, Running>();

  constructor(context: BeContext) {
    this.#context = context;
  }

  respond(respond: Respond): void {
    respond('query-run', async (request: QueryRunRequest): Promise<QueryRunReply> => {
      const { columns } = await this.open(request);
      return { columns };
    });
    respond('query-next', (request: QueryNextRequest) => this.#next(request));
    respond('query-close', async (request: QueryNextRequest) => {
      await this.#close(request.queryId);
      return {};
    });
    respond('pin', (request: PinRequest) => this.#pin(request));
    respond('unpin', (request: QueryNextRequest) => {
      this.#context.store.unpin(request.queryId);
      return {};
    });
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#running.keys()].map((queryId) => this.#close(queryId)));
  }

  /** Runs until `close` of the result, which also unpins here and elsewhere. */
  async open(request: QueryRunRequest): Promise<QueryResult> {
    const { engine, store, clock } = this.#context;
    const { queryId, select, context } = request;
    const peers = this.#peers(request);
    try {
      const tables = await Promise.all(request.tables.map((table) => this.#table(queryId, table)));
      const result = await engine.query({ select, context }, tables);
      const running: Running = { result, peers, timer: undefined };
      this.#running.set(queryId, running);
      running.timer = clock.setTimeout(() => void this.#close(queryId), IDLE_MS_MAX);
      return {
        columns: result.columns,
        batches: result.batches,
        close: () => this.#close(queryId),
      };
    } catch (error) {
      store.unpin(queryId);
      this.#unpinPeers(queryId, peers);
      throw error;
    }
  }

  async #next({ queryId }: QueryNextRequest): Promise<QueryNextReply> {
    const { clock, parts } = this.#context;
    const running = this.#running.get(queryId);
    if (running === undefined) {
      throw new LoadError('QUERY_GONE', `query ${queryId} is not running here`, {
        transient: true,
      });
    }
    clock.clearTimeout(running.timer);
    running.timer = clock.setTimeout(() => void this.#close(queryId), IDLE_MS_MAX);
    const next: IteratorResult<ColumnBatch> = await running.result.batches.next();
    if (next.done === true) return { kind: 'end' };
    return { kind: 'batch', bytes: bytesRef(encodeBatch(next.value), parts) };
  }

  async #close(queryId: string): Promise<void> {
    const running = this.#running.get(queryId);
    if (running === undefined) return;
    this.#running.delete(queryId);
    this.#context.clock.clearTimeout(running.timer);
    await running.result.close();
    this.#context.store.unpin(queryId);
    this.#unpinPeers(queryId, running.peers);
  }

  #unpinPeers(queryId: string, peers: Running['peers']): void {
    const { bus } = this.#context;
    for (const { beId, incarnation } of peers) {
      bus
        .request(beSubject(beId, incarnation, 'unpin'), { queryId }, { timeoutMs: 5_000 })
        .catch(() => undefined);
    }
  }

  #peers(request: QueryRunRequest): { beId: string; incarnation: string }[] {
    const peers = new Map<string, { beId: string; incarnation: string }>();
    for (const table of request.tables) {
      if (table.kind !== 'stored') continue;
      for (const { beId, incarnation } of table.tablets) {
        if (beId !== this.#context.store.beId) peers.set(beId, { beId, incarnation });
      }
    }
    return [...peers.values()];
  }

  async #table(queryId: string, spec: QueryTableSpec): Promise<QueryTable> {
    const { store, bus, parts } = this.#context;
    if (spec.kind === 'rows') {
      const { db, name, columns } = spec;
      const batch = decodeBatch(await readBytesRef(spec.bytes, parts));
      return { kind: 'rows', db, name, columns, batch };
    }
    const byBe = new Map<string, (typeof spec.tablets)[number][]>();
    for (const tablet of spec.tablets) {
      const list = byBe.get(tablet.beId);
      if (list === undefined) byBe.set(tablet.beId, [tablet]);
      else list.push(tablet);
    }
    const found = await Promise.all(
      [...byBe].map(async ([beId, tablets]): Promise<readonly PartInput[]> => {
        const wanted = tablets.map(({ tabletId, version }) => ({ tabletId, version }));
        if (beId === store.beId) return store.pin(queryId, wanted);
        const request: PinRequest = { queryId, tablets: wanted };
        const incarnation = tablets[0]?.incarnation ?? '';
        const reply = await bus.request<PinReply>(beSubject(beId, incarnation, 'pin'), request, {
          timeoutMs: PIN_TIMEOUT_MS,
        });
        return Promise.all(reply.parts.map((part) => this.#input(part)));
      }),
    );
    const { db, name, schema } = spec;
    return { kind: 'stored', db, name, schema, parts: found.flat() };
  }

  async #input(part: PinReply['parts'][number]): Promise<PartInput> {
    const { data, ...rest } = part;
    if (data.kind === 'file') return { ...rest, data };
    const bytes = await readBytesRef(data, this.#context.parts);
    return { ...rest, data: { kind: 'inline', bytes } };
  }

  async #pin(request: PinRequest): Promise<PinReply> {
    const { store, parts } = this.#context;
    const pinned = await store.pin(request.queryId, request.tablets);
    let inline = INLINE_IN_ALL_MAX;
    return {
      parts: pinned.map(({ data, ...rest }) => {
        if (data.kind === 'file') return { ...rest, data };
        inline -= data.bytes.length;
        // A copy goes: what is offered is taken over by the part store.
        const bytes = data.bytes.slice();
        const ref: BytesRef =
          inline > 0 ? bytesRef(bytes, parts) : { kind: 'part', ref: parts.offer(bytes) };
        return { ...rest, data: ref };
      }),
    };
  }
}
