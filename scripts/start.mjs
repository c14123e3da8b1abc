// @ts-check
// `npm start [-- path/to/app.js args...]`: an unmodified program under tsloop; the example server by default.

import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { BuildError, buildNative, buildTypeScript } from './build.mjs';
import { root } from './processes.mjs';

const [program, ...args] = process.argv.slice(2);
// npm runs scripts in the root; a path is meant from where npm was called.
const entry = program ? resolve(process.env['INIT_CWD'] ?? '.', program) : join(root, 'examples/hello/server.js');

try {
  await buildTypeScript();
  await buildNative();
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exit(1);
}

const hook = ['-r', join(root, 'register.js')];

/** Asked of a process that starts like the program: what it will run on is not for us to promise. */
function standing() {
  const ask = `console.log(JSON.stringify(require(${JSON.stringify(join(root, 'dist/index.js'))}).status()))`;
  const { stdout } = spawnSync(process.execPath, [...hook, '-e', ask], { encoding: 'utf8' });
  // TSLOOP_STRICT may have ended it; the program says why itself, in a moment.
  const { active, reason, version } = stdout === '' ? { active: false, reason: 'TSLOOP_STRICT' } : JSON.parse(stdout);
  return active ? `on tsloop ${version}` : `on plain Node (${reason}; npx tsloop doctor says more)`;
}

console.error(`${relative(process.cwd(), entry)} runs ${standing()}`);

const child = spawn(process.execPath, [...hook, entry, ...args], { stdio: 'inherit' });

// From a supervisor a signal reaches only us and is passed on; what a terminal's keys send reaches the program by
// itself, and a second copy would end a program that is closing in good order. We end as the program ends.
const terminal = isatty(0);
for (const signal of /** @type {const} */ (['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'])) {
  const fromKeys = terminal && (signal === 'SIGINT' || signal === 'SIGQUIT');
  process.on(signal, () => {
    if (!fromKeys) child.kill(signal);
  });
}
child.on('exit', (code, signal) => {
  process.exit(code ?? 128 + constants.signals[/** @type {NodeJS.Signals} */ (signal)]);
});
