/**
 * Twin runs of programs that are several processes: a parent and its children, in every combination of with and without
 * tsloop. On plain Node all combinations are the same, and so must be what is seen.
 */
import { resolve } from 'node:path';
import type * as Fleet from './fleet.cjs';
import { root } from './nodes.mjs';
import { type Bench, type TwinOptions, twin } from './twin.mjs';

export type Tools = typeof Fleet;

/** What each process of the program runs; `parent` is the one that is started. */
export interface Roles {
  parent(f: Tools): unknown;
  [child: string]: (f: Tools) => unknown;
}

export interface FleetOptions extends TwinOptions {
  /** Combinations to run, parent's letter first: `+` with tsloop, `-` without. */
  readonly combinations?: readonly string[];
  /** Arguments of each role. */
  readonly arguments?: readonly string[];
}

interface Given {
  readonly tools: string;
  readonly roles: Record<string, string>;
  readonly combinations: readonly string[];
  readonly arguments: readonly string[];
}

async function body(t: Bench, given: Given): Promise<void> {
  const program = t.path('fleet.cjs');
  const roles = Object.entries(given.roles).map(([name, source]) => `${JSON.stringify(name)}: ${source}`);
  t.fs.writeFileSync(
    program,
    `const f = require(${JSON.stringify(given.tools)});
    const roles = { ${roles.join(',\n')} };
    if (!f.asAsked()) f.say('tsloop', 'not as asked');
    roles[process.argv[2]](f);`,
  );
  for (const combination of given.combinations) {
    const env: NodeJS.ProcessEnv = { ...process.env, FLEET_CHILDREN: combination.slice(1), FLEET_DIR: t.dir };
    if (combination.startsWith('-')) env['TSLOOP'] = 'off';
    const parent = t.cp.fork(program, ['parent', ...given.arguments], {
      env,
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    let text = '';
    parent.stdout?.on('data', (data) => {
      text += data;
    });
    const [code, signal] = await t.once(parent, 'close');
    for (const row of text.split('\n')) {
      if (row === '') continue;
      const { lane, line } = JSON.parse(row) as { lane: string; line: unknown[] };
      t.lane(`${combination} ${lane}`)(...line);
    }
    t.lane(`${combination} end`)(code, signal);
  }
}

/** Declares one behaviour of a program of several processes. */
export function fleet(title: string, roles: Roles, options: FleetOptions = {}): void {
  const text = Object.fromEntries(
    Object.entries(roles).map(([name, role]) => {
      const source = role.toString();
      // A method's source is one only inside an object: as a function it stands alone.
      return [name, source.startsWith('async ') ? `async function ${source.slice(6)}` : `function ${source}`];
    }),
  );
  const given: Given = {
    tools: resolve(root, 'build', 'support', 'fleet.cjs'),
    roles: text,
    combinations: options.combinations ?? ['++', '+-', '-+', '--'],
    arguments: options.arguments ?? [],
  };
  twin(title, { timeout: 60_000, ...options, given, traffic: false }, body);
}
