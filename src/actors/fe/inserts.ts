/** INSERT: one transaction under a label; OK at VISIBLE, or the answer says that it is only COMMITTED (V2). */
import { LoadError } from '../../base/errors.ts';
import { randomUuid } from '../../base/random.ts';
import type { ColumnSource } from '../../engine/engine.types.ts';
import { encodeBatch } from '../../formats/column-codec.ts';
import type { PartStore } from '../../protocol/bus.types.ts';
import { bytesRef } from '../bytes-ref.ts';
import type { AbortMessage, InsertRunReply, InsertRunRequest, RejectsReply } from '../messages.ts';
import type { InsertRequest, InsertResult } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { TableFact } from './fe-facts.ts';
import { labelKey } from './fe-fold.ts';
import { rejectLine } from './http-routes.ts';
import { placeTarget } from './load-target.ts';
import type { Nodes } from './nodes.ts';
import type { Queries } from './queries.ts';
import type { Txns } from './txns.ts';

const VISIBLE_WAIT_MS = 10_000;

export class Inserts {
  readonly #core: FeCore;
  readonly #nodes: Nodes;
  readonly #txns: Txns;
  readonly #queries: Queries;
  readonly #parts: PartStore;

  constructor(core: FeCore, nodes: Nodes, txns: Txns, queries: Queries, parts: PartStore) {
    this.#core = core;
    this.#nodes = nodes;
    this.#txns = txns;
    this.#queries = queries;
    this.#parts = parts;
  }

  async run(request: InsertRequest, signal: AbortSignal): Promise<InsertResult> {
    const { clock, random, journal } = this.#core;
    this.#nodes.assertDecides();
    const label = request.label ?? `insert_${randomUuid(random)}`;
    const table = journal.head.tables.get(request.tableId);
    if (table === undefined) throw new LoadError('TABLE_DROPPED', 'the table was dropped');
    if (journal.head.labelIndex.has(labelKey(request.dbId, label))) {
      throw new LoadError('LABEL_USED', `Label [${label}] has already been used.`, {
        details: { label },
      });
    }
    const txnId = this.#txns.nextTxnId();
    const beginMs = clock.now();
    let counts = { loaded: 0, filtered: 0 };
    const outcome = await this.#txns.run(
      {
        txnId,
        prepare: async (left) => {
          const be = this.#queries.coordinator();
          const body = await this.#request(request, table, txnId, label, left);
          const reply = await this.#nodes.requestOnce<InsertRunReply>(be, 'insert-run', body, {
            timeoutMs: request.timeoutMs,
            signal: left,
          });
          counts = reply.counts;
          if (request.strict && reply.counts.filtered > 0) {
            throw await this.#filtered(be, txnId, reply);
          }
          return {
            txnId,
            attempt: 1,
            dbId: request.dbId,
            tableId: table.tableId,
            schemaId: table.schema.schemaId,
            label,
            source: 'insert' as const,
            votes: reply.votes,
            progress: {},
            timestamps: {},
            counts: reply.counts,
            rejects: reply.rejects,
            userLabel: request.label !== null,
            beginMs,
          };
        },
        abort: async () => {
          const message: AbortMessage = { fe: this.#core.stamp(), txnId, attempt: 1 };
          await Promise.all(
            this.#nodes
              .alive()
              .map((be) =>
                this.#nodes
                  .request(be, 'abort', message, { timeoutMs: 2_000 })
                  .catch(() => undefined),
              ),
          );
        },
      },
      signal,
    );
    if (!outcome.committed) throw outcome.cause;
    const status = await this.#visible(outcome.visible);
    return { label, txnId, status, loaded: counts.loaded, filtered: counts.filtered };
  }

  /** The first rejected row, as its BE keeps it, so that the statement's own error says what was wrong. */
  async #filtered(
    be: Parameters<Nodes['request']>[0],
    txnId: number,
    reply: InsertRunReply,
  ): Promise<LoadError> {
    const { filtered, loaded } = reply.counts;
    const first = await this.#nodes
      .request<RejectsReply>(be, 'rejects', { txnId }, { timeoutMs: 5_000 })
      .then(({ rejects }) => rejects[0])
      .catch(() => undefined);
    const why = first === undefined ? '' : `; the first: ${rejectLine(first)}`;
    return new LoadError(
      'INSERT_FILTERED',
      `Insert has filtered data: ${filtered} row(s) of ${loaded + filtered}${why}`,
      {
        errno: 5610,
        sqlState: '22000',
        hint: 'SET enable_insert_strict = false loads the other rows',
      },
    );
  }

  /** After `tx_visible_wait_timeout` the answer is COMMITTED: durable, and soon visible. */
  #visible(visible: Promise<void>): Promise<'VISIBLE' | 'COMMITTED'> {
    const { clock } = this.#core;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => resolve('COMMITTED'), VISIBLE_WAIT_MS);
      void visible.then(() => {
        clock.clearTimeout(timer);
        resolve('VISIBLE');
      });
    });
  }

  async #request(
    request: InsertRequest,
    table: TableFact,
    txnId: number,
    label: string,
    signal: AbortSignal,
  ): Promise<InsertRunRequest> {
    const { rows } = request;
    const lower = rows.names.map((name) => name.toLowerCase());
    const sources = table.schema.columns.map((column): ColumnSource => {
      const field = lower.indexOf(column.name.toLowerCase());
      if (field >= 0) return { kind: 'field', field };
      if (column.default?.kind === 'literal') return { kind: 'literal', text: column.default.text };
      if (column.default?.kind === 'current_timestamp') return { kind: 'now' };
      if (column.nullable) return { kind: 'null' };
      throw new LoadError(
        'NO_DEFAULT',
        `Field '${column.name}' is not null but doesn't have a default value`,
        { errno: 1364 },
      );
    });
    return {
      fe: this.#core.stamp(),
      txnId,
      attempt: 1,
      label,
      rows:
        rows.kind === 'batch'
          ? {
              kind: 'batch',
              names: rows.names,
              bytes: bytesRef(encodeBatch(rows.batch), this.#parts),
            }
          : {
              kind: 'query',
              names: rows.names,
              query: await this.#queries.plan(rows.select, rows.tables, request.context, signal),
            },
      transform: {
        schema: table.schema,
        sources,
        strict: request.strict,
        context: request.context,
      },
      target: placeTarget(table, this.#core),
    };
  }
}
