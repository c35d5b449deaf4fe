/** The contract between the HTTP port and the routes, which the caller gives. */
export interface HttpRequest {
  readonly method: string;
  /** As it was sent, without the query. */
  readonly path: string;
  /** Values of the pattern's `:name` segments, decoded once; none holds a separator, NUL or parent step. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
  readonly remoteAddress: string;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** `content-type` defaults to `application/json` for text and `application/octet-stream` otherwise. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | AsyncIterable<string | Uint8Array>;
}

export interface HttpRoute {
  /** GET routes answer HEAD too. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `/api/:db/_load_info`; a last segment `*name` takes all segments that are left, joined by `/`. */
  readonly path: string;
  /** Default 1 MiB. */
  readonly bodyBytesMax?: number;
  /** A `LoadError` becomes status 400 with its code, any other error 500 with a log line. */
  handler(request: HttpRequest): HttpResponse | Promise<HttpResponse>;
}
