import { describe, expect, it } from 'vitest';
import { engineError } from './engine-errors.ts';

describe('errors of the engine', () => {
  it.each([
    {
      name: 'a full disk passes: a load tries again',
      text: 'IO Error: Could not write all bytes to file "/d/x.parquet": No space left on device',
      code: 'ENGINE_WRITE',
      transient: true,
    },
    {
      name: 'too little memory passes',
      text: 'Out of Memory Error: failed to allocate data of size 1.0 GiB',
      code: 'ENGINE_MEMORY',
      transient: true,
    },
    {
      name: 'too little space to spill',
      text: "Out of Memory Error: failed to offload data block of size 128.0 KiB (9.4 MiB/9.5 MiB used).\nThis limit was set by the 'max_temp_directory_size' setting.",
      code: 'ENGINE_SPILL',
      transient: true,
    },
    {
      name: 'a wrong statement stays wrong',
      text: 'Binder Error: Referenced column "x" not found in FROM clause!',
      code: 'SQL_ERROR',
      transient: false,
    },
    {
      name: 'the rest is named as it is',
      text: 'Invalid Input Error: strange',
      code: 'ENGINE_ERROR',
      transient: false,
    },
  ])('$name', ({ text, code, transient }) => {
    const found = engineError(new Error(text));
    expect(found).toMatchObject({ code, transient });
  });
});
