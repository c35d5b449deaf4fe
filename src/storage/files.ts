/**
 * The file port of the tablet store, and the one place that syncs files and folders (PROTOCOL.md D5): nothing is
 * assumed to do it for us.
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestHex, digestOf } from './digest.ts';

export interface FileDigest {
  readonly length: number;
  /** CRC32C, eight hex digits. */
  readonly digest: string;
}

export interface Files {
  makeDirectory(path: string): Promise<void>;
  /** Names of what is in a folder. */
  list(path: string): Promise<string[]>;
  /** Moves a file to a name that was never used. Not durable before both syncs. */
  adopt(from: string, to: string): Promise<void>;
  syncFile(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Of the whole file, read in pieces. */
  digest(path: string): Promise<FileDigest>;
  /** A file that is gone already is fine. */
  remove(path: string): Promise<void>;
  freeBytes(path: string): Promise<number>;
}

const DIGEST_BYTES = 512 * 1024;

export const nodeFiles: Files = {
  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true });
    if (first !== undefined) await syncPath(dirname(first));
  },
  list: (path) => readdir(path),
  async adopt(from, to) {
    try {
      await rename(from, to);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EXDEV') throw error;
      await copyFile(from, to, constants.COPYFILE_EXCL);
      await unlink(from);
    }
  },
  syncFile: syncPath,
  syncDirectory: syncPath,
  async digest(path) {
    let length = 0;
    let crc = 0;
    // The same memory for every piece: a stream would take new memory as large as the file.
    const buffer = Buffer.allocUnsafeSlow(DIGEST_BYTES);
    const file = await open(path, 'r');
    try {
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, DIGEST_BYTES, length);
        if (bytesRead === 0) return { length, digest: digestHex(crc) };
        length += bytesRead;
        crc = digestOf(buffer.subarray(0, bytesRead), crc);
      }
    } finally {
      await file.close();
    }
  },
  remove: (path) => rm(path, { force: true }),
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

/** The file has all of the text, or is as it was before; durable when it resolves. */
export async function writeFileDurably(path: string, text: string): Promise<void> {
  const half = `${path}.new`;
  const file = await open(half, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(half, path);
  await syncPath(join(path, '..'));
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
