/**
 * JSON text as a JSON column shows it (semantics.md 1.1): a blank behind `:` and `,`, keys sorted; numbers keep their
 * digits. Written by a walk over the text, since JSON.parse would lose digits of large numbers.
 */
const DEPTH_MAX = 128;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): string | undefined {
    const value = this.#value(0);
    this.#blanks();
    return this.#at === this.#text.length ? value : undefined;
  }

  #blanks(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #value(depth: number): string | undefined {
    if (depth > DEPTH_MAX) return undefined;
    this.#blanks();
    const char = this.#text[this.#at];
    if (char === '{') return this.#object(depth);
    if (char === '[') return this.#array(depth);
    if (char === '"') return this.#string();
    return this.#match(/(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)/y);
  }

  #string(): string | undefined {
    const raw = this.#match(/"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    return raw === undefined ? undefined : JSON.stringify(JSON.parse(raw));
  }

  #array(depth: number): string | undefined {
    this.#at += 1;
    const items: string[] = [];
    this.#blanks();
    if (this.#match(/\]/y) !== undefined) return '[]';
    for (;;) {
      const item = this.#value(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      this.#blanks();
      const next = this.#match(/[,\]]/y);
      if (next === ']') return `[${items.join(', ')}]`;
      if (next === undefined) return undefined;
    }
  }

  #object(depth: number): string | undefined {
    this.#at += 1;
    const items = new Map<string, string>();
    this.#blanks();
    if (this.#match(/\}/y) !== undefined) return '{}';
    for (;;) {
      this.#blanks();
      const key = this.#string();
      this.#blanks();
      if (key === undefined || this.#match(/:/y) === undefined) return undefined;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      if (!items.has(key)) items.set(key, value);
      this.#blanks();
      const next = this.#match(/[,}]/y);
      if (next === '}') break;
      if (next === undefined) return undefined;
    }
    const sorted = [...items].sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${sorted.map(([key, value]) => `${key}: ${value}`).join(', ')}}`;
  }
}

/** `undefined`: no JSON. */
export function normalJson(text: string): string | undefined {
  return new Reader(text).whole();
}
