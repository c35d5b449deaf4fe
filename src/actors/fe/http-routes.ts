/** What the FE answers over HTTP: rejected rows (ErrorLogUrls) and its health. */
import type { HttpRoute } from '../../protocol/http/http.types.ts';
import type { StoredReject } from '../../storage/tablet-store.types.ts';
import type { FeKernel } from './fe.types.ts';

/** The URL that SHOW ROUTINE LOAD shows for the rejects of a transaction. */
export function errorLogUrl(kernel: FeKernel, ref: { txnId: number; beId: string }): string {
  return `${kernel.httpAddress()}/api/_load_error_log?file=${ref.txnId}_${ref.beId}`;
}

/** One rejected row as a line of the error log. */
export function rejectLine(reject: StoredReject): string {
  const { reason, row, topic, partition, offset, element } = reject;
  const source =
    topic === ''
      ? `row ${offset}`
      : `topic ${topic}, partition ${partition}, offset ${offset}, element ${element}`;
  return `Error: ${reason}. Row: ${row}. Source: ${source}`;
}

export function feRoutes(kernel: FeKernel): HttpRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/health',
      handler: () => ({
        status: 200,
        body: JSON.stringify({
          status: 'OK',
          backends: kernel.backends().map(({ name, alive }) => ({ name, alive })),
        }),
      }),
    },
    {
      method: 'GET',
      path: '/api/_load_error_log',
      async handler({ query }) {
        const match = /^([0-9]{1,16})_([0-9a-zA-Z-]{1,64})$/.exec(query.get('file') ?? '');
        if (match === null) {
          return { status: 400, body: JSON.stringify({ message: 'file=TXN_BE is expected' }) };
        }
        const rows = await kernel.rejects({ txnId: Number(match[1]), beId: match[2] ?? '' });
        const lines = rows.map((row) => `${rejectLine(row)}\n`);
        return {
          status: 200,
          headers: { 'content-type': 'text/plain; charset=utf-8' },
          body: lines.join(''),
        };
      },
    },
  ];
}
