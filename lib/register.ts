/** The boot sequence, read top to bottom. Runs once per environment, whatever loaded it and however often. */

import { readConfig } from './boot/config';
import { mayRun } from './boot/guard';
import { env } from './boot/host';
import { install } from './install';
import { claim } from './instance';
import { stepBack } from './standing';

const config = readConfig(env);
// Loaded only where there is something to say.
const reporter = (): typeof import('./boot/report') => require('./boot/report');

// Another copy of tsloop may be in force here already, and goes on to be. Who is switched off says so to whoever asks.
if (claim()) boot();

// Also where tsloop steps aside or is off: who compares the processes of a fleet asks all of them.
if (config.metrics !== null) {
  const { serve }: typeof import('./metrics/serve') = require('./metrics/serve');
  serve(config.metrics);
}

function boot(): void {
  const obstacle = mayRun(config);
  if (obstacle !== null) {
    stepBack(config, obstacle);
    reporter().report(obstacle, config);
    return;
  }
  if (config.problems.length > 0) reporter().reportProblems(config);
  install(config);
}
