/** The bench's arithmetic: what noise must not do to a ratio. */
import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';

type Sample = Record<string, number | null>;
interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The bench is not compiled: its modules lie beside the specs' folder, in the source and in the build. */
const load = (name: string): Promise<never> =>
  import(new URL(`../../bench/${name}.mjs`, import.meta.url).href) as never;
const cells: { cells: { name: string; workload: string }[]; select(words: string[]): { name: string }[] } =
  await load('cells');
const figures: {
  readonly metrics: readonly string[];
  readonly moreIsBetter: ReadonlySet<string>;
  spread(values: (number | null)[]): Spread | null;
  ratio(samples: Sample[], base: Sample[], metric: string): Spread | null;
  judge(cell: string, samples: Record<string, Sample[]>): { metric: string; verdict: string; value: Spread }[];
} = await load('figures');
const slices: {
  slicesOf(times: { seconds: number; slice: number }): number;
  timesOf(cell: object, times: { seconds: number; slice: number }): { lead: number; slice: number };
  inTurn<T>(all: readonly T[], pass: number): T[];
} = await load('slices');
const ahead: {
  inWords(seconds: number): string;
  expected(cells: object[], times: Record<string, number>, variants: number): number;
  progress(
    stream: { isTTY?: boolean; write(text: string): unknown },
    total: number,
    now: () => number,
  ): { show(name: string): void; over(): void; clear(): void };
} = await load('progress');
const options: { readOptions(words: string[]): Record<string, unknown> } = await load('options');

const of = (metric: string, values: (number | null)[]): Sample[] => values.map((value) => ({ [metric]: value }));

describe('bench: figures', () => {
  it('takes the quartiles, and the extremes of what is too few', () => {
    expect(figures.spread([5, 1, 4, 2, 3])).to.deep.equal({ median: 3, low: 2, high: 4 });
    expect(figures.spread([1, 3, 2])).to.deep.equal({ median: 2, low: 1, high: 3 });
    expect(figures.spread([2, 1])).to.deep.equal({ median: 1.5, low: 1, high: 2 });
    expect(figures.spread([7])).to.deep.equal({ median: 7, low: 7, high: 7 });
  });

  it('leaves out what there cannot be', () => {
    expect(figures.spread([null, 4, null, Number.NaN])).to.deep.equal({ median: 4, low: 4, high: 4 });
    expect(figures.spread([null])).to.equal(null);
    expect(figures.ratio(of('p50', [null, null]), of('p50', [null, null]), 'p50')).to.equal(null);
    expect(figures.ratio(of('p50', [3]), of('p50', [0]), 'p50')).to.equal(null);
    // Memory is read at the end of a round: the other slices have none.
    expect(figures.ratio(of('peakKb', [null, 30]), of('peakKb', [null, 20]), 'peakKb')?.median).to.equal(1.5);
  });

  it('sees half the price through a machine that changes its speed between pairs', () => {
    const machine = [1, 2, 1, 3, 0.5, 2, 1, 1, 4];
    const base = machine.map((speed) => 10 * speed);
    const ours = machine.map((speed) => 5 * speed);
    // Others came in the middle of two pairs.
    ours[3] = 60;
    base[8] = 160;
    const found = figures.ratio(of('jsCpu', ours), of('jsCpu', base), 'jsCpu');
    expect(found).to.deep.equal({ median: 0.5, low: 0.5, high: 0.5 });
  });

  it('holds a goal against the median, and leaves open what a quarter of the pairs met', () => {
    const verdict = (ours: number[]): string | undefined => {
      const samples = {
        plain: of(
          'jsCpu',
          ours.map(() => 1),
        ),
        'tsloop-auto': of('jsCpu', ours),
      };
      return figures.judge('http-64b-c64', samples).find(({ metric }) => metric === 'jsCpu')?.verdict;
    };
    expect(verdict([0.41, 0.41, 0.41, 0.9, 0.9])).to.equal('met');
    expect(verdict([0.41, 0.41, 0.6, 0.9, 0.9])).to.equal('undecided');
    expect(verdict([0.41, 0.6, 0.6, 0.9, 0.9])).to.equal('missed');
  });

  it('compares the automatic driver with the better of the other two, pair by pair', () => {
    const samples = {
      plain: of('perSecond', [10, 20]),
      'tsloop-auto': of('perSecond', [19, 38]),
      'tsloop-inline': of('perSecond', [12, 24]),
      'tsloop-offload': of('perSecond', [20, 40]),
    };
    const [against] = figures.judge('http-64b-c8', samples).filter(({ value }) => value.median < 1);
    expect(against?.value).to.deep.equal({ median: 0.95, low: 0.95, high: 0.95 });
    expect(against?.verdict).to.equal('met');
  });
});

describe('bench: goals', () => {
  const { goals }: { goals: { cells: string[]; metric: string; min?: number; max?: number; variant?: string }[] } =
    JSON.parse(readFileSync(new URL('../../bench/goals.json', import.meta.url), 'utf8'));

  it('speak of cells and figures that there are', () => {
    const names = new Set(['*', ...cells.cells.map(({ name }) => name)]);
    for (const goal of goals) {
      expect([...names]).to.include.members(goal.cells);
      expect(figures.metrics).to.include(goal.metric);
      expect(goal.min === undefined, `${goal.cells}: ${goal.metric}`).to.equal(!figures.moreIsBetter.has(goal.metric));
    }
  });

  it('may ask something of our side alone', () => {
    const [fairness] = figures.judge('bulk-fairness-c6', {
      plain: of('fairness', [0.9, 0.9]),
      'tsloop-auto': of('fairness', [0.6, 0.7]),
    });
    expect(fairness?.value.median).to.be.closeTo(0.65, 1e-9);
    expect(fairness?.verdict).to.equal('met');
  });
});

describe('bench: cells', () => {
  it('have names and programs of their own', () => {
    expect(new Set(cells.cells.map(({ name }) => name)).size).to.equal(cells.cells.length);
    for (const { workload } of cells.cells) {
      expect(existsSync(new URL(`../../bench/workloads/${workload}`, import.meta.url)), workload).to.equal(true);
    }
    expect(cells.select(['workers-1']).map(({ name }) => name)).to.deep.equal(['workers-1']);
    expect(cells.select(['handler']).length).to.equal(2);
  });
});

describe('bench: slices', () => {
  it('cuts the measured time, and lets each variant go first at least once', () => {
    expect(slices.slicesOf({ seconds: 3, slice: 0.5 })).to.equal(6);
    expect(slices.slicesOf({ seconds: 1, slice: 0.4 })).to.equal(3);
    expect(slices.slicesOf({ seconds: 1, slice: 5 })).to.equal(2);
  });

  it('lets a cell ask for more time, and for no less', () => {
    const times = { seconds: 3, slice: 0.5 };
    expect(slices.timesOf({}, times)).to.deep.equal({ lead: 0.2, slice: 0.5 });
    expect(slices.timesOf({ lead: 1, least: 1 }, times)).to.deep.equal({ lead: 1, slice: 1 });
    expect(slices.timesOf({ least: 1 }, { seconds: 4, slice: 2 }).slice).to.equal(2);
    expect(slices.timesOf({ underWay: 16 }, times)).to.deep.equal({ lead: 1.5, slice: 1.5 });
  });

  it('turns around with every pass and leaves its argument alone', () => {
    const all = ['plain', 'auto', 'inline'];
    expect(slices.inTurn(all, 0)).to.deep.equal(all);
    expect(slices.inTurn(all, 1)).to.deep.equal(['inline', 'auto', 'plain']);
    expect(all).to.deep.equal(['plain', 'auto', 'inline']);
  });
});

describe('bench: options', () => {
  it('reads times in seconds and refuses what is none', () => {
    const { seconds, slice, warmup, rounds, drivers } = options.readOptions(['--slice', '0.25', '--driver', 'all']);
    expect({ seconds, slice, warmup, rounds }).to.deep.equal({ seconds: 3, slice: 0.25, warmup: 3, rounds: 5 });
    expect(drivers).to.deep.equal(['auto', 'inline', 'offload']);
    expect(options.readOptions(['--quick']).slice).to.equal(0.5);
    expect(() => options.readOptions(['--slice', '0'])).to.throw('--slice');
    expect(() => options.readOptions(['--driver', 'fast'])).to.throw('--driver');
  });
});

describe('bench: how long it takes', () => {
  it('is foretold by rounds, variants and what surrounds a measurement', () => {
    const times = { rounds: 3, repetitions: 10, seconds: 2, warmup: 1 };
    expect(ahead.expected([{ kind: 'server' }, { kind: 'itself' }], times, 2)).to.equal(48);
    expect(ahead.expected([{ kind: 'startup' }], times, 2)).to.equal(60);
    expect([0.2, 89, 90, 600].map(ahead.inWords)).to.deep.equal(['1 s', '89 s', '2 minutes', '10 minutes']);
  });

  it('is told again with each round on a terminal, by the rounds so far, and nowhere else', () => {
    let shown = '';
    let time = 0;
    const write = (text: string): unknown => (shown += text);
    const line = ahead.progress({ isTTY: true, write }, 4, () => time);
    line.show('echo');
    line.over();
    time = 60_000;
    line.show('echo');
    expect(shown.replaceAll('\r\u001b[K', '|')).to.equal(
      '|echo: round 1 of 4 in all|echo: round 2 of 4 in all, about 3 minutes left',
    );
    shown = '';
    const quiet = ahead.progress({ write }, 4, () => time);
    quiet.show('echo');
    quiet.clear();
    expect(shown).to.equal('');
  });
});
