/**
 * The first preload of a program under `tsloop doctor -- …`: sees what is loaded after it, in which order, and who brings Node's
 * network modules in; says so line by line to the descriptor that the doctor gave it. It loads nothing itself but what every
 * program has, and takes what names it out of the environment, so that children know nothing of it.
 */

import { fstatSync, writeSync } from 'node:fs';

/** What is told, one object a line. */
export type Told =
  | {
      readonly kind: 'begin';
      readonly node: string;
      readonly argv: readonly string[];
      readonly execArgv: readonly string[];
    }
  | {
      readonly kind: 'preload';
      readonly request: string;
      readonly milliseconds: number;
      readonly brought: readonly string[];
    }
  | { readonly kind: 'first'; readonly module: string; readonly by: string; readonly preload: string | null }
  | { readonly kind: 'state'; readonly seconds: number; readonly status: unknown; readonly fallbacks: unknown };

/** Where the doctor listens: a descriptor that no other process has. */
export const DESCRIPTOR = 3;
/** `NODE_OPTIONS` as it was, and that this process is the one that is looked at. */
export const ASKED = 'TSLOOP_DOCTOR_OPTIONS';

/** Modules of Node's whose first loading decides how tsloop attaches. */
const watched = ['net', 'dgram', 'child_process', 'http', 'tls', 'timers/promises'];

/** A program that is ended by a signal says no last word, so the one before must not be long ago. */
const STATE_MS = 300;

const Module = require('node:module') as unknown as Internals;

interface Internals {
  _load(request: string, parent: { id?: string; filename?: string } | undefined, isMain: boolean): unknown;
}

const list = (process as unknown as { moduleLoadList?: readonly string[] }).moduleLoadList ?? [];

/** Those of the watched that lib/ has loaded by now. */
function loaded(): string[] {
  return watched.filter((name) => list.includes(`NativeModule ${name}`));
}

function tell(told: Told): void {
  try {
    writeSync(DESCRIPTOR, `${JSON.stringify(told)}\n`);
  } catch {
    // Nobody listens any more.
  }
}

function observe(): void {
  const seen = new Set(loaded());
  let preload: string | null = null;
  /** What has come since it was last asked is of whoever is named. */
  const note = (by: string): void => {
    for (const module of loaded()) {
      if (seen.has(module)) continue;
      seen.add(module);
      tell({ kind: 'first', module, by, preload });
    }
  };
  tell({ kind: 'begin', node: process.version, argv: process.argv, execArgv: process.execArgv });
  for (const module of seen) tell({ kind: 'first', module, by: 'Node itself, before any preload', preload: null });

  const load = Module._load;
  Module._load = function (this: unknown, request, parent, isMain) {
    // What came in between came by `import`, process.getBuiltinModule, or of Node itself.
    note('an import, or Node itself');
    const isPreload = parent?.id === 'internal/preload';
    if (isPreload) preload = request;
    const before = new Set(seen);
    const began = process.hrtime.bigint();
    try {
      return load.call(this, request, parent, isMain);
    } finally {
      note(`${parent?.filename ?? parent?.id ?? 'unknown'}: require('${request}')`);
      if (isPreload) {
        const milliseconds = Number(process.hrtime.bigint() - began) / 1e6;
        tell({ kind: 'preload', request, milliseconds, brought: [...seen].filter((name) => !before.has(name)) });
        preload = null;
      }
    }
  };

  const state = (): void => {
    note('an import, or Node itself');
    type Slot = { api(): { scrape(): { status: unknown; fallbacks: unknown } } };
    const slot = (process as unknown as Record<symbol, Slot | undefined>)[Symbol.for('tsloop')];
    const { status, fallbacks } = slot?.api().scrape() ?? { status: null, fallbacks: {} };
    tell({ kind: 'state', seconds: process.uptime(), status, fallbacks });
    // To answer, tsloop loads what its classes are made of: that is none of the program's doing.
    for (const module of loaded()) seen.add(module);
  };
  setInterval(state, STATE_MS).unref();
  process.on('exit', state);
}

/** Behind a shell or a manager the number may be somebody else's, which is no socket while a program starts. */
function isOurs(): boolean {
  try {
    return fstatSync(DESCRIPTOR).isSocket();
  } catch {
    return false;
  }
}

const options = process.env[ASKED];
if (options !== undefined) {
  delete process.env[ASKED];
  if (options === '') delete process.env['NODE_OPTIONS'];
  else process.env['NODE_OPTIONS'] = options;
  if (isOurs()) observe();
}
