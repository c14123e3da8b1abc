/**
 * Findings as a page for a terminal: a verdict first, then sections of names and values. Colour only says again what
 * the words say.
 */

import type { Findings } from './examine';
import { aboutFallback } from './remedies';

const paints = { good: '32', bad: '31', quiet: '2', head: '1' } as const;

/** A page that lines are added to. */
export class Page {
  readonly #lines: string[] = [];
  readonly #colour: boolean;

  constructor(colour: boolean) {
    this.#colour = colour;
  }

  paint(how: keyof typeof paints, text: string): string {
    return this.#colour ? `\x1b[${paints[how]}m${text}\x1b[0m` : text;
  }

  line(text: string, how?: keyof typeof paints): void {
    this.#lines.push(how === undefined ? text : this.paint(how, text));
  }

  head(title: string): void {
    this.#lines.push('', this.paint('head', title));
  }

  /** Names and values in two columns under a title; nothing where there are none. */
  section(title: string, entries: Readonly<Record<string, unknown>>): void {
    const rows = Object.entries(entries).flatMap(([name, value]) => flatten(name, value));
    if (rows.length === 0) return;
    this.head(title);
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, value] of rows) this.#lines.push(`  ${name.padEnd(width)}  ${value}`);
  }

  list(title: string, texts: readonly string[]): void {
    if (texts.length === 0) return;
    this.head(title);
    for (const text of texts) this.#lines.push(`  ${text}`);
  }

  toString(): string {
    return this.#lines.join('\n');
  }
}

/** Renders the findings; `colour` for terminals. */
export function renderTable(findings: Findings, colour: boolean): string {
  const page = new Page(colour);
  if (findings.active) page.line('active: programs run on tsloop here', 'good');
  else page.line(`not active: ${describe(findings.reason)}`, 'bad');
  if (findings.remedy !== null) page.line(findings.remedy);
  for (const text of findings.problems) page.line(text, 'bad');
  if (findings.driver !== null) page.line(`driver: ${describe(findings.driver)}`);
  page.section(
    'Parts',
    Object.fromEntries(findings.parts.map(({ name, on, why }) => [name, `${on ? 'on ' : 'off'}  ${why}`])),
  );
  page.section('Round trips', findings.trips);
  page.section(
    "Fell back to Node's handles",
    Object.fromEntries(
      Object.entries(findings.fallbacks).map(([why, count]) => [why, `${count}  ${aboutFallback(why)}`]),
    ),
  );
  page.section("Node's by design", findings.byDesign);
  page.list('Worth knowing', findings.advice);
  page.list('To switch it on', [`NODE_OPTIONS='${findings.nodeOptions}'`]);
  page.section('Versions', findings.versions);
  page.section('This machine', { ...findings.machine });
  page.section('Settings', findings.settings);
  page.list(
    'Said by the probe',
    findings.warnings.map((text) => page.paint('quiet', text)),
  );
  return page.toString();
}

/** Nested objects become dotted names: a page has two columns. */
function flatten(name: string, value: unknown): [string, string][] {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([inner, part]) => flatten(`${name}.${inner}`, part));
  }
  return [[name, describe(value)]];
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(describe).join(', ');
  if (typeof value === 'object') {
    const { message, code } = value as { message?: unknown; code?: unknown };
    return message === undefined ? JSON.stringify(value) : `${message}${code == null ? '' : ` [${code}]`}`;
  }
  return String(value);
}
