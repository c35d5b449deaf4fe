/**
 * What the parser files share: a cursor over tokens that remembers what would have been accepted at the
 * current token, which is what its errors name.
 *
 *   P1. Nesting is bounded while parsing, and so is the height of the tree: whoever walks it may recurse.
 *   P2. The number of nodes of one request is bounded, and with it the memory of its trees.
 */

import { LoadError } from '../base/errors.ts';
import type { PreparedValue } from '../protocol/mysql/mysql.types.ts';
import type { Expr } from './ast/expr.ts';
import { Lexer, type Token } from './lexer.ts';
import { RESERVED_WORDS } from './reserved-words.ts';
import { END_OF_INPUT, nearest, statementError, syntaxError } from './syntax-error.ts';

export const NESTING_MAX = 200;
export const HEIGHT_MAX = 1000;
export const NODES_MAX = 1_000_000;

export const A_NAME = 'a legal identifier';

export class TokenCursor {
  readonly sql: string;
  /** Height of what was parsed last (P1); kept by `nested` and by the loops that build leaning trees. */
  height = 0;
  readonly #lexer: Lexer;
  readonly #params: readonly PreparedValue[] | undefined;
  readonly #ahead: Token[] = [];
  #current: Token;
  #previous: Token | undefined;
  #expected: string[] = [];
  #expectedBefore: string[] = [];
  #depth = 0;
  #nodes = 0;
  #paramsUsed = 0;

  constructor(sql: string, params?: readonly PreparedValue[]) {
    this.sql = sql;
    this.#params = params;
    this.#lexer = new Lexer(sql);
    this.#current = this.#lexer.next();
  }

  get token(): Token {
    return this.#current;
  }

  /** The end of the last token taken. */
  get endOfPrevious(): number {
    return this.#previous?.end ?? 0;
  }

  peek(ahead: number): Token {
    if (ahead === 0) return this.#current;
    while (this.#ahead.length < ahead) this.#ahead.push(this.#lexer.next());
    return this.#ahead[ahead - 1]!;
  }

  advance(): Token {
    const token = this.#current;
    this.#previous = token;
    this.#current = this.#ahead.shift() ?? this.#lexer.next();
    const before = this.#expectedBefore;
    this.#expectedBefore = this.#expected;
    before.length = 0;
    this.#expected = before;
    return token;
  }

  /** Whether the current token is this keyword or operator; if not, it is one of what was expected. */
  at(word: string): boolean {
    if (this.#current.upper === word) return true;
    this.#expected.push(word);
    return false;
  }

  /** The same for the words of a phrase in a row. */
  atPhrase(...words: readonly string[]): boolean {
    if (!this.at(words[0]!)) return false;
    return words.every((word, i) => this.peek(i).upper === word);
  }

  accept(word: string): boolean {
    if (!this.at(word)) return false;
    this.advance();
    return true;
  }

  acceptPhrase(...words: readonly string[]): boolean {
    if (!this.atPhrase(...words)) return false;
    for (const _ of words) this.advance();
    return true;
  }

  acceptOneOf(...words: readonly string[]): string | undefined {
    const found = words.find((word) => this.#current.upper === word);
    if (found === undefined) this.#expected.push(...words);
    else this.advance();
    return found;
  }

  expect(...words: readonly string[]): void {
    for (const word of words) if (!this.accept(word)) this.fail();
  }

  expectOneOf(...words: readonly string[]): string {
    return this.acceptOneOf(...words) ?? this.fail();
  }

  /** Adds to what errors at this token name. */
  wants(...expected: readonly string[]): void {
    this.#expected.push(...expected);
  }

  /** Whether the current token is a name; reserved words are none. */
  atName(): boolean {
    const { kind, upper } = this.#current;
    if (kind === 'quoted' || (kind === 'word' && !RESERVED_WORDS.has(upper))) return true;
    this.#expected.push(A_NAME);
    return false;
  }

  name(): string {
    if (this.atName()) return this.advance().value;
    const { kind, value } = this.#current;
    const hint =
      kind === 'word' ? `"${value}" is a reserved word: as a name it needs backquotes` : undefined;
    return this.fail(hint);
  }

  /** After a dot reserved words are names too. */
  nameAfterDot(): string {
    if (this.#current.kind === 'word') return this.advance().value;
    return this.name();
  }

  string(what = 'a string'): string {
    if (this.#current.kind === 'string') return this.advance().value;
    this.wants(what);
    return this.fail();
  }

  /** A whole number that fits a double exactly. */
  integer(): number {
    const { kind, value } = this.#current;
    if (kind === 'parameter') {
      const literal = this.parameter();
      const number = literal.kind === 'number' ? Number(literal.text) : Number.NaN;
      if (Number.isSafeInteger(number)) return number;
      throw statementError('SQL_PARAMETER', this.#previous!, 'the parameter is no whole number');
    }
    if (kind !== 'number' || !/^[0-9]+$/.test(value)) {
      this.wants('a whole number');
      return this.fail();
    }
    const number = Number(value);
    if (!Number.isSafeInteger(number)) return this.refuse(`the number ${value} is too large`);
    this.advance();
    return number;
  }

  /** The current `?`, as the literal that its value makes. */
  parameter(): Expr {
    const values = this.#params;
    if (values === undefined) {
      return this.fail('placeholders belong to prepared statements');
    }
    const index = this.#paramsUsed++;
    if (index >= values.length) {
      return this.refuse(`the statement has more placeholders than the ${values.length} values`);
    }
    this.advance();
    return literalOf(values[index]!);
  }

  get paramsUsed(): number {
    return this.#paramsUsed;
  }

  countNode(): void {
    if (++this.#nodes > NODES_MAX) {
      throw statementError(
        'SQL_TOO_LARGE',
        this.#current,
        `the statement has more than ${NODES_MAX} expressions and names`,
        'split it into several statements',
      );
    }
  }

  /** One level down (P1). */
  nested<T>(parse: () => T): T {
    if (++this.#depth > NESTING_MAX) this.#tooDeep(`${NESTING_MAX} levels`);
    const outer = this.height;
    this.height = 0;
    const result = parse();
    const own = this.height;
    this.height = outer;
    this.grow(own + 1);
    this.#depth--;
    return result;
  }

  /** What was parsed last is at least this high. */
  grow(height: number): void {
    if (height > this.height) this.height = height;
    if (this.height > HEIGHT_MAX) this.#tooDeep(`${HEIGHT_MAX} operators in a row`);
  }

  #tooDeep(what: string): never {
    throw statementError(
      'SQL_TOO_DEEP',
      this.#current,
      `the statement is nested too deeply: more than ${what}`,
      'use IN (…), or split the statement',
    );
  }

  list<T>(parse: () => T): T[] {
    const items: T[] = [];
    do {
      this.countNode();
      items.push(parse());
    } while (this.accept(','));
    return items;
  }

  inParentheses<T>(parse: () => T): T {
    this.expect('(');
    const result = parse();
    this.expect(')');
    return result;
  }

  fail(hint?: string): never {
    const { kind, line, column, start, end } = this.#current;
    const found = kind === 'end' ? END_OF_INPUT : this.sql.slice(start, Math.min(end, start + 65));
    throw syntaxError({ line, column, found, expected: this.#expected }, hint ?? this.#slip());
  }

  /** `SELECT a FORM t` fails at `t`, after FORM was taken for an alias. */
  #slip(): string | undefined {
    const previous = this.#previous;
    if (previous?.kind !== 'word' || RESERVED_WORDS.has(previous.upper)) return undefined;
    const meant = nearest(previous.value, [...this.#expected, ...this.#expectedBefore])[0];
    return meant === undefined
      ? undefined
      : `did you mean ${meant} instead of "${previous.value}"?`;
  }

  /** Understood, but not to be had. */
  refuse(detail: string, hint?: string): never {
    throw statementError('SQL_SYNTAX', this.#current, `${detail}.`, hint);
  }
}

function literalOf(value: PreparedValue): Expr {
  if (value === null) return { kind: 'null' };
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'bigint') return numberOf(value.toString());
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) {
      throw new LoadError('SQL_PARAMETER', 'a parameter is no finite number');
    }
    return numberOf(Object.is(value, -0) ? '0' : String(value).replace('e+', 'e'));
  }
  return { kind: 'string', value: Buffer.from(value).toString('utf8') };
}

/** Literals have no sign of their own. */
function numberOf(text: string): Expr {
  if (!text.startsWith('-')) return { kind: 'number', text };
  return { kind: 'unary', op: '-', arg: { kind: 'number', text: text.slice(1) } };
}
