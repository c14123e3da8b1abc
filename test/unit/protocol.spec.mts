/** The numbers that cross the border stand on either side of it: what `lib/` reads by name is what the native part writes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { COUNTERS, Counter } from '../../dist/native/counters.js';
import * as protocol from '../../dist/native/protocol.js';
import { root } from '../support/nodes.mjs';

const source = (path: string): string => readFileSync(join(root, 'native', path), 'utf8');

/** `SHOUTED_NAME` or `ProperName` as `lib/` writes it. */
const named = (name: string): string => {
  const words = name.includes('_') || name === name.toUpperCase() ? name.toLowerCase().split('_') : [name];
  return words
    .map((word, index) => (index === 0 ? word[0]?.toLowerCase() : word[0]?.toUpperCase()) + word.slice(1))
    .join('');
};

/** `const NAME: type = number;` in a stretch of Rust, by `lib/`'s name. */
function constants(text: string): Record<string, number> {
  const found = text.matchAll(/const (\w+): \w+ = (-?[\d_]+(?: \* [\d_]+)*);/g);
  return Object.fromEntries(
    Array.from(found, ([, name = '', value = '']) => [
      name,
      value.split(' * ').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1),
    ]),
  );
}

const renamed = (values: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [named(name), value]));

/** The body of a Rust item up to the brace that ends it at the margin. */
function body(text: string, head: RegExp): string {
  const found = new RegExp(`${head.source} \\{\\n(.*?)\\n\\}`, 's').exec(text);
  if (found === null) throw new Error(`no ${head.source}`);
  return found[1] as string;
}

describe('numbers on both sides of the border', () => {
  it('events', () => {
    const variants = body(source('core/src/event.rs'), /pub enum Op/).matchAll(/^ {4}(\w+) = (\d+),/gm);
    const events = Object.fromEntries(Array.from(variants, ([, name = '', value]) => [named(name), Number(value)]));
    expect(Object.keys(events).length).to.be.above(10);
    expect(events).to.deep.equal({ ...protocol.Event });
  });

  it('commands', () => {
    const { openProcess, ...commands } = renamed(constants(body(source('core/src/command.rs'), /pub mod op/)));
    expect(openProcess, 'asked for by native code alone').to.be.a('number');
    expect(Object.keys(commands).length).to.be.above(10);
    expect(commands).to.deep.equal({ ...protocol.Command });
  });

  it('counters, in their order', () => {
    const text = source('node/src/counters.rs');
    const list = /let whole = \[\n(.*?)\n {4}\];/s.exec(text)?.[1] as string;
    // One a line: what is counted, what is there, what waits; the name is the last but for what `lib/` calls otherwise.
    const names = Array.from(list.matchAll(/^ {8}(?:u64::from\()?(?:\w+\.)?(\w+)/gm), ([, name = '']) => named(name));
    expect([...names, 'driverTime']).to.deep.equal(Object.keys(Counter));
    expect(Object.values(Counter)).to.deep.equal(Array.from({ length: COUNTERS }, (_, index) => index));
    expect(constants(text)).to.deep.equal({ VALUES: COUNTERS });
  });

  it('control words', () => {
    const { words, ...control } = renamed(constants(body(source('node/src/env.rs'), /pub\(crate\) mod control/)));
    expect(words).to.equal(protocol.CONTROL_WORDS);
    const { applied, appliedBytes, pressures, ...rest } = protocol.Control;
    expect(control).to.deep.equal({ applied, ...rest });
    // The core adds them up as three words in a row.
    expect([appliedBytes, pressures]).to.deep.equal([applied + 1, applied + 2]);
  });

  it('flags and sizes of the same name', () => {
    const native = ['command', 'event', 'limits'].map((file) => constants(source(`core/src/${file}.rs`)));
    const all: Record<string, number> = Object.assign({}, ...native);
    const ours = Object.entries(protocol).filter(([, value]) => typeof value === 'number');
    const both = ours.filter(([name]) => Object.hasOwn(all, name));
    expect(both.length).to.be.above(12);
    expect(Object.fromEntries(both.map(([name]) => [name, all[name]]))).to.deep.equal(Object.fromEntries(both));
    expect(protocol.EVENT_WORDS).to.equal(all['WORDS']);
    expect(protocol.HEADER_BYTES).to.equal(all['HEADER']);
  });
});
