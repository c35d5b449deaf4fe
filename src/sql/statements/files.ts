/**
 * CREATE, DROP and SHOW FILE: small files in the catalog, such as the authority of a Kafka cluster (`FILE:ca.pem`).
 * The content comes from `url` (http or https, fetched once by the FE) or, ours, from the property `content`.
 */
import { createHash } from 'node:crypto';
import type { FeKernel } from '../../actors/fe/fe.types.ts';
import type { FileFact } from '../../actors/fe/fe-facts.ts';
import { LoadError } from '../../base/errors.ts';
import type { Property, Statement } from '../ast/statement.ts';
import type { Row } from '../eval.ts';

export const FILE_COLUMNS = [
  'Id',
  'DbName',
  'Catalog',
  'FileName',
  'FileSize',
  'IsContent',
  'MD5',
] as const;

const FILE_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 100;
const DOWNLOAD_MS = 30_000;
const NAME = /^[-_.A-Za-z0-9]{1,256}$/;

type Create = Extract<Statement, { kind: 'createFile' }>;
type Drop = Extract<Statement, { kind: 'dropFile' }>;

function bad(message: string, hint?: string): LoadError {
  return new LoadError('FILE', message, { errno: 1064, ...(hint === undefined ? {} : { hint }) });
}

function readProperties(
  properties: readonly Property[],
  known: readonly string[],
): ReadonlyMap<string, string> {
  const given = new Map(properties.map(({ key, value }) => [key.toLowerCase(), value]));
  for (const key of given.keys()) {
    if (!known.includes(key)) throw bad(`${key} is invalid property`, `known: ${known.join(', ')}`);
  }
  if (!given.get('catalog')) throw bad('catalog name is missing', '"catalog" = "kafka"');
  return given;
}

function find(kernel: FeKernel, dbId: number, catalog: string, name: string) {
  return [...kernel.head.files.values()].find(
    (file) => file.dbId === dbId && file.catalog === catalog && file.name === name,
  );
}

export async function createFile(
  kernel: FeKernel,
  statement: Create,
  dbId: number,
  signal: AbortSignal,
): Promise<void> {
  const { name } = statement;
  if (!NAME.test(name)) {
    throw bad(`Incorrect file name '${name}'`, 'letters, digits, "-", "_" and "." up to 256');
  }
  const given = readProperties(statement.properties, [
    'catalog',
    'url',
    'content',
    'md5',
    'save_content',
  ]);
  const catalog = given.get('catalog') ?? '';
  const content = await readContent(kernel, given, signal);
  const bytes = Buffer.byteLength(content);
  if (bytes === 0) throw bad(`file ${name} is empty`);
  if (bytes > FILE_BYTES_MAX) {
    throw bad(`file ${name} has ${bytes} bytes, at most ${FILE_BYTES_MAX} are kept`);
  }
  const md5 = createHash('md5').update(content).digest('hex');
  const wanted = given.get('md5');
  if (wanted !== undefined && wanted.toLowerCase() !== md5) {
    throw bad(`Invalid md5 of file ${name}: expected ${wanted}, got ${md5}`);
  }
  // From here one turn: checks against the head fold and the entry.
  if (!kernel.head.dbs.has(dbId)) throw bad('the database was dropped');
  if (find(kernel, dbId, catalog, name) !== undefined) throw bad(`File ${name} already exist`);
  if (kernel.head.files.size >= FILES_MAX) {
    throw bad(`there are ${FILES_MAX} files, which is the most`, 'DROP FILE makes room');
  }
  const file: FileFact = { fileId: kernel.nextId(), dbId, catalog, name, md5, content };
  await kernel.append({ type: 'file.created', file, atMs: kernel.clock.now() });
}

async function readContent(
  kernel: FeKernel,
  given: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<string> {
  const url = given.get('url');
  const content = given.get('content');
  if ((url === undefined) === (content === undefined)) {
    throw bad('url is missing', 'give "url" or "content", one of them');
  }
  if (content !== undefined) return content;
  return kernel.download(url ?? '', { bytesMax: FILE_BYTES_MAX, timeoutMs: DOWNLOAD_MS, signal });
}

export async function dropFile(kernel: FeKernel, statement: Drop, dbId: number): Promise<void> {
  const given = readProperties(statement.properties, ['catalog']);
  const catalog = given.get('catalog') ?? '';
  const file = find(kernel, dbId, catalog, statement.name);
  if (file === undefined) {
    throw bad(`File ${statement.name} does not exist in db ${dbId} with catalog: ${catalog}`);
  }
  await kernel.append({ type: 'file.dropped', fileId: file.fileId, atMs: kernel.clock.now() });
}

/** Never the content: a file may be a private key. */
export function fileRows(kernel: FeKernel, dbId: number): Row[] {
  const { files, dbs } = kernel.durable;
  return [...files.values()]
    .filter((file) => file.dbId === dbId)
    .map(({ fileId, catalog, name, content, md5 }) => [
      String(fileId),
      dbs.get(dbId)?.name ?? String(dbId),
      catalog,
      name,
      String(Buffer.byteLength(content)),
      'true',
      md5,
    ]);
}
