/** Queries that this BE coordinates (PROTOCOL.md V4), and pins for those of others (V3). */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import type { PartInput, QueryResult, QueryTable } from '../../engine/engine.types.ts';
import { decodeBatch, encodeBatch } from '../../formats/column-codec.ts';
import type { PartStore } from '../../protocol/bus.types.ts';
import { bytesRef, readBytesRef } from '../bytes-ref.ts';
import {
  type BytesRef,
  beSubject,
  type PinReply,
  type PinRequest,
  type QueryAliveReply,
  type QueryAliveRequest,
  type QueryEndRequest,
  type QueryNextRequest,
  type QueryPiece,
  type QueryRunReply,
  type QueryRunRequest,
  type QueryTableSpec,
} from '../messages.ts';
import type { BeContext } from './be.ts';
import { gather } from './gather.ts';
import { PinLeases } from './pin-leases.ts';
import { rememberSchema } from './schemas.ts';

const PIN_TIMEOUT_MS = 30_000;
/** More than run at a time. */
const ASKED_MAX = 1_024;
const IDLE_MS_MAX = 600_000;
/** Of a message to the FE; a small result goes with the first. */
const PIECE = { rows: 8 * 1024, bytes: 32 * 1024 };
/** Of one answer: many small parts together outgrow a message as one large part does (T2). */
const INLINE_IN_ALL_MAX = 64 * 1024;
/** Of the list of parts as JSON, with what is inline in it. */
const LIST_IN_MESSAGE_MAX = 160 * 1024;

interface Place {
  readonly beId: string;
  readonly incarnation: string;
}

interface Running {
  readonly result: QueryResult;
  readonly peers: readonly Place[];
  timer: unknown;
  /** The last piece that was asked for. */
  answered: { readonly seq: number; readonly reply: Promise<QueryPiece> } | null;
}

type Respond = <Request, Reply>(
  verb: string,
  handler: (request: Request) => Promise<Reply> | Reply,
) => void;

export class BeQueries {
  readonly #context: BeContext;
  readonly #running = new Map<string, Running>();
  /** Queries that have no result yet: a close that comes so early stops them. */
  readonly #opening = new Map<string, AbortController>();
  readonly #pins: PinLeases;
  /** The newest queries by id, running or over; null: closed, and its first rows are forgotten. */
  readonly #asked = new Map<string, Promise<QueryRunReply> | null>();

  constructor(context: BeContext) {
    this.#context = context;
    this.#pins = new PinLeases(context);
  }

  respond(respond: Respond): void {
    respond('query-run', (request: QueryRunRequest): Promise<QueryRunReply> => {
      // A request may arrive twice (bus contract B2): a second run would begin the rows anew.
      const known = this.#asked.get(request.queryId);
      if (known === null) throw gone(request.queryId);
      if (known !== undefined) return known;
      const reply = this.#run(request);
      this.#remember(request.queryId, reply);
      return reply;
    });
    respond('query-next', (request: QueryNextRequest) => this.#next(request));
    respond('query-close', async (request: QueryEndRequest) => {
      this.#remember(request.queryId, null);
      await this.#close(request.queryId);
      return {};
    });
    respond('query-alive', ({ queryIds }: QueryAliveRequest): QueryAliveReply => {
      return { alive: queryIds.filter((id) => this.#running.has(id) || this.#opening.has(id)) };
    });
    respond('pin', (request: PinRequest) => this.#pin(request));
    respond('unpin', (request: QueryEndRequest) => {
      this.#pins.release(request.queryId);
      return {};
    });
  }

  #remember(queryId: string, reply: Promise<QueryRunReply> | null): void {
    this.#asked.set(queryId, reply);
    const oldest = this.#asked.size > ASKED_MAX ? this.#asked.keys().next().value : undefined;
    if (oldest !== undefined) this.#asked.delete(oldest);
  }

  async close(): Promise<void> {
    this.#pins.close();
    const queryIds = [...this.#opening.keys(), ...this.#running.keys()];
    await Promise.allSettled(queryIds.map((queryId) => this.#close(queryId)));
  }

  /** Runs until its end, an error, or `close` of the result; each of them unpins here and elsewhere. */
  async open(request: QueryRunRequest): Promise<QueryResult> {
    const { engine, store } = this.#context;
    const { queryId, select, context } = request;
    const peers = this.#peers(request);
    const stop = new AbortController();
    this.#opening.set(queryId, stop);
    try {
      // All of them, also when one has failed: a pin that came after the unpin would stay.
      const tables = await settled(request.tables.map((table) => this.#table(queryId, table)));
      stop.signal.throwIfAborted();
      const result = await engine.query({ select, context }, tables, stop.signal);
      if (stop.signal.aborted) await result.close();
      stop.signal.throwIfAborted();
      const running: Running = { result, peers, timer: undefined, answered: null };
      this.#running.set(queryId, running);
      this.#expectNext(queryId, running);
      return {
        columns: result.columns,
        batches: this.#pull(queryId, result),
        close: () => this.#close(queryId),
      };
    } catch (error) {
      store.unpin(queryId);
      this.#unpinPeers(queryId, peers);
      throw error;
    } finally {
      this.#opening.delete(queryId);
    }
  }

  /** For INSERT … SELECT, which pulls here and not by messages. */
  async *#pull(queryId: string, result: QueryResult): AsyncGenerator<ColumnBatch, undefined> {
    const running = this.#running.get(queryId);
    // It lives as long as the statement does, however long its rows take to be stored.
    if (running !== undefined) this.#context.clock.clearTimeout(running.timer);
    try {
      yield* result.batches;
    } finally {
      await this.#close(queryId);
    }
  }

  async #run(request: QueryRunRequest): Promise<QueryRunReply> {
    const { columns } = await this.open(request);
    return { columns, first: await this.#pullNext(request.queryId) };
  }

  #next({ queryId, seq }: QueryNextRequest): Promise<QueryPiece> {
    const answered = this.#running.get(queryId)?.answered;
    if (answered?.seq === seq) return answered.reply;
    const reply = this.#pullNext(queryId);
    const running = this.#running.get(queryId);
    if (running !== undefined) running.answered = { seq, reply };
    return reply;
  }

  async #pullNext(queryId: string): Promise<QueryPiece> {
    const { clock, parts } = this.#context;
    const running = this.#running.get(queryId);
    if (running === undefined) throw gone(queryId);
    // While it works nobody is idle.
    clock.clearTimeout(running.timer);
    try {
      const { batch, isLast } = await gather(running.result.batches, PIECE);
      if (isLast) await this.#close(queryId);
      else if (this.#running.has(queryId)) this.#expectNext(queryId, running);
      return { bytes: batch === null ? null : bytesRef(encodeBatch(batch), parts), isLast };
    } catch (error) {
      await this.#close(queryId);
      throw error;
    }
  }

  #expectNext(queryId: string, running: Running): void {
    running.timer = this.#context.clock.setTimeout(() => void this.#close(queryId), IDLE_MS_MAX);
  }

  async #close(queryId: string): Promise<void> {
    this.#opening.get(queryId)?.abort(cancelled(queryId));
    const running = this.#running.get(queryId);
    if (running === undefined) return;
    this.#running.delete(queryId);
    this.#context.clock.clearTimeout(running.timer);
    await running.result.close();
    this.#context.store.unpin(queryId);
    this.#unpinPeers(queryId, running.peers);
  }

  #unpinPeers(queryId: string, peers: readonly Place[]): void {
    const { bus } = this.#context;
    for (const { beId, incarnation } of peers) {
      bus
        .request(beSubject(beId, incarnation, 'unpin'), { queryId }, { timeoutMs: 5_000 })
        .catch(() => undefined);
    }
  }

  #peers(request: QueryRunRequest): Place[] {
    const peers = new Map<string, Place>();
    for (const table of request.tables) {
      if (table.kind !== 'stored') continue;
      for (const { beId, incarnation } of table.tablets) {
        if (beId !== this.#context.store.beId) peers.set(beId, { beId, incarnation });
      }
    }
    return [...peers.values()];
  }

  async #table(queryId: string, spec: QueryTableSpec): Promise<QueryTable> {
    const { store, bus, parts, schemas } = this.#context;
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
    rememberSchema(schemas, spec.schema);
    const coordinator = { beId: store.beId, incarnation: store.incarnation };
    const found = await settled(
      [...byBe].map(async ([beId, tablets]): Promise<readonly PartInput[]> => {
        const wanted = tablets.map(({ tabletId, version }) => ({ tabletId, version }));
        if (beId === store.beId) return store.pin(queryId, wanted);
        const request: PinRequest = { queryId, tablets: wanted, coordinator, schema: spec.schema };
        const incarnation = tablets[0]?.incarnation ?? '';
        const reply = await bus.request<PinReply>(beSubject(beId, incarnation, 'pin'), request, {
          timeoutMs: PIN_TIMEOUT_MS,
        });
        const listed = await unpack(reply, parts);
        return settled(listed.map((part) => this.#input(part)));
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
    const { store, parts, schemas } = this.#context;
    const pinned = await store.pin(request.queryId, request.tablets);
    if (request.schema !== undefined) rememberSchema(schemas, request.schema);
    if (request.coordinator !== undefined) this.#pins.hold(request.queryId, request.coordinator);
    let inline = INLINE_IN_ALL_MAX;
    const listed = pinned.map(({ data, ...rest }) => {
      if (data.kind === 'file') return { ...rest, data };
      inline -= data.bytes.length;
      // A copy goes: what is offered is taken over by the part store.
      const bytes = data.bytes.slice();
      const ref: BytesRef =
        inline > 0 ? bytesRef(bytes, parts) : { kind: 'part', ref: parts.offer(bytes) };
      return { ...rest, data: ref };
    });
    return pack({ parts: listed }, parts);
  }
}

/** T2: the list alone may outgrow a message before compaction has caught up. */
function pack(reply: PinReply, parts: PartStore): PinReply {
  const list = JSON.stringify(reply.parts);
  if (list.length <= LIST_IN_MESSAGE_MAX) return reply;
  const bytes = Buffer.from(list, 'utf8');
  return { parts: [], packed: { kind: 'part', ref: parts.offer(new Uint8Array(bytes)) } };
}

async function unpack(reply: PinReply, parts: PartStore): Promise<PinReply['parts']> {
  if (reply.packed === undefined) return reply.parts;
  const bytes = await readBytesRef(reply.packed, parts);
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as PinReply['parts'];
}

/** As `Promise.all`, but nothing is under way any more when it rejects. */
async function settled<R>(promises: readonly Promise<R>[]): Promise<R[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

function gone(queryId: string): LoadError {
  return new LoadError('QUERY_GONE', `query ${queryId} is not running here`, { transient: true });
}

function cancelled(queryId: string): LoadError {
  return new LoadError('QUERY_CANCELLED', `query ${queryId} was closed`, {
    errno: 1317,
    sqlState: '70100',
  });
}
