/** Results as the mysql shell prints them. */
import type { ClientResult } from '../protocol/mysql/client.ts';
import { CHARSET_BINARY } from '../protocol/mysql/packets/capabilities.ts';

const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;

export function printResult(result: ClientResult, vertical: boolean): string {
  if (result.kind === 'ok') {
    const { affectedRows, warnings, info } = result;
    const tail = warnings > 0 ? `, ${plural(warnings, 'warning')}` : '';
    const told = info === '' ? '' : `${info}\n`;
    return `Query OK, ${plural(affectedRows, 'row')} affected${tail}\n${told}`;
  }
  if (result.rows.length === 0) return 'Empty set\n';
  return `${vertical ? verticalText(result) : tableText(result)}${plural(result.rows.length, 'row')} in set\n`;
}

type Rows = Extract<ClientResult, { kind: 'rows' }>;

function verticalText({ columns, rows }: Rows): string {
  const width = Math.max(0, ...columns.map(({ name }) => textWidth(name)));
  const lines: string[] = [];
  for (const [i, row] of rows.entries()) {
    const stars = '*'.repeat(27);
    lines.push(`${stars} ${i + 1}. row ${stars}`);
    for (const [j, { name }] of columns.entries()) {
      lines.push(`${' '.repeat(width - textWidth(name))}${name}: ${row[j] ?? 'NULL'}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function tableText({ columns, rows }: Rows): string {
  const shown = rows.map((row) => columns.map((_, i) => row[i] ?? 'NULL'));
  const widths = columns.map(({ name }) => textWidth(name));
  for (const row of shown) {
    for (const [i, value] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, textWidth(value));
  }
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const line = (values: readonly string[], mayPadLeft: boolean): string => {
    const cells = values.map((value, i) => {
      const blanks = ' '.repeat((widths[i] ?? 0) - textWidth(value));
      const isNumber = mayPadLeft && columns[i]?.charset === CHARSET_BINARY;
      return isNumber ? ` ${blanks}${value} ` : ` ${value}${blanks} `;
    });
    return `|${cells.join('|')}|`;
  };
  const head = line(
    columns.map(({ name }) => name),
    false,
  );
  return `${[rule, head, rule, ...shown.map((row) => line(row, true)), rule].join('\n')}\n`;
}

/** Cells of a terminal: East Asian wide characters and emoji take two, combining marks none. */
function textWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/^\p{Mark}$/u.test(character)) continue;
    width +=
      /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]$/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}
