// @ts-check
// The command line of `npm run bench`, and what it means for the variants that are run.
import { parseArgs } from 'node:util';

export const usage = `npm run bench -- [cells…] [options]

  cells            names, or beginnings of names; all without any (--list shows them)
  --rounds N       rounds; in each, every variant gets a fresh process               (default 5)
  --seconds N      seconds that are measured of it                                   (default 3)
  --slice N        seconds of them at a time while servers take turns                (default 0.5)
  --warmup N       seconds before that are thrown away                               (default 3)
  --repetitions N  starts per variant and round in the start-up cell                (default 10)
  --quick          --rounds 2 --seconds 1 --warmup 2
  --driver NAME    auto, inline, offload, or all: one column each                    (default auto)
  --calm N         wait up to N seconds for an idle machine before each run or pass of
                   slices, and repeat what other work disturbed, up to three times
  --self           plain Node against plain Node: what noise looks like here
  --peers          also the runtimes of peers.json that are on the PATH
  --node PATH      the Node to measure                                               (default: this one)
  --json FILE      every sample, for bench/compare.mjs
  --svg FILE       a picture of the ratios
  --list           the cells and what each does
`;

/** @typedef {{ rounds: number, seconds: number, slice: number, warmup: number, repetitions: number, drivers: string[],
 *   calm: number, self: boolean, peers: boolean, node: string, json: string | undefined, svg: string | undefined,
 *   list: boolean, help: boolean, cells: string[] }} Options */

const drivers = ['auto', 'inline', 'offload'];

/** @param {string[]} words @returns {Options} */
export function readOptions(words) {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      slice: { type: 'string' },
      warmup: { type: 'string' },
      repetitions: { type: 'string' },
      quick: { type: 'boolean', default: false },
      driver: { type: 'string', default: 'auto' },
      calm: { type: 'string' },
      self: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
      node: { type: 'string', default: process.execPath },
      json: { type: 'string' },
      svg: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.driver !== 'all' && !drivers.includes(values.driver)) throw new Error(`--driver: not ${values.driver}`);
  const { quick } = values;
  return {
    rounds: positive('rounds', values.rounds, quick ? 2 : 5),
    seconds: positive('seconds', values.seconds, quick ? 1 : 3),
    slice: positive('slice', values.slice, 0.5),
    warmup: positive('warmup', values.warmup, quick ? 2 : 3),
    repetitions: positive('repetitions', values.repetitions, quick ? 5 : 10),
    drivers: values.driver === 'all' ? drivers : [values.driver],
    calm: positive('calm', values.calm, 0),
    self: values.self,
    peers: values.peers,
    node: values.node,
    json: values.json,
    svg: values.svg,
    list: values.list,
    help: values.help,
    cells: positionals,
  };
}

/** @param {string} name @param {string | undefined} text @param {number} otherwise */
function positive(name, text, otherwise) {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name}: not a positive number: ${text}`);
  return value;
}
